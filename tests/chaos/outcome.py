"""What came of a sweep that faults met, beside one that none did, and the tally of many."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.conftest import comparable
from tests.integration.small_searches import stored
from tests.program import comparable_alphas, comparable_searches
from tests.topo_sweep.runs.pack_run import curves
from topo_sweep.runs.reports.status import sweep_status
from topo_sweep.store.opened import OpenedSweep, sweeps_in
from topo_sweep.store.precedence import STATUSES

_TABLES: Final = {
    "trials": ("trial_id", comparable, curves),
    "searches": ("search_id", comparable_searches, comparable_alphas),
}
"""Of each table its key, and what reads its rows and their epochs."""


@dataclass(kw_only=True)
class Outcome:
    """What a disturbed sweep lost, has twice or has otherwise than the undisturbed one."""

    lost: int = 0
    """Rows, and whole curves of rows that are there; all that waits for a failed search counts."""
    doubled: int = 0
    changed: int = 0
    """Rows and curves with other values, and rows that the undisturbed sweep does not have."""
    failed: int = 0
    miscounted: int = 0
    """By how many the program's own ok + diverged + failed + left is off what was planned."""
    untold: int = 0
    """Ends of a driver that said no way to go on, or showed a traceback."""
    unended: int = 0
    """Sweeps that did not end in time."""
    split: int = 0
    """Trials of packs that were halved, and of what such searches found: last digits may differ."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing came but packs that were halved."""
        return self == Outcome(split=self.split)

    def __add__(self, other: Outcome) -> Outcome:
        """Return what came of both."""
        return Outcome(**{name: each + vars(other)[name] for name, each in vars(self).items()})

    def __str__(self) -> str:
        """Return it in words."""
        return ", ".join(f"{each} {name}" for name, each in vars(self).items())


@dataclass
class Tally:
    """What a campaign did, and what came of it."""

    sweeps: list[tuple[str, list[str], Outcome]] = field(default_factory=list)
    """What ran, the faults that met it, and what came of it."""
    in_vain: Counter[str] = field(default_factory=Counter)
    """Faults for which there was nothing to hit at their instant."""
    starts: int = 0
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        """How many came."""
        return sum(len(hit) for _, hit, _ in self.sweeps)

    @property
    def total(self) -> Outcome:
        """What came of all sweeps."""
        return sum((outcome for _, _, outcome in self.sweeps), Outcome())

    def text(self) -> str:
        """Return a line for each kind of fault, one for all, and one for each sweep with a loss.

        A fault is survived where all came right in the sweep that it met. What was lost, doubled or
        changed in a sweep counts for each kind that met it, so these columns add up to more than
        there was.
        """
        injected, survived = Counter[str](), Counter[str]()
        met: dict[str, Outcome] = dict.fromkeys(self.in_vain, Outcome())
        for _, hit, outcome in self.sweeps:
            injected.update(hit)
            survived.update(hit if outcome.is_clean else ())
            met |= {kind: met.get(kind, Outcome()) + outcome for kind in {*hit}}
        lines = [
            f"{'fault':22} injected survived     lost  doubled  changed in vain",
            *(
                f"{kind:22} {injected[kind]:8} {survived[kind]:8} {outcome.lost:8} "
                f"{outcome.doubled:8} {outcome.changed:8} {self.in_vain[kind]:7}"
                for kind, outcome in sorted(met.items())
            ),
        ]
        lines.append(
            f"{self.faults} faults in {len(self.sweeps)} sweeps, {self.starts} starts of a "
            f"driver, {self.seconds / 60:.1f} minutes: {self.total}"
        )
        lines += [
            f"{name}: {outcome}, after {hit}"
            for name, hit, outcome in self.sweeps
            if not outcome.is_clean
        ]
        return "\n".join(lines)


def is_over(code: int, said: str) -> bool:
    """Return whether a driver ended since nothing is left to do, but for what had failed."""
    return code == 0 or (code == 1 and "run again with --retry-failed" in said)


def is_told(code: int, said: str) -> bool:
    """Return whether a driver that was not killed says in its last line how to go on."""
    if "Traceback" in said:
        return False
    *_, last = ["", *said.splitlines()]
    says_how = "topo-sweep run " in last or last.startswith("topo-sweep: ")
    return code == -signal.SIGKILL or is_over(code, said) or says_how


def compared(results: Path, whole: Path) -> Outcome:
    """Compare a sweep with an undisturbed run of it: rows, curves, alphas, and its own count."""
    (undisturbed,) = sweeps_in(whole)
    planned = sweep_status(undisturbed)["planned"]
    sweeps = sweeps_in(results)
    if not sweeps:
        return Outcome(lost=planned)
    (ours,) = sweeps
    counts, halved = sweep_status(ours), _halved(ours)
    counted = sum(counts[each] for each in (*STATUSES, "left"))
    outcome = Outcome(miscounted=abs(planned - counted))
    for table in ["trials", "searches"] if ours.manifest.kind == "search" else ["trials"]:
        outcome += _compared_table(table, results, whole, halved)
    return outcome


def _compared_table(table: str, results: Path, whole: Path, halved: Collection[str]) -> Outcome:
    """Compare the rows of a table, and the curve or alphas of each; of what was halved no value."""
    key, rows_of, epochs_of = _TABLES[table]
    got, expected = (rows_of(each).set_index(key) for each in (results, whole))
    common = expected.index.intersection(got.index)
    columns = [c for c in expected if c not in ("attempt", "execution")]
    failed = (got.loc[common, "status"] == "failed").to_numpy(bool)
    same = _equal_rows(got.loc[common, columns], expected.loc[common, columns])
    exempt = common.isin(halved)
    ours, theirs = (_curves_by(key, epochs_of(each)) for each in (results, whole))
    curves_due = theirs.keys() & common[~failed]
    curves_alike = (curves_due & ours.keys()).difference(halved)
    return Outcome(
        lost=len(expected.index.difference(got.index)) + len(curves_due - ours.keys()),
        doubled=stored(results, table) - len(got),
        changed=len(got.index.difference(expected.index))
        + int((~same & ~failed & ~exempt).sum())
        + sum(not ours[each].equals(theirs[each]) for each in curves_alike),
        failed=int(failed.sum()),
        split=int(exempt.sum()),
    )


def _curves_by(key: str, epochs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(each): curve.reset_index(drop=True) for each, curve in epochs.groupby(key)}


def _equal_rows(one: pd.DataFrame, other: pd.DataFrame) -> NDArray[np.bool_]:
    equal = (one == other) | (one.isna() & other.isna())
    return equal.all(axis=1).to_numpy(bool)


def _halved(sweep: OpenedSweep) -> list[str]:
    """Return the members of packs that were halved, and trainings of what such searches found."""
    manifest = json.loads((sweep.folder / "sweep.json").read_text(encoding="utf-8"))
    members = [key for pack in manifest["split_packs"] for key in pack]
    trials = sweep.trials()
    return [*members, *trials.loc[trials["search_id"].isin(members), "trial_id"]]

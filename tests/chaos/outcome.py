"""What came of a sweep that faults met, beside one that none did, and the tally of many."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.conftest import comparable
from tests.integration.small_searches import stored
from tests.program import comparable_alphas, comparable_searches
from tests.topo_sweep.runs.pack_run import curves
from topo_sweep.store.opened import OpenedSweep, sweeps_in


@dataclass(kw_only=True)
class Outcome:
    """What a disturbed sweep lost, has twice or has otherwise than the undisturbed one."""

    lost: int = 0
    doubled: int = 0
    changed: int = 0
    failed: int = 0
    untold: int = 0
    """Ends of a driver that said no way to go on, or showed a traceback."""
    split: int = 0
    """Trials of packs that were halved, and of what such searches found: last digits may differ."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled, changed, failed or left untold."""
        return not (self.lost or self.doubled or self.changed or self.failed or self.untold)

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

        A fault is survived where all came right in the sweep that it met.
        """
        injected = Counter(kind for _, hit, _ in self.sweeps for kind in hit)
        survived = Counter(
            kind for _, hit, outcome in self.sweeps if outcome.is_clean for kind in hit
        )
        lines = [
            f"{'fault':22} injected survived in vain",
            *(
                f"{kind:22} {injected[kind]:8} {survived[kind]:8} {self.in_vain[kind]:7}"
                for kind in sorted({*injected, *self.in_vain})
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


def is_told(code: int, said: str) -> bool:
    """Return whether a driver that was not killed says in lines how to go on after its end."""
    if "Traceback" in said:
        return False
    *_, last = ["", *said.splitlines()]
    says_how = "topo-sweep run " in said or last.startswith("topo-sweep: ")
    return code in (0, -signal.SIGKILL) or says_how


def compared(results: Path, whole: Path) -> Outcome:
    """Compare a sweep with an undisturbed run of it: rows, curves, and the alphas of searches."""
    (ours,) = sweeps_in(results)
    halved = _halved(ours)
    outcome = Outcome(changed=_changed_curves(results, whole, halved))
    is_search = ours.manifest.kind == "search"
    for table in ["trials", "searches"] if is_search else ["trials"]:
        frame = comparable if table == "trials" else comparable_searches
        key = "trial_id" if table == "trials" else "search_id"
        got, expected = (frame(each).set_index(key) for each in (results, whole))
        common = expected.index.intersection(got.index)
        columns = [c for c in expected if c not in ("attempt", "execution")]
        failed = got.loc[common, "status"] == "failed"
        same = _equal_rows(got.loc[common, columns], expected.loc[common, columns])
        exempt = common.isin(halved)
        outcome += Outcome(
            lost=len(expected.index.difference(got.index)),
            doubled=stored(results, table) - len(got),
            changed=int((~same & ~failed.to_numpy() & ~exempt).sum()),
            failed=int(failed.sum()),
            split=int(exempt.sum()),
        )
    if is_search and not halved:
        outcome.changed += not comparable_alphas(results).equals(comparable_alphas(whole))
    return outcome


def _changed_curves(results: Path, whole: Path, halved: Sequence[str]) -> int:
    """Return how many trainings have another curve, those of packs that were halved left out."""
    ours, expected = (
        {key: curve.reset_index(drop=True) for key, curve in curves(each).groupby("trial_id")}
        for each in (results, whole)
    )
    return sum(
        not curve.equals(ours[key])
        for key, curve in expected.items()
        if key in ours and key not in halved
    )


def _equal_rows(one: pd.DataFrame, other: pd.DataFrame) -> NDArray[np.bool_]:
    equal = (one == other) | (one.isna() & other.isna())
    return equal.all(axis=1).to_numpy(bool)


def _halved(sweep: OpenedSweep) -> list[str]:
    """Return the members of packs that were halved, and trainings of what such searches found."""
    manifest = json.loads((sweep.folder / "sweep.json").read_text(encoding="utf-8"))
    members = [key for pack in manifest["split_packs"] for key in pack]
    trials = sweep.trials()
    return [*members, *trials.loc[trials["search_id"].isin(members), "trial_id"]]

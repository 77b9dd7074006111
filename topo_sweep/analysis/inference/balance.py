"""What was measured: how many groups, seeds and runs, whether each has the same, what is missing.

Also what keeps a design from being tested at all. Not here: any accuracy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from nas_core.cells.genotype import Genotype
from topo_sweep.analysis.design import Design, diverged_runs
from topo_sweep.analysis.findings import Finding, Number
from topo_sweep.analysis.inference.naming import SHOWN
from topo_sweep.analysis.statistics.two_way import class_by_seed
from topo_sweep.analysis.text import counted, n_words, plural
from topo_sweep.spec.int_sets import format_int_set
from topo_sweep.spec.trials import Trial, network_name

if TYPE_CHECKING:
    from topo_sweep.spec.trials import Planned

TITLE: Final = "design"

_COLUMNS: Final = ("group", "seeds", "missing", "members", "runs", "diverged")


@dataclass(frozen=True, eq=False, kw_only=True)
class Balance:
    """How even a design is.

    Args:
        table: a row a group: `group`, `seeds`, `missing` (seeds that others have), `members` (most
            that any of its seeds has), `runs` and `diverged`.
        seeds: all seeds.
        shared: seeds that all groups have.

    """

    table: pd.DataFrame
    seeds: tuple[int, ...]
    shared: tuple[int, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every group has every seed."""
        return self.shared == self.seeds

    @property
    def has_members(self) -> bool:
        """Whether a group has several members with one seed."""
        return bool((self.table["members"] > 1).any())

    @property
    def is_balanced(self) -> bool:
        """Whether every group has every seed as often as the others."""
        return self.is_complete and len(set(self.table["runs"])) == 1


def balance_of(design: Design) -> Balance:
    """Return how many seeds, members and runs each group of a design has."""
    cells = design.runs.groupby(["group", "seed"]).size()
    table = diverged_runs(design.runs, "group").assign(
        seeds=cells.groupby("group").size(), members=cells.groupby("group").max()
    )
    table = table.assign(missing=len(design.table) - table["seeds"]).reset_index()
    return Balance(
        table=table[list(_COLUMNS)],
        seeds=tuple(int(seed) for seed in design.table.index),
        shared=tuple(int(seed) for seed in design.complete.index),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Missing:
    """What was asked for and has no result.

    Args:
        not_run: how many runs have no row, not even one that says that they failed.
        groups: a row a group without any result: `group` (its name), `failed` and `not_run`. What a
            search has not found yet has no group.

    """

    not_run: int
    groups: pd.DataFrame


def missing_from(
    design: Design, trials: pd.DataFrame, planned: Mapping[str, Planned] | None = None
) -> Missing:
    """Return which runs and groups a design lacks.

    Args:
        design: of these trials.
        trials: one row a trial, failed ones included.
        planned: the trainings that were asked for, by id; None is not known.

    """
    ids = set(trials["trial_id"])
    waiting = [trial for key, trial in (planned or {}).items() if key not in ids]
    known = Counter((trial.genotype, "not_run") for trial in waiting if isinstance(trial, Trial))
    failed = trials.loc[trials["status"] == "failed", "genotype"].value_counts()
    for text, count in failed.items():
        known[Genotype.from_string(str(text)), "failed"] += int(count)
    by_class = design.by == "class"
    there = set(design.groups["class_id" if by_class else "genotype"])
    runs = []
    for (genotype, why), count in known.items():
        wiring = genotype.topology
        key = wiring.class_id if by_class and wiring else str(genotype)
        if key not in there:
            name = f"class {key}" if by_class and wiring else network_name(genotype)
            runs.append({"key": key, "group": name, "failed": 0, "not_run": 0} | {why: count})
    table = pd.DataFrame(runs, columns=["key", "group", "failed", "not_run"])
    groups = table.groupby(["key", "group"])[["failed", "not_run"]].sum().reset_index()
    return Missing(not_run=len(waiting), groups=groups.drop(columns="key"))


def untestable(design: Design) -> str:
    """Return why groups cannot be told from noise and what it takes; '' where they can."""
    units = plural(design.unit)
    if len(design.groups) < 2:
        return f"there is one {design.unit}: run a second"
    if len(design.table) < 2:
        return f"with one seed {units} cannot be told from noise: run the same with another"
    fit = class_by_seed(design.runs).cells
    if not fit.df_groups or not fit.df_rest:
        return f"no two {units} have two seeds in common: run them with the same seeds"
    if not fit.is_testable:
        return (
            f"seeds differ by nothing, or by the same in all {units}, so that no noise was seen: "
            "measure on more images"
        )
    return ""


def design_finding(design: Design, missing: Missing | None = None) -> Finding:
    """Return the section 'design': what was measured, how evenly, and what is missing.

    `missing` is as `missing_from` gives it; None is nothing.
    """
    balance = balance_of(design)
    table = balance.table
    failed, diverged = design.failed, int(table["diverged"].sum())
    numbers: dict[str, Number] = {
        "groups": len(table),
        "seeds": len(balance.seeds),
        "shared_seeds": len(balance.shared),
        "runs": len(design.runs),
        "empty_cells": int(table["missing"].sum()),
        "failed": failed,
        "not_run": missing.not_run if missing else 0,
        "groups_without_result": len(missing.groups) if missing else 0,
        "diverged": diverged,
        "balanced": balance.is_balanced,
        "unit": design.unit,
        "metric": design.metric,
        "protocol_hash": design.protocol_hash,
        "data": design.data,
        "phase": design.phase,
    }
    uneven = (table["missing"] > 0) | (table["diverged"] > 0)
    named = table.assign(group=[design.name_of(group) for group in table["group"]])
    shown = [tuple(map(str, row)) for row in named.loc[uneven].to_numpy()]
    return Finding(
        title=TITLE,
        sentence=" ".join(_sentences(design, balance, diverged, missing)),
        numbers=numbers,
        tables={"groups": named}
        | ({"without_result": missing.groups} if missing and len(missing.groups) else {}),
        shown={"uneven": [(design.unit, *_COLUMNS[1:]), *shown]} if shown else {},
    )


def _sentences(
    design: Design, balance: Balance, diverged: int, missing: Missing | None
) -> list[str]:
    table, seeds = balance.table, balance.seeds
    runs = counted(len(design.runs), "run")
    groups = counted(len(table), design.unit)
    said = f"{runs} of {groups} with {counted(len(seeds), 'seed')} ({format_int_set(seeds)})"
    if balance.has_members:
        members = n_words(table["members"]).removeprefix("n = ")
        said += f", {members} members a {design.unit}"
    absent = _absent(design, missing)
    sentences = [f"{said}: {_evenness(design, balance, whole=not absent)}.", *absent]
    if design.failed:
        sentences.append(
            f"{counted(design.failed, 'failed run')} left out, which is fair only where failing "
            "has nothing to do with accuracy."
        )
    if diverged:
        sentences.append(
            f"{counted(diverged, 'diverged run')} counted with the accuracy of the diverged "
            "network, far from the others and not normal; tests on ranks bear that best."
        )
    setting = [f"data {design.data}", f"protocol {design.protocol_hash}"]
    setting += [design.phase] if design.phase else []
    return [*sentences, f"{design.metric_name.capitalize()}; {'; '.join(setting)}."]


def _absent(design: Design, missing: Missing | None) -> list[str]:
    """Say which groups have no result, and how many runs were asked for and are not there."""
    said = []
    if missing and len(missing.groups):
        names = missing.groups["group"].drop_duplicates().tolist()
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        count = counted(len(missing.groups), design.unit)
        said.append(f"Without any result: {count} ({', '.join(names[:SHOWN])}{more}).")
    if missing and missing.not_run:
        said.append(f"Asked for and not run: {counted(missing.not_run, 'run')}.")
    return said


def _evenness(design: Design, balance: Balance, *, whole: bool) -> str:
    if len(balance.seeds) == 1:
        rest = f" but members of a {design.unit}" if balance.has_members else ""
        return f"with one seed nothing{rest} shows how large noise is"
    empty = int(balance.table["missing"].sum())
    if not empty:
        seeds = "every seed is there" if whole else f"each of these {plural(design.unit)} has each"
        return seeds + ("" if balance.is_balanced else ", runs are uneven")
    return (
        f"{empty:,} of {design.table.size:,} cells of {design.unit} and seed are empty, and "
        f"{len(balance.shared)} of {counted(len(balance.seeds), 'seed')} are complete: what stands "
        f"best first is ordered by means as if each {design.unit} had all seeds"
    )

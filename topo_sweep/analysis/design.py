"""What a sweep measured, as a design: which groups, by how many seeds, and which accuracy counts.

A ranking and every statistic begin here, so that none of them mixes what must not be mixed, counts
other accuracies than the others, or drops anything without a word. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from nas_core.cells.genotype import Genotype
from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import (
    FRACTION,
    METRICS,
    accuracies,
    chosen_metric,
    data_words,
    per_seed,
    wide,
)
from topo_sweep.analysis.comparable import (
    EXPERIMENT,
    check_one_experiment,
    check_poolable,
    common_phase,
    most_common,
    nothing_finished,
)
from topo_sweep.analysis.statistics.additive import adjusted_means
from topo_sweep.analysis.text import counted, n_words

NEEDED: Final = (
    *EXPERIMENT, "trial_id", "kind", "seed", "status", "error",
    "genotype", "topology", "class_id", "reduction_topology",
    "train_accuracy", "val_accuracy", "test_accuracy", "best_test_accuracy",
)  # fmt: skip
"""The columns of trials that a design is made of; all accuracies, since reading checks them."""

_KEYS: Final = {"topology": "genotype", "class": "class_id"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Design:
    """Trainings of one protocol, data set and phase, by group and seed.

    A group is a class, or a canonical genotype; its members are the genotypes in it. Failed
    trainings have no result: they are left out and counted. A diverged one counts with the
    accuracy that its network had, and as 0 where its row has none.

    Args:
        runs: a row a training with a result: `group` (a number from 0), `member` (a number of its
            genotype), `seed`, `status` and `accuracy` (a fraction).
        groups: indexed by `group`: `genotype`, `topology` and `class_id` of its smallest member.
        by: 'topology' (each canonical genotype is a group) or 'class'.
        unit: what a group is called: 'topology', 'genotype' or 'class'.
        metric: 'val' or 'test'; `METRICS` has its name.
        failed: how many trainings have no result.
        kind: of the sweep, such as 'topologies' or 'genotypes'.
        nodes: intermediate nodes of a cell.
        data: the data set and how it was split, in words.
        protocol_hash: names the protocol of all trainings.
        phase: operations and reduction wiring that all trainings share, in words; '' for genotypes.

    """

    runs: pd.DataFrame
    groups: pd.DataFrame
    by: str
    unit: str
    metric: str
    failed: int
    kind: str
    nodes: int
    data: str
    protocol_hash: str
    phase: str

    @property
    def metric_name(self) -> str:
        """The metric in words."""
        return METRICS[self.metric]

    @cached_property
    def points(self) -> pd.DataFrame:
        """A row a group and seed: `group`, `seed`, `value` (mean of its members) and `lost`."""
        return per_seed(self.runs, ["group"], "accuracy")

    @cached_property
    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return wide(self.points, "group")

    @property
    def table(self) -> pd.DataFrame:
        """The points as a table: a row a seed, a column a group, NaN where nothing was trained."""
        return self._tables[0]

    @cached_property
    def complete(self) -> pd.DataFrame:
        """The rows of `table` in which no group is missing; maybe none."""
        return self.table.dropna()

    @cached_property
    def means(self) -> pd.Series[float]:
        """The mean of each group as if all had the same seeds, see `adjusted_means`."""
        return adjusted_means(*self._tables).clip(*FRACTION)

    @property
    def seed_words(self) -> str:
        """How many seeds the groups have: 'n = 3' or 'n = 2 to 5'."""
        return n_words(self.points.groupby("group").size())

    def name_of(self, group: int) -> str:
        """Return what a group is called: 'class 3', 'topology 17' or 'genotype 2' (a number)."""
        row = self.groups.loc[group]
        if self.unit == "genotype":
            return f"genotype {group}"
        return f"{self.unit} {row['class_id' if self.by == 'class' else 'topology']}"


def design_of(trials: pd.DataFrame, *, by: str | None = None, metric: str | None = None) -> Design:
    """Return the design of a sweep's trials.

    Args:
        trials: one row a trial, with the columns `NEEDED`, as `topo_sweep.load_results` gives them.
        by: 'topology' (each canonical genotype by itself) or 'class' (members pooled); None is by
            class in a sweep of topologies, whose normal operations are all equal, else by topology.
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.

    Raises:
        InputError: no result, or trials of several protocols, data sets or phases (named), or a
            metric or pooling that these trials do not allow.

    """
    if by not in (None, *_KEYS):
        raise InputError(f"a ranking is by topology or by class, got {by!r}")
    rows = _with_results(trials)
    check_one_experiment(rows)
    kind, holdout = str(rows["kind"].iloc[0]), int(rows["holdout"].iloc[0])
    if by is None:
        pooled = kind == "topologies" and not rows["class_id"].isna().any()
        by = "class" if pooled else "topology"
    unit = "topology" if kind == "topologies" else "genotype"
    if by == "class":
        check_poolable(rows)
        unit = "class"
    genotypes, networks = pd.factorize(rows["genotype"], sort=True)
    phase = common_phase(networks) if unit != "genotype" else ""
    metric = chosen_metric(metric, holdout=holdout)
    numbers = genotypes if by == "topology" else pd.factorize(rows["class_id"], sort=True)[0]
    runs = pd.DataFrame(
        {
            "group": numbers,
            "member": genotypes,
            "seed": rows["seed"].to_numpy(),
            "status": rows["status"].to_numpy(),
            "accuracy": accuracies(rows, metric).to_numpy(),
        }
    )
    # Genotypes are long, and each look at one costs: one row a network is enough.
    names = rows[["topology", "class_id"]].assign(group=numbers, member=genotypes)
    names = names.drop_duplicates("member").sort_values(["topology", "member"])
    names = names.drop_duplicates("group").set_index("group").sort_index()
    return Design(
        runs=runs,
        groups=names.assign(genotype=np.asarray(networks)[names.pop("member")]),
        by=by,
        unit=unit,
        metric=metric,
        failed=len(trials) - len(rows),
        kind=kind,
        nodes=len(Genotype.from_string(str(networks[0])).normal.nodes),
        data=data_words(rows),
        protocol_hash=str(rows["protocol_hash"].iloc[0]),
        phase=phase,
    )


def diverged_runs(trials: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return of each group of trials how many `runs` have a result, and how many `diverged`."""
    ended = trials[trials["status"] != "failed"]
    groups = ended.assign(lost=ended["status"] == "diverged").groupby(key)
    runs: pd.DataFrame = groups.agg(runs=("lost", "size"), diverged=("lost", "sum"))
    return runs


def fewest_seeds(counts: pd.Series[int], top: int = 1) -> int:
    """Return how many seeds it takes to be chosen: half as many as each of the `top` with most.

    Means over much fewer seeds scatter more, so that the luckiest of them would lead.

    Args:
        counts: seeds of each group.
        top: how many are to be chosen.

    """
    return -(-int(counts.nlargest(top).iloc[-1]) // 2)


def _with_results(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have a result, diverged ones included."""
    if trials.empty:
        raise nothing_finished("trial to rank")
    has_result = trials["status"] != "failed"
    rows = trials if has_result.all() else trials[has_result]
    if rows.empty:
        error = most_common([str(error)] for error in trials["error"])
        raise InputError(
            f"nothing to rank: {counted(len(trials), 'trial')} ran and all failed, most often "
            f"with {error!r}: run them again with --retry-failed"
        )
    return rows

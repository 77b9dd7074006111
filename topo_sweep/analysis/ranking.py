"""Statistics on a sweep's trials: means over seeds, 95% intervals, ranks and their table.

Pure: a DataFrame as a store gives it goes in, plain data or text comes out. Accuracies are
fractions 0..1 everywhere but in printed text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from nas_core.cells.genotype import CellEdges, Genotype, known_name
from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import (
    METRICS,
    accuracies,
    chosen_metric,
    data_words,
    half_width,
)
from topo_sweep.analysis.text import aligned, counted, n_words

COLUMNS: Final = (
    "rank", "genotype", "topology", "class_id", "n", "runs",
    "mean", "sd", "ci_low", "ci_high", "diverged",
)  # fmt: skip
"""The columns of a ranking's table: `n` counts seeds, `runs` trainings, `diverged` those of them
that diverged. `sd` (ddof 1) and `ci_*` are NaN where n = 1."""

_TIE = 1e-9  # means of counts of correct images differ by more, or only by rounding
_KEYS: Final = {"topology": "genotype", "class": "class_id"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranking:
    """Networks of one protocol, data set and phase, best mean first.

    Args:
        table: one row a group with the columns `COLUMNS`, sorted by rank.
        by: 'topology' (one row a canonical genotype) or 'class'.
        metric: 'val' or 'test'; `METRICS` has its name.
        min_seeds: groups with fewer seeds were left out.
        left_out: how many those are.
        failed: trials that were left out since they have no result.
        kind: of the sweep, 'topologies' or 'genotypes'.
        nodes: intermediate nodes of a cell.
        data: the data set and how it was split, in words.
        protocol_hash: names the protocol of all trials.
        phase: operations and reduction wiring that all trials share, in words; '' for genotypes.

    """

    table: pd.DataFrame
    by: str
    metric: str
    min_seeds: int
    left_out: int
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

    @property
    def seeds(self) -> str:
        """How many seeds the groups have: 'n = 3' or 'n = 2 to 5'."""
        return n_words(self.table["n"])

    @property
    def header(self) -> str:
        """What a reader of the numbers must know, in one line."""
        setting = [f"data {self.data}", f"protocol {self.protocol_hash}"]
        setting += [self.phase] if self.phase else []
        metric = self.metric_name.capitalize()
        groups = _units(self.kind, self.by, len(self.table))
        opening = f"{metric} of {groups}, means over seeds ({self.seeds}); {'; '.join(setting)}."
        return " ".join([opening, *_cautions(self.table), *_omissions(self)])


def rank(
    trials: pd.DataFrame, *, by: str = "topology", metric: str | None = None, min_seeds: int = 1
) -> Ranking:
    """Rank networks by their mean accuracy over seeds.

    Accuracies of one seed are averaged first (members of a class, evaluations of a search), so
    that the seed is the unit: means, standard deviations (ddof 1) and 95% Student t intervals
    are over those averages and `n` counts seeds. Equal means share a rank, and the next rank
    counts all before it (1, 2, 2, 4). Intervals are not clipped to 0..1.

    A diverged trial counts with the accuracy that its diverged network had, about chance level;
    where its row has none it counts as 0, so that a missing number cannot flatter. Failed trials
    have no result: they are left out and counted.

    Args:
        trials: one row a trial, as `ResultStore.trials` gives them.
        by: 'topology' (each canonical genotype by itself) or 'class' (members pooled).
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        min_seeds: groups with fewer seeds are left out and counted.

    Raises:
        InputError: nothing to rank, or trials of several protocols, data sets or phases (named),
            or a metric or pooling that these trials do not allow.

    """
    if by not in _KEYS:
        raise InputError(f"a ranking is by topology or by class, got {by!r}")
    if min_seeds < 1:
        raise InputError(f"--min-seeds is 1 or more, got {min_seeds}")
    rows = _with_results(trials)
    _check_one_experiment(rows)
    kind, holdout = str(rows["kind"].iloc[0]), int(rows["holdout"].iloc[0])
    if by == "class":
        _check_poolable(rows)
    phase = _phase(rows) if kind == "topologies" or by == "class" else ""
    metric = chosen_metric(metric, holdout=holdout)
    groups = _grouped(rows.assign(value=accuracies(rows, metric)), _KEYS[by])
    table = _ranked(groups[groups["n"] >= min_seeds])
    if table.empty:
        most = groups["n"].max()
        raise InputError(
            f"none of {_units(kind, by, len(groups))} has {min_seeds} seeds: use --min-seeds "
            f"{most}, or run more seeds"
        )
    return Ranking(
        table=table,
        by=by,
        metric=metric,
        min_seeds=min_seeds,
        left_out=len(groups) - len(table),
        failed=len(trials) - len(rows),
        kind=kind,
        nodes=len(Genotype.from_string(rows["genotype"].iloc[0]).normal.nodes),
        data=data_words(rows),
        protocol_hash=str(rows["protocol_hash"].iloc[0]),
        phase=phase,
    )


def to_records(ranking: Ranking, top: int | None = None) -> list[dict[str, Any]]:
    """Return the first `top` rows as plain Python values, NaN as None, with the metric's name."""
    records = _top(ranking, top).to_dict("records")
    return [
        {str(key): None if pd.isna(value) else value for key, value in record.items()}
        | {"metric": ranking.metric}
        for record in records
    ]


def format_table(ranking: Ranking, top: int | None = None) -> str:
    """Return the header and the first `top` rows for people; accuracies in percent."""
    shown = _top(ranking, top)
    columns = {
        "rank": [str(value) for value in shown["rank"]],
        **_names(ranking, shown),
        "n": [str(value) for value in shown["n"]],
        "runs": [str(value) for value in shown["runs"]],
        "mean %": [_percent(value) for value in shown["mean"]],
        "SD": [_percent(value) for value in shown["sd"]],
        "95% interval": [
            "-" if np.isnan(low) else f"{_percent(low)} to {_percent(high)}"
            for low, high in zip(shown["ci_low"], shown["ci_high"], strict=True)
        ],
        "diverged": [str(value) for value in shown["diverged"]],
    }
    if (ranking.table["runs"] == ranking.table["n"]).all():
        del columns["runs"]
    if not ranking.table["diverged"].any():
        del columns["diverged"]
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    left = [place for place, name in enumerate(columns) if name in {"genotype", "wiring"}]
    lines = [ranking.header, *aligned(rows, left=left)]
    if more := len(ranking.table) - len(shown):
        lines.append(f"({more} more: --top {len(ranking.table)})")
    return "\n".join(lines)


def _with_results(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have a result, diverged ones included."""
    if trials.empty:
        raise InputError(
            "there is no finished trial to rank: start some with `topo-sweep run`, or wait "
            "(`topo-sweep status` shows how far a run is)"
        )
    rows = trials[trials["status"] != "failed"]
    if rows.empty:
        error = _most_common([str(error)] for error in trials["error"])
        raise InputError(
            f"nothing to rank: {counted(len(trials), 'trial')} ran and all failed, most often "
            f"with {error!r}: run them again with --retry-failed"
        )
    return rows


def _check_one_experiment(rows: pd.DataFrame) -> None:
    """Refuse to compare what differs in more than the network and the seed."""
    for column, what in (
        ("protocol_hash", "protocols"),
        ("dataset", "data sets"),
        ("holdout", "hold-outs"),
        ("train_limit", "limits of training images"),
        ("fingerprint", "data set fingerprints"),
        ("kind", "phases"),
    ):
        values = sorted({"none" if pd.isna(value) else str(value) for value in rows[column]})
        if len(values) > 1:
            raise _mixed(what, [f"{column} {value}" for value in values])


def _check_poolable(rows: pd.DataFrame) -> None:
    mixed = sorted(set(rows.loc[rows["class_id"].isna(), "genotype"]))
    if mixed:
        example = known_name(Genotype.from_string(mixed[0])) or mixed[0]
        raise InputError(
            "classes pool networks whose normal operations are all equal, and "
            f"{counted(len(mixed), 'genotype')} here mix operations ({example}): "
            "rank by topology instead"
        )


def _phase(rows: pd.DataFrame) -> str:
    """Return what all networks share beside their normal wiring, in words.

    A network whose reduction cell is wired like its normal one may belong to a sweep with
    either rule (topology 0 does, where 0 is the fixed wiring), so each has one or two phases and
    all must have one in common.
    """
    phases = [_phases(Genotype.from_string(text)) for text in set(rows["genotype"])]
    first = _most_common(phases)
    others = [own for own in phases if first not in own]
    if others:
        raise _mixed("phases", [f"'{first}'", f"'{_most_common(others)}'"])
    return first


def _phases(genotype: Genotype) -> tuple[str, ...]:
    normal, reduction = genotype.normal, genotype.reduction
    cells = f"cells of {len(normal.nodes)} nodes, normal {_operations(normal)}, reduction"
    if reduction.uniform_operation is None:
        return (f"{cells} {reduction}",)
    fixed = f"{cells} {_operations(reduction)} on wiring {reduction.topology.index}"
    same = f"{cells} {_operations(reduction)} wired like the normal cell"
    return (fixed, same) if reduction.topology == normal.topology else (fixed,)


def _most_common(phases: Iterable[Sequence[str]]) -> str:
    counts = Counter(phase for own in phases for phase in own)
    return min(counts, key=lambda phase: (-counts[phase], phase))


def _mixed(what: str, names: Sequence[str]) -> InputError:
    return InputError(
        f"a ranking never mixes {what}, and these trials have {' and '.join(names)}: rank each "
        "on its own, as a sweep of its own or by choosing rows of topo_sweep.load_results"
    )


def _grouped(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return a row a group, unranked; which order the trials came in does not matter."""
    rows = rows.sort_values([key, "seed", "value"])  # the order in which floats are added up
    seeds = rows.groupby([key, "seed"])["value"].mean().groupby(level=key)
    runs = rows.assign(diverged=rows["status"] == "diverged").groupby(key)
    smallest = rows.sort_values(["topology", "genotype"]).drop_duplicates(key).set_index(key)
    groups = pd.DataFrame(
        {
            "n": seeds.count(),
            "runs": runs.size(),
            "mean": seeds.mean(),
            "sd": seeds.std(ddof=1),
            "diverged": runs["diverged"].sum(),
        }
    ).join(smallest[[name for name in ("genotype", "topology", "class_id") if name != key]])
    half = half_width(groups["sd"], groups["n"])
    return groups.assign(ci_low=groups["mean"] - half, ci_high=groups["mean"] + half).reset_index()


def _ranked(groups: pd.DataFrame) -> pd.DataFrame:
    """Add competition ranks; inside a tie the smallest topology comes first."""
    ordered = groups.sort_values("mean", ascending=False)
    means = ordered["mean"].to_numpy()
    starts = np.append(True, -np.diff(means) > _TIE)[: len(means)]
    ranks = np.maximum.accumulate(np.where(starts, np.arange(1, len(means) + 1), 0))
    ranked = ordered.assign(rank=ranks).sort_values(["rank", "topology", "genotype"])
    return ranked[list(COLUMNS)].reset_index(drop=True)


def _cautions(table: pd.DataFrame) -> list[str]:
    """Say what the numbers cannot tell."""
    sentences = []
    if (table["n"] > 1).any():
        sentences.append(
            "Intervals are 95% t intervals over training seeds, given this split and this test set."
        )
    if (table["n"] == 1).all():
        sentences.append("With one seed there is no interval, and this order is not evidence.")
    elif (table["n"] == 1).any():
        sentences.append("Where n = 1 there is no interval, and the place is not evidence.")
    if diverged := int(table["diverged"].sum()):
        sentences.append(f"{counted(diverged, 'diverged trial')} counted, with the last accuracy.")
    return sentences


def _omissions(ranking: Ranking) -> list[str]:
    sentences = []
    if ranking.left_out:
        groups = _units(ranking.kind, ranking.by, ranking.left_out)
        sentences.append(f"{groups} with fewer than {ranking.min_seeds} seeds left out.")
    if ranking.failed:
        sentences.append(f"{counted(ranking.failed, 'failed trial')} left out.")
    return sentences


def _names(ranking: Ranking, shown: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns that say which network a row is; genotypes are too long to print."""
    genotypes = [Genotype.from_string(text) for text in shown["genotype"]]
    wirings = [str(genotype.normal.topology) for genotype in genotypes]
    if ranking.kind != "topologies" and ranking.by == "topology":
        names = [known_name(own) or f"normal {_operations(own.normal)}" for own in genotypes]
        return {"genotype": names, "wiring": wirings}
    topologies = {"topology": [str(value) for value in shown["topology"]]}
    classes = {"class": [str(value) for value in shown["class_id"]]}
    both = classes | topologies if ranking.by == "class" else topologies | classes
    return both | {"wiring": wirings}


def _operations(cell: CellEdges) -> str:
    """Return 'all sep_conv_3x3', or how many edges have which operation."""
    if cell.uniform_operation:
        return f"all {cell.uniform_operation}"
    counts = Counter(edge.operation for edge in cell.edges)
    return ", ".join(f"{count} {operation}" for operation, count in counts.most_common())


def _top(ranking: Ranking, top: int | None) -> pd.DataFrame:
    return ranking.table if top is None else ranking.table.head(top)


def _percent(fraction: float) -> str:
    return "-" if np.isnan(fraction) else f"{100 * fraction:.2f}"


def _units(kind: str, by: str, count: int) -> str:
    one, many = ("class", "classes") if by == "class" else ("topology", "topologies")
    if by == "topology" and kind != "topologies":
        one, many = "genotype", "genotypes"
    return f"{count} {one if count == 1 else many}"

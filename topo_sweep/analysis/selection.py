"""Choosing from what a sweep measured: the best topologies, the cell of the best search.

Every choice comes with a sentence on how sure it is and where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_core.cells.genotype import Genotype
from nas_core.errors import InputError
from topo_sweep.analysis import ranking
from topo_sweep.analysis.accuracy import METRICS, accuracies, half_width
from topo_sweep.analysis.searches import found
from topo_sweep.analysis.text import counted
from topo_sweep.store.opened import OpenedSweep, by_newest_row, open_sweep

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Choice:
    """What was chosen from a sweep, best first.

    Args:
        genotypes: the networks.
        seeds: those whose accuracies decided.
        origin: where the choice came from, for the record of the next sweep.
        remarks: sentences on how sure the choice is, warnings first.

    """

    genotypes: tuple[Genotype, ...]
    seeds: tuple[int, ...]
    origin: str
    remarks: tuple[str, ...]


def best_topologies(sweep: OpenedSweep, top: int = 1) -> Choice:
    """Return the `top` networks of a topology sweep by validation (else test) accuracy.

    Raises:
        InputError: a sweep of another kind, or fewer finished topologies than asked for.

    """
    if sweep.manifest.kind != "topologies":
        raise InputError(
            f"{sweep.folder} is a sweep of kind {sweep.manifest.kind}, which ranks no "
            "topologies: name the folder of one of kind topologies, such as `topo-sweep run demo`"
        )
    trials = sweep.trials()
    ranked = ranking.rank(trials)
    few: tuple[str, ...] = ()
    if len(ranked.table) >= top:
        # Means over fewer seeds scatter more, so the luckiest of them would win.
        seeds = int(ranked.table["n"].sort_values(ascending=False).iloc[top - 1])
        more = ranking.rank(trials, min_seeds=seeds)
        left_out = len(ranked.table) - len(more.table)
        ranked = more
        few = (f"left out with fewer than {seeds} seeds: {left_out}",) if left_out else ()
    if len(ranked.table) < top:
        raise InputError(
            f"{sweep.folder} has {len(ranked.table)} finished topologies, and the best {top} were "
            f"asked for: use --top {len(ranked.table)}, or finish the sweep first"
        )
    return Choice(
        genotypes=tuple(Genotype.from_string(text) for text in ranked.table["genotype"][:top]),
        seeds=_seeds(trials),
        origin=_origin(
            sweep, ranked.metric, f"the best{f' {top}' * (top > 1)} of {len(ranked.table)}"
        ),
        remarks=(*_warnings(ranked.metric), *few, _margin(trials, ranked)),
    )


def above(sweep: OpenedSweep, accuracy: float) -> Choice:
    """Return every network whose mean accuracy exceeds a fraction, best first.

    Raises:
        InputError: none does; says how good the best is.

    """
    cells = _cells(sweep)
    chosen = cells[cells["value"] > accuracy]
    metric = str(cells["metric"].iloc[0])
    if chosen.empty:
        raise InputError(
            f"none of {counted(len(cells), 'network')} of {sweep.folder} is above {accuracy:.2%} "
            f"{METRICS[metric]}, the best has {cells['value'].max():.2%}: use a lower --above"
        )
    texts = dict.fromkeys(chosen["genotype"])
    return Choice(
        genotypes=tuple(Genotype.from_string(text) for text in texts),
        seeds=_seeds(sweep.trials()),
        origin=_origin(sweep, metric, f"those above {accuracy:.2%} of {len(cells)}"),
        remarks=_warnings(metric),
    )


def winner(sweep: OpenedSweep) -> Choice:
    """Return the network with the best mean accuracy, of a sweep of any kind.

    Raises:
        InputError: nothing is evaluated yet.

    """
    if sweep.manifest.kind == "topologies":
        return best_topologies(sweep)
    if (only := _only_cell(sweep)) is not None:
        return only
    cells = _cells(sweep)
    best, metric = cells.iloc[0], str(cells["metric"].iloc[0])
    if len(cells) == 1:
        return Choice(
            genotypes=(Genotype.from_string(best["genotype"]),),
            seeds=_seeds(sweep.trials()),
            origin=f"the one network of {sweep.folder.name}",
            remarks=(),
        )
    remark = (
        f"the best of {counted(len(cells), 'network')} has {best['value']:.2%} {METRICS[metric]}"
    )
    remark += f", the second {cells.iloc[1]['value']:.2%}"
    return Choice(
        genotypes=(Genotype.from_string(best["genotype"]),),
        seeds=_seeds(sweep.trials()),
        origin=_origin(sweep, metric, f"the best of {len(cells)}"),
        remarks=(*_warnings(metric), f"{remark}: the best of many looks better than it is"),
    )


def _only_cell(sweep: OpenedSweep) -> Choice | None:
    """Return what a sweep found that holds one search and no evaluation: there is no choice."""
    if sweep.manifest.kind != "search" or len(sweep.trials()):
        return None
    found_texts = list(dict.fromkeys(sweep.searches()["genotype"].dropna()))
    if len(found_texts) != 1:
        raise InputError(
            f"{sweep.folder} found {counted(len(found_texts), 'cell')} and none of them is "
            "evaluated, so none is best: evaluate them first, or name one"
        )
    return Choice(
        genotypes=(Genotype.from_string(found_texts[0]),),
        seeds=_seeds(sweep.searches()),
        origin=f"the one cell that {sweep.folder.name} found",
        remarks=(),
    )


def found_by(results: Path, name: str, dataset: str) -> Choice:
    """Return what the newest sweep of searches of this name found best.

    Cells searched on digits are for digits, those searched on either CIFAR for both.

    Raises:
        InputError: there is no such sweep, or nothing of it is evaluated yet.

    """
    folders = results.iterdir() if results.is_dir() else ()
    sweeps = [open_sweep(folder) for folder in folders if (folder / "sweep.json").is_file()]
    named = [
        sweep
        for sweep in sweeps
        if sweep.manifest.sweep == name
        and sweep.manifest.kind == "search"
        and (sweep.manifest.data.dataset == "digits") == (dataset == "digits")
    ]
    if not named:
        raise InputError(
            f"found:{name} asks for what the searches of {name} found, and {results} has no such "
            f"sweep for {dataset}: run `topo-sweep run {name}` first, or write your own list of "
            "genotypes"
        )
    newest = max(named, key=by_newest_row)
    return winner(newest)


def _cells(sweep: OpenedSweep) -> pd.DataFrame:
    """Return `genotype`, `value` (mean accuracy) and `metric` of each network, best first."""
    if sweep.manifest.kind == "search":
        evaluated = found(sweep.searches(), sweep.trials(), any_method=True)
        table, metric = evaluated.rows[["genotype", "value"]], evaluated.metric
    else:
        ranked = ranking.rank(sweep.trials())
        table, metric = ranked.table.rename(columns={"mean": "value"}), ranked.metric
    ordered = table.sort_values(["value", "genotype"], ascending=[False, True])
    return ordered.assign(metric=metric).reset_index(drop=True)


def _seeds(trials: pd.DataFrame) -> tuple[int, ...]:
    return tuple(sorted({int(seed) for seed in trials["seed"]}))


def _origin(sweep: OpenedSweep, metric: str, which: str) -> str:
    return f"{which} networks of {sweep.folder.name} by {METRICS[metric]}"


def _warnings(metric: str) -> tuple[str, ...]:
    if metric == "val":
        return ()
    optimistic = (
        "warning: no images were held out, so test accuracy selects, and the test accuracy of "
        "what is selected is optimistic; a sweep with --holdout avoids that"
    )
    return (optimistic,)


def _margin(trials: pd.DataFrame, ranked: ranking.Ranking) -> str:
    """Say how far the best is ahead of the second, with an interval over common seeds."""
    table = ranked.table
    if len(table) < 2:
        return "there is one topology, so nothing was chosen"
    usable = trials[trials["status"] != "failed"]
    values = usable.assign(value=accuracies(usable, ranked.metric))
    first, second = (
        values[values["genotype"] == text].groupby("seed")["value"].mean()
        for text in table["genotype"][:2]
    )
    ahead = (first - second).dropna()
    names = [f"topology {index}" for index in table["topology"][:2]]
    opening = f"{names[0]} is ahead of {names[1]} by {100 * ahead.mean():.2f} points"
    if len(ahead) < 2:
        return f"{opening} on one seed: without an interval that is no evidence"
    half = float(half_width(ahead.std(ddof=1), len(ahead)))
    low, high = 100 * (ahead.mean() - half), 100 * (ahead.mean() + half)
    sure = "clear of zero" if low > 0 else "not clear of zero"
    return (
        f"{opening}, 95% interval {low:.2f} to {high:.2f} over {len(ahead)} common seeds: {sure}, "
        f"and the best of {len(table)} looks better than it is"
    )

"""Choosing from what a sweep measured: the best topologies, the cell of the best search.

Every choice comes with a sentence on how sure it is and where it came from. As in a ranking,
diverged trials count in the means; a network that diverged each time is never chosen.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from nas_core.cells.genotype import Genotype
from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import METRICS, chosen_metric
from topo_sweep.analysis.adaptive.report import FLATTERED, race_statement
from topo_sweep.analysis.adaptive.rule import race_of
from topo_sweep.analysis.design import diverged_runs, fewest_seeds
from topo_sweep.analysis.ranking import Ranking, rank
from topo_sweep.analysis.searches import join_evaluations
from topo_sweep.analysis.sureness import margin, surely_above, sureness
from topo_sweep.analysis.text import counted
from topo_sweep.spec.adaptive import Adaptive
from topo_sweep.spec.networks import TopologySweep
from topo_sweep.spec.trials import network_name
from topo_sweep.store.opened import OpenedSweep, by_newest_row, sweeps_in

WITHOUT_EVALUATIONS: Final = (
    "let its run go on, with evaluation_seeds in its file, or draw what it found with "
    "`topo-sweep plot skips {}`"
)
"""What to do with a sweep of several found cells, none of them evaluated; {} is its folder."""


@dataclass(frozen=True)
class Choice:
    """What was chosen from a sweep, best first.

    Args:
        genotypes: the networks.
        seeds: those whose accuracies decided.
        origin: where the choice came from, for the record of the next sweep; it ends in
            '(optimistic)' where test accuracy chose.
        remarks: sentences on how sure the choice is, warnings first.
        first_seeds: of an adaptive sweep how many seeds each class began with, before results
            chose who got more; None of another.

    """

    genotypes: tuple[Genotype, ...]
    seeds: tuple[int, ...]
    origin: str
    remarks: tuple[str, ...] = ()
    first_seeds: int | None = None


def best_topologies(sweep: OpenedSweep, top: int = 1, *, by: str = "class") -> Choice:
    """Return the `top` networks of a topology sweep by validation (else test) accuracy.

    They are the first of its ranking, without what has less than half as many seeds.

    Args:
        sweep: a sweep of topologies.
        top: how many.
        by: 'class' counts the members of a class, which are one network up to renamed nodes, as
            one, with all their trainings, and returns the smallest that was trained; 'topology'
            counts each by itself, as the paper does.

    Of an adaptive sweep they are the best of its race, by the means that decide there: the clearly
    best get the fewest seeds. A race has one topology of each class, so `by` makes no difference.

    Raises:
        InputError: a sweep of another kind, or fewer finished classes or topologies than asked for;
            those of which every trial diverged are not finished.

    """
    if not sweep.ranks_topologies:
        raise InputError(
            f"{sweep.folder} is a sweep of kind {sweep.manifest.kind}, which ranks no "
            "topologies: name the folder of one of kind topologies, such as `topo-sweep run demo`"
        )
    units = {"class": "classes", "topology": "topologies"}[by]
    if race := sweep.manifest.race:
        return _best_of_race(sweep, race, top, units)
    trials, remarks = _without_lost(sweep, "class_id" if by == "class" else "genotype")
    ranking = rank(trials, by=by)
    _check_enough(sweep, len(ranking.table), top, units, remarks)
    seeds = fewest_seeds(ranking.table["n"], top)
    ranking = rank(trials, by=by, min_seeds=seeds)
    which = _best_of(len(ranking.table), top)
    if ranking.left_out:
        remarks.append(f"left out with fewer than {seeds} seeds: {ranking.left_out}")
    chosen = ranking.table["genotype"].head(top)
    if by == "class":
        trials, pooled = _pooled(trials, ranking)
        remarks += pooled
    remarks += _diverged_among(trials, chosen)
    order = ranking.table["genotype"].tolist()
    remarks += [*sureness(ranking, chosen), margin(trials, ranking.design.metric, order)]
    return _chosen(sweep, ranking.design.metric, which, chosen, remarks, what=units)


def _best_of_race(sweep: OpenedSweep, asked: TopologySweep, top: int, units: str) -> Choice:
    """Return the first `top` of a race, with its own statement in place of ordinary intervals."""
    race = race_of(asked, sweep.trials())
    if race.standing is None:
        raise InputError(
            f"{sweep.folder} is an adaptive sweep that tells nothing of its {units} yet: run it "
            "again first, with --retry-failed where trials failed"
        )
    trials, remarks = _without_lost(sweep)
    means = pd.Series(race.standing.means, [str(each) for each in asked.genotype_list()]).dropna()
    means = means[means.index.isin(trials["genotype"])].sort_values(ascending=False, kind="stable")
    _check_enough(sweep, len(means), top, units, remarks)
    chosen = means.index[:top]
    if others := trials.loc[~trials["genotype"].isin(means.index), "genotype"].nunique():
        remarks.append(f"left out since they are not in the race: {counted(others, 'topology')}")
    remarks += _diverged_among(trials, chosen)
    goal = (asked.adaptive or Adaptive()).goal
    remarks += [f"of a race for {goal}: {race_statement(race, asked)}", FLATTERED]
    metric = chosen_metric(None, holdout=asked.data.holdout)
    return _chosen(sweep, metric, _best_of(len(means), top), chosen, remarks, what=units)


def _best_of(count: int, top: int) -> str:
    return f"the best{f' {top}' * (top > 1)} of {count}"


def _check_enough(
    sweep: OpenedSweep, finished: int, top: int, units: str, remarks: Sequence[str]
) -> None:
    """Refuse to choose more than are finished."""
    if finished < top:
        reason = "".join(f" ({remark})" for remark in remarks)
        raise InputError(
            f"{sweep.folder} has {finished} finished {units}{reason}, and the best {top} were "
            f"asked for: use --top {finished}, or finish the sweep first"
        )


def _pooled(trials: pd.DataFrame, ranking: Ranking) -> tuple[pd.DataFrame, list[str]]:
    """Return the trials as those of the member that stands for each class, and a remark."""
    standing = ranking.table.set_index("class_id")["genotype"]
    pooled = trials.assign(genotype=trials["class_id"].map(standing)).dropna(subset="genotype")
    members = ranking.design.runs["member"].nunique()
    classes = ranking.design.runs["group"].nunique()
    if members == classes:
        return pooled, []
    remark = "members of a class count as one, and its smallest goes on"
    return pooled, [f"{remark}: {classes} stand for {members} topologies"]


def above(sweep: OpenedSweep, accuracy: float) -> Choice:
    """Return every network whose mean accuracy exceeds a fraction, best first.

    Raises:
        InputError: none does; says how good the best is.

    """
    trials, remarks = _without_lost(sweep)
    networks, metric = _networks(sweep, trials)
    chosen = networks[networks["accuracy"] > accuracy]
    if chosen.empty:
        raise InputError(
            f"none of {counted(len(networks), 'network')} of {sweep.folder} is above "
            f"{accuracy:.2%} {METRICS[metric]}, the best has {networks['accuracy'].max():.2%}: "
            "use a lower --above"
        )
    which = f"those above {accuracy:.2%} of {len(networks)}"
    genotypes = chosen["genotype"].drop_duplicates()
    remarks += _diverged_among(trials, genotypes)
    adaptive = sweep.manifest.adaptive is not None
    remarks.append(surely_above(trials, metric, genotypes, accuracy, adaptive=adaptive))
    return _chosen(sweep, metric, which, genotypes, remarks)


def winner(sweep: OpenedSweep) -> Choice:
    """Return the network with the best mean accuracy, of a sweep of any kind.

    Raises:
        InputError: nothing is evaluated yet.

    """
    if sweep.ranks_topologies:
        return best_topologies(sweep)
    if sweep.holds_searches and not len(sweep.trials(random_cells=False)):
        return _only_cell(sweep)
    trials, lost = _without_lost(sweep)
    trials, few = _with_enough_seeds(trials)
    networks, metric = _networks(sweep, trials)
    chosen = networks["genotype"].head(1)
    remarks = [*lost, *few, *_diverged_among(trials, chosen)]
    if len(networks) == 1:
        only = f"the one network of {sweep.folder.name}"
        only += " that did not diverge each time" if lost else ""
        only += " with enough seeds" if few else ""
        return Choice(_parsed(chosen), _seeds(trials), only, tuple(remarks))
    best, second = networks["accuracy"].head(2)
    remarks.append(
        f"the best of {counted(len(networks), 'network')} has {best:.2%} {METRICS[metric]}, the "
        f"second {second:.2%}"
    )
    order = networks["genotype"].drop_duplicates().tolist()
    remarks += [margin(trials, metric, order)] if len(order) > 1 else []
    return _chosen(sweep, metric, f"the best of {len(networks)}", chosen, remarks)


def _only_cell(sweep: OpenedSweep) -> Choice:
    """Return the one cell that was found, where no evaluation could choose among several."""
    cells = sweep.searches()["genotype"].dropna().drop_duplicates()
    if len(cells) != 1:
        way = WITHOUT_EVALUATIONS if len(cells) else "`topo-sweep status {}` shows how far it is"
        raise InputError(
            f"{sweep.folder} found {counted(len(cells), 'cell')} and none of them is "
            f"evaluated, so none is best: {way.format(shlex.quote(str(sweep.folder)))}"
        )
    only = f"the one cell that {sweep.folder.name} found"
    return Choice(_parsed(cells), _seeds(sweep.searches()), only)


def found_by(results: Path, name: str, dataset: str) -> Choice:
    """Return what the newest sweep of searches of this name found best.

    Cells searched on digits are for digits, those searched on either CIFAR for both.

    Raises:
        InputError: there is no such sweep, or nothing of it is evaluated yet.

    """
    named = [
        sweep
        for sweep in sweeps_in(results)
        if sweep.manifest.sweep == name
        and sweep.holds_searches
        and (sweep.manifest.data.dataset == "digits") == (dataset == "digits")
    ]
    if not named:
        raise InputError(
            f"found:{name} asks for what the searches of {name} found, and {results} has no such "
            f"sweep for {dataset}: run `topo-sweep run {name}` first, or write your own list of "
            "genotypes"
        )
    return winner(max(named, key=by_newest_row))


def chosen_on_test_images(origins: Iterable[str]) -> list[str]:
    """Return a sentence for each choice by test accuracy.

    Args:
        origins: as sweeps record them; one that names several choices has them after '; '.

    """
    choices = [choice for origin in origins for choice in origin.split("; ")]
    chosen = [choice for choice in choices if METRICS["test"] in choice]
    return [f"Chosen on the test images, so optimistic on them: {choice}." for choice in chosen]


def _without_lost(sweep: OpenedSweep, key: str = "genotype") -> tuple[pd.DataFrame, list[str]]:
    """Return the trials of what did not diverge each time, and a remark on the others.

    `key` is the column of which a value is a network, or a class of them.

    Raises:
        InputError: there are none but others.

    """
    trials = sweep.trials(random_cells=False)
    counts = diverged_runs(trials, key)
    lost = counts.index[counts["diverged"] == counts["runs"]]
    if not len(lost):
        return trials, []
    if len(lost) == len(counts):
        raise InputError(
            f"every trial of {sweep.folder} diverged, so none of its networks is best: run "
            "it by another protocol, such as --set learning_rate=0.01"
        )
    remark = f"left out since every trial of theirs diverged: {len(lost)}"
    return trials[~trials[key].isin(lost)], [remark]


def _with_enough_seeds(trials: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the trials of networks with as many seeds as it takes, and a remark on the others."""
    counts = trials[trials["status"] != "failed"].groupby("genotype")["seed"].nunique()
    seeds = fewest_seeds(counts)
    enough = counts.index[counts >= seeds]
    if len(enough) == len(counts):
        return trials, []
    remark = f"left out with fewer than {seeds} seeds: {len(counts) - len(enough)}"
    return trials[trials["genotype"].isin(enough)], [remark]


def _diverged_among(trials: pd.DataFrame, genotypes: Iterable[str]) -> list[str]:
    """Say which of the chosen networks have diverged trials."""
    counts = diverged_runs(trials, "genotype").loc[list(genotypes)]
    some = counts[counts["diverged"] > 0]
    named = [
        f"{network_name(Genotype.from_string(str(genotype)))} ({lost} of {runs} trials)"
        for genotype, runs, lost in some.itertuples()
    ]
    return [f"chosen with diverged trials: {', '.join(named)}"] if named else []


def _networks(sweep: OpenedSweep, trials: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return `genotype` and mean `accuracy` of each network, best first, and which metric it is."""
    if sweep.holds_searches:
        evaluated = join_evaluations(sweep.searches(), trials, any_method=True)
        table, metric = evaluated.rows, evaluated.metric
    else:
        ranking = rank(trials, by="topology")
        table = ranking.table.rename(columns={"adjusted_mean": "accuracy"})
        metric = ranking.design.metric
    ordered = table.sort_values(["accuracy", "genotype"], ascending=[False, True])
    return ordered[["genotype", "accuracy"]], metric


def _parsed(genotypes: Iterable[str]) -> tuple[Genotype, ...]:
    return tuple(Genotype.from_string(text) for text in genotypes)


def _seeds(trials: pd.DataFrame) -> tuple[int, ...]:
    return tuple(sorted({int(seed) for seed in trials["seed"]}))


def _chosen(
    sweep: OpenedSweep,
    metric: str,
    which: str,
    genotypes: Iterable[str],
    remarks: Sequence[str] = (),
    *,
    what: str = "networks",
) -> Choice:
    """Return a choice by an accuracy, with a warning where that is a test accuracy."""
    optimistic = (
        "warning: no images were held out, so test accuracy selects, and the test accuracy of "
        "what is selected is optimistic; a sweep with --holdout avoids that"
    )
    caution, race = "" if metric == "val" else " (optimistic)", sweep.manifest.race
    return Choice(
        genotypes=_parsed(genotypes),
        seeds=_seeds(sweep.trials(random_cells=False)),
        origin=f"{which} {what} of {sweep.folder.name} by {METRICS[metric]}{caution}",
        remarks=(*([] if metric == "val" else [optimistic]), *remarks),
        first_seeds=len(race.seeds) if race else None,
    )

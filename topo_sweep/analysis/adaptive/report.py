"""What a race came to, in words: its statement, what it spent, and what one would ask for next.

How it decides is in `rule.py`. Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas_core.cells.topology import Topology
from topo_sweep.analysis.accuracy import METRICS, chosen_metric
from topo_sweep.analysis.adaptive.rule import (
    MOST_FAILED,
    Ending,
    Race,
    Standing,
    next_groups,
    race_table,
    standing,
)
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.text import counted, points
from topo_sweep.spec.adaptive import Adaptive
from topo_sweep.spec.networks import TopologySweep

_METHOD: Final = (
    "race of paired differences, normal-mixture confidence sequences, Bonferroni over pairs"
)
FLATTERED: Final = "the accuracies that chose flatter what they chose, so claims need fresh seeds"
_ASSUMES: Final = (
    "that a seed adds alike to all classes and that the rest is about normal; a diverged run "
    f"counts as the worst of its seed; {FLATTERED}, or the intervals of rank"
)
_OPENINGS: Final[dict[Ending, str]] = {
    "": "The race goes on",
    "budget": "The budget is spent before the race is over",
    "too few": "The race cannot go on, for no more classes are left than are wanted",
}


def race_finding(race: Race, spec: TopologySweep) -> Finding:
    """Return the statement of a race and what it spent.

    Args:
        race: how far it is.
        spec: the request, with its `adaptive` settings; see `TopologySweep.racing`.

    """
    results, now, names = np.array(race.results), race.standing, _names(spec)
    settings = spec.adaptive or Adaptive()
    chosen = np.isin(np.arange(len(names)), now.top) if now else np.zeros(len(names), bool)
    spent = f"It took {_runs_in_rounds(race)}"
    equal = int(results.max(initial=0)) * len(names)
    if equal > race.spent:
        spent += f"; as many seeds for every class as for the class with most are {equal:,}"
    sentences = [race_statement(race, spec), f"{spent}."]
    means = now.means if now else np.full(len(names), np.nan)
    table = pd.DataFrame(
        {
            "name": names,
            "chosen": chosen,
            "in_doubt": now.doubt > 0 if now else np.ones(len(names), bool),
            "runs": results,
            "above_all": means - np.nanmean(means) if now else means,
        }
    )
    return Finding(
        title="what the race came to",
        sentence=" ".join(sentences),
        method=_METHOD,
        assumes=_ASSUMES,
        numbers={
            "ended": race.ended,
            "top": settings.top,
            "confidence": settings.confidence,
            "delta": settings.delta,
            "reach": _finite(now),
            "runs": race.spent,
            "rounds": race.round,
            "runs_with_equal_seeds": equal,
            "in_doubt": now.still_racing if now else len(names),
            "metric": chosen_metric(None, holdout=spec.data.holdout),
        },
        tables={"classes": table},
        shown={"what was spent": _spent(results, chosen)},
    )


def race_line(race: Race) -> str:
    """Return in one line which round is run and who is still in the race."""
    wanted = counted(len(race.wanted), "run")
    if race.standing is None:
        return f"round 1: the first seeds of every class, {wanted}"
    racing, groups = race.standing.still_racing, len(race.results)
    reach = race.standing.reach
    doubt = "" if np.isinf(reach) else f", at most {points(reach)} points in doubt"
    return f"round {race.round}: {racing} of {groups} classes still race{doubt}; {wanted}"


def adaptive_finding(
    design: Design, trials: pd.DataFrame, settings: Adaptive | None = None
) -> Finding:
    """Return what a race would do next with the seeds that there are.

    Args:
        design: what was measured.
        trials: the rows that it is made of; of each class those of its smallest member would race.
        settings: how many of the best are looked for, and how surely; None is the default, with
            fewer than that where there are no more classes.

    """
    title = "what a race would do next"
    if design.kind != "topologies" or design.by != "class":
        sentence = "Nothing to race: `run --adaptive` takes sweeps of topologies, class by class."
        return Finding(title=title, sentence=sentence)
    results, failed = race_table(trials, design.groups["genotype"].tolist(), design.metric)
    table, groups = results.to_numpy(dtype=float), len(design.groups)
    failures = Counter(group for group, _ in failed)
    out = {group for group, count in failures.items() if count >= MOST_FAILED}
    racing = groups - len(out)
    settings = settings or Adaptive(top=max(min(Adaptive().top, racing - 1), 1))
    if racing <= settings.top or len(table) < 2:
        needed = f"{settings.top + 1} classes and 2 seeds"
        found = f"{racing} and {len(table)}"
        return Finding(title=title, sentence=f"A race needs {needed}; there are {found}.")
    now = standing(table, settings, out=out)
    seeds = results.notna().sum().to_numpy()
    option = "best" if settings.top == 1 else f"top={settings.top}"
    unlike = "" if np.isinf(now.reach) else f" (what is shown so far: {points(now.reach)} points)"
    goal = f"{settings.goal} to within {points(settings.delta)} points"
    sure = f"{100 * settings.confidence:g}% confidence"
    opening = f"By {design.metric_name} the seeds at hand"
    if len(design.runs.drop_duplicates(["group", "member"])) > groups:
        opening += " of the smallest member of each class"
    if len(now.doubtful):
        following = len(next_groups(now, seeds))
        sentence = (
            f"{opening} do not tell {goal} from the rest with {sure}{unlike}: "
            f"`run --adaptive {option}` would give the next seed to {following} of {groups}."
        )
    else:
        sentence = f"{opening} tell {goal} from the rest with {sure}: nothing more is due."
    names = [design.name_of(int(group)) for group in design.groups.index]
    rows = pd.DataFrame(
        {
            "name": names,
            "chosen": np.isin(np.arange(groups), now.top),
            "in_doubt": now.doubt > 0,
            "seeds": seeds,
        }
    )
    return Finding(
        title=title,
        sentence=sentence,
        method=_METHOD,
        assumes=_ASSUMES,
        numbers={
            "top": settings.top,
            "confidence": settings.confidence,
            "delta": settings.delta,
            "reach": _finite(now),
            "in_doubt": now.still_racing,
            "metric": design.metric,
        },
        tables={"classes": rows},
    )


def race_statement(race: Race, spec: TopologySweep) -> str:
    """Return what may be said of the chosen classes, and no more; arguments as `race_finding`."""
    now, names, settings = race.standing, _names(spec), spec.adaptive or Adaptive()
    sure = f"With {100 * settings.confidence:g}% confidence"
    if now is None:
        return f"{_OPENINGS[race.ended]}: its first seeds are not all there, so nothing is claimed."
    chosen = ", ".join(names[group] for group in now.top)
    measured = METRICS[chosen_metric(None, holdout=spec.data.holdout)]
    of_one = "it" if settings.top == 1 else "one of these"
    other, out = "no other class", ""
    if race.out:
        other = "no other class that raced"
        failed = ", ".join(names[group] for group in sorted(race.out))
        out = f" Out of the race, for their runs failed: {failed}."
    if race.ended == "told apart":
        more = f" by more than {points(settings.delta)} points" if settings.delta else ""
        return f"{sure}, {other} is better than {of_one}{more} in {measured}: {chosen}.{out}"
    opening = _OPENINGS[race.ended]
    racing = f"{now.still_racing} of {len(names)} classes are in doubt"
    if np.isinf(now.reach):
        return f"{opening}: {racing}, and nothing can be claimed yet.{out}"
    shown = f"{other} is better than {of_one} by more than {points(now.reach)} points"
    asked = f"{points(settings.delta)} points were asked for"
    return f"{opening}: {racing}. {sure}, {shown} in {measured}, where {asked}: {chosen}.{out}"


def _names(spec: TopologySweep) -> list[str]:
    return [
        f"class {Topology.from_index(index).class_id} (topology {index})"
        for index in spec.topologies
    ]


def _runs_in_rounds(race: Race) -> str:
    return f"{counted(race.spent, 'run')} in {counted(race.round, 'round')}"


def _spent(results: NDArray[np.int_], chosen: NDArray[np.bool_]) -> list[tuple[str, ...]]:
    """Return how many classes were given how many runs, and the runs of all."""
    rows: list[tuple[str, ...]] = [("runs a class", "classes", "chosen", "runs")]
    for count in sorted(set(results.tolist())):
        alike = results == count
        numbers = (count, alike.sum(), (alike & chosen).sum(), count * alike.sum())
        rows.append(tuple(f"{number:,}" for number in numbers))
    total = (len(results), int(chosen.sum()), int(results.sum()))
    return [*rows, ("all", *(f"{number:,}" for number in total))]


def _finite(now: Standing | None) -> float | None:
    return None if now is None or np.isinf(now.reach) else now.reach

"""What is said of a race claims no more than its intervals do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from nas_core.protocols.training import DataOptions
from tests.topo_sweep.analysis.adaptive.races import FIRST, results, run_race
from tests.topo_sweep.analysis.ranking_rows import frame, row
from tests.topo_sweep.conftest import small_spec
from topo_sweep.analysis.adaptive.report import (
    adaptive_finding,
    race_finding,
    race_line,
    race_statement,
)
from topo_sweep.analysis.adaptive.rule import Race, race, standing
from topo_sweep.analysis.design import design_of
from topo_sweep.analysis.findings import Finding
from topo_sweep.spec.adaptive import Adaptive

BEST = Adaptive(top=1, delta_points=0.4)
CLASSES = (0, 1, 4, 7, 11, 12)
"""A topology of each of six classes."""


def finding_of(ended: Race, settings: Adaptive, *, holdout: int = 0) -> Finding:
    data = DataOptions(dataset="digits", holdout=holdout)
    return race_finding(ended, small_spec(topologies=CLASSES, adaptive=settings, data=data))


def test_a_race_that_is_over_says_what_holds_and_what_it_took_beside_equal_seeds() -> None:
    ended, _ = run_race(results(lead=0.003), BEST)
    finding = finding_of(ended, BEST)

    assert finding.sentence.startswith(
        "With 95% confidence, no other class is better than it by more than 0.40 points in "
        "last-epoch test accuracy: class 5 (topology 12). It took "
    )
    assert finding.numbers["ended"] == "told apart"
    assert finding.numbers["runs"] == sum(ended.results)
    header, *rows = finding.shown["what was spent"]
    assert header == ("runs a class", "classes", "chosen", "runs")
    assert rows[-1] == ("all", "6", "1", str(sum(ended.results)))
    assert sum(int(row[3]) for row in rows[:-1]) == sum(ended.results)
    assert "fresh seeds" in finding.assumes
    table = finding.tables["classes"]
    assert table.loc[table["chosen"], "name"].tolist() == ["class 5 (topology 12)"]


def test_several_are_named_best_first_and_no_delta_is_not_mentioned() -> None:
    truth = results(lead=0.05)
    truth[2] += 0.1
    two = Adaptive(top=2, delta_points=0.0, confidence=0.9)
    finding = finding_of(run_race(truth, two)[0], two, holdout=100)

    assert finding.sentence.startswith(
        "With 90% confidence, no other class is better than one of these in last-epoch "
        "validation accuracy: class 2 (topology 4), class 5 (topology 12). It took 18 runs in 1 "
        "round."
    )


def test_a_budget_that_ends_a_race_leaves_only_what_is_shown() -> None:
    exact = BEST.model_copy(update={"delta_points": 0.01})
    ended, _ = run_race(results(seeds=60), exact, budget=40)
    finding = finding_of(ended, exact)

    assert finding.sentence.startswith("The budget is spent before the race is over: ")
    assert " classes are in doubt. With 95% confidence, no other class " in finding.sentence
    assert " points in last-epoch test accuracy, where 0.01 points were asked for: " in (
        finding.sentence
    )
    assert finding.numbers["reach"] is not None
    assert float(finding.numbers["reach"]) > exact.delta


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    empty = pd.DataFrame(np.nan, index=[], columns=range(6), dtype=float)
    start = race(empty, BEST, seeds=FIRST)
    assert race_line(start) == "round 1: the first seeds of every class, 18 runs"
    said = finding_of(start, BEST).sentence
    assert said.startswith("The race goes on: its first seeds are not all there, so nothing is ")

    constant = pd.DataFrame(0.5, index=range(3), columns=range(6))
    equal = race(constant, BEST, seeds=FIRST)
    assert race_line(equal) == "round 2: 6 of 6 classes still race; 6 runs"
    said = finding_of(equal, BEST).sentence
    assert "6 of 6 classes are in doubt, and nothing can be claimed yet." in said


def test_what_failed_is_named() -> None:
    table = results().loc[[0, 1, 2]]
    table.loc[[1, 2], 4] = np.nan
    without = race(table, BEST, seeds=FIRST, failed={(4, 1), (4, 2)})
    said = finding_of(without, BEST).sentence
    assert "Out of the race, for their runs failed: class 4 (topology 11)." in said


def test_of_what_failed_it_is_not_said_that_it_is_no_better() -> None:
    truth = results(lead=0.01)
    truth[4] += 0.02  # the best of all, which failed
    truth.loc[[1, 2], 4] = np.nan
    ended = race(truth, BEST, seeds=FIRST, failed={(4, 1), (4, 2)})

    said = race_statement(ended, small_spec(topologies=CLASSES, adaptive=BEST))

    assert "no other class that raced is better than it" in said
    assert said.endswith("Out of the race, for their runs failed: class 4 (topology 11).")


def next_of(
    table: pd.DataFrame,
    settings: Adaptive | None = None,
    *,
    by: str = "class",
    status: Mapping[tuple[int, int], str] = MappingProxyType({}),
    **values: object,
) -> Finding:
    """Return what a race would do next; `status` is by group and seed of what did not end ok."""
    rows = [
        row(CLASSES[group], seed, value, status=status.get((group, seed), "ok")) | values
        for seed, results_of_seed in enumerate(table.to_numpy().tolist())
        for group, value in enumerate(results_of_seed)
    ]
    trials = frame(rows)
    return adaptive_finding(design_of(trials, by=by), trials, settings)


def test_of_any_design_it_says_who_would_get_the_next_seed() -> None:
    table = results().loc[:3] - 0.2
    table[0] += 0.1
    table[1] += 0.1
    first = next_of(table, Adaptive(top=1, delta_points=0.01))
    assert first.sentence.startswith(
        "By last-epoch test accuracy the seeds at hand do not tell the best class to within 0.01 "
        "points from the rest with 95% confidence (what is shown so far: 0."
    )
    assert "`run --adaptive best` would give the next seed to 2 of 6" in first.sentence

    table[1] -= 0.05
    clear = next_of(table, BEST)
    assert clear.sentence == (
        "By last-epoch test accuracy the seeds at hand tell the best class to within 0.40 points "
        "from the rest with 95% confidence: nothing more is due."
    )


def test_of_few_classes_it_looks_for_all_but_one() -> None:
    few = next_of(results().loc[:3] - 0.2)
    assert "tell the 5 best classes to within" in few.sentence
    assert "`run --adaptive top=5` would" in few.sentence
    one = next_of(results().loc[:3, [0]])
    assert one.sentence == "A race needs 2 classes and 2 seeds; there are 1 and 4."


def test_only_what_run_can_race_is_said_to_race() -> None:
    nothing = "Nothing to race: `run --adaptive` takes sweeps of topologies, class by class."
    table = results().loc[:3]
    assert next_of(table, BEST, kind="genotypes").sentence == nothing
    assert next_of(table, BEST, by="topology").sentence == nothing


def test_what_diverged_or_failed_counts_as_the_race_itself_counts_it() -> None:
    table = results(lead=0.004).loc[:5]
    status = {(0, 1): "diverged", (1, 2): "failed", (1, 3): "failed"}
    table.loc[1, 0] = 0.1
    said = next_of(table, BEST, status=status)

    failed = table.copy()
    failed.loc[[2, 3], 1] = np.nan
    worst = failed.copy()
    worst.loc[1, 0] = table.loc[1].drop(0).min()
    now = standing(worst.to_numpy(), BEST, out={1})
    assert said.numbers["reach"] == pytest.approx(now.reach)
    assert said.numbers["in_doubt"] == now.still_racing
    by_itself = standing(failed.to_numpy(), BEST, out={1})
    assert said.numbers["reach"] != pytest.approx(by_itself.reach)
    in_doubt = said.tables["classes"].set_index("name")["in_doubt"]
    assert not in_doubt["class 1"], "it is out of the race"

"""What is said of a race claims no more than its intervals do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.topo_sweep.analysis.adaptive.races import FIRST, results, run_race
from topo_sweep.analysis.adaptive.report import (
    adaptive_finding,
    race_finding,
    race_line,
)
from topo_sweep.analysis.adaptive.rule import race
from topo_sweep.analysis.design import Design
from topo_sweep.spec.adaptive import Adaptive

BEST = Adaptive(top=1, delta_points=0.4)
NAMES = [f"class {number}" for number in range(6)]


def test_a_race_that_is_over_says_what_holds_and_what_it_took_beside_equal_seeds() -> None:
    ended, _ = run_race(results(lead=0.003), BEST)
    finding = race_finding(ended, BEST, NAMES, "test")

    assert finding.sentence.startswith(
        "With 95% confidence, no other class is better than it by more than 0.40 points in "
        "last-epoch test accuracy: class 5. It took "
    )
    assert finding.numbers["ended"] == "told apart"
    assert finding.numbers["runs"] == sum(ended.results)
    header, *rows = finding.shown["what was spent"]
    assert header == ("runs a class", "classes", "chosen", "runs")
    assert rows[-1] == ("all", "6", "1", str(sum(ended.results)))
    assert sum(int(row[3]) for row in rows[:-1]) == sum(ended.results)
    assert "fresh seeds" in finding.assumes
    table = finding.tables["classes"]
    assert table.loc[table["chosen"], "name"].tolist() == ["class 5"]


def test_several_are_named_best_first_and_no_delta_is_not_mentioned() -> None:
    truth = results(lead=0.05)
    truth[2] += 0.1
    two = Adaptive(top=2, delta_points=0.0, confidence=0.9)
    finding = race_finding(run_race(truth, two)[0], two, NAMES, "val")

    assert finding.sentence.startswith(
        "With 90% confidence, no other class is better than one of these in last-epoch "
        "validation accuracy: class 2, class 5. It took 18 runs in 1 round."
    )


def test_a_budget_that_ends_a_race_leaves_only_what_is_shown() -> None:
    exact = BEST.model_copy(update={"delta_points": 0.01})
    ended, _ = run_race(results(seeds=60), exact, budget=40)
    finding = race_finding(ended, exact, NAMES, "test")

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
    said = race_finding(start, BEST, NAMES, "test").sentence
    assert said.startswith("The race goes on: its first seeds are not all there, so nothing is ")

    constant = pd.DataFrame(0.5, index=range(3), columns=range(6))
    equal = race(constant, BEST, seeds=FIRST)
    assert race_line(equal) == "round 2: 6 of 6 classes still race; 6 runs"
    said = race_finding(equal, BEST, NAMES, "test").sentence
    assert "6 of 6 classes are in doubt, and nothing can be claimed yet." in said


def test_what_failed_is_named() -> None:
    table = results().loc[[0, 1, 2]]
    table.loc[[1, 2], 4] = np.nan
    without = race(table, BEST, seeds=FIRST, failed={(4, 1), (4, 2)})
    said = race_finding(without, BEST, NAMES, "test").sentence
    assert "Out of the race, for their runs failed: class 4." in said


def design(table: pd.DataFrame) -> Design:
    runs = table.rename_axis(index="seed").reset_index()
    runs = runs.melt("seed", var_name="group", value_name="accuracy").astype({"group": int})
    groups = pd.DataFrame({"class_id": table.columns, "topology": table.columns, "genotype": ""})
    return Design(
        runs=runs.assign(member=runs["group"], status="ok"),
        groups=groups,
        by="class",
        unit="class",
        metric="test",
        failed=0,
        kind="topologies",
        nodes=4,
        data="digits",
        protocol_hash="x",
        phase="",
    )


def test_of_any_design_it_says_who_would_get_the_next_seed() -> None:
    table = results().loc[:3]
    table[0] += 0.1
    table[1] += 0.1
    first = adaptive_finding(design(table), Adaptive(top=1, delta_points=0.01))
    assert first.sentence.startswith(
        "The seeds at hand do not tell the best class to within 0.01 points from the rest with "
        "95% confidence (what is shown so far: 0."
    )
    assert "`run --adaptive best` would give the next seed to 2 of 6" in first.sentence

    table[1] -= 0.05
    clear = adaptive_finding(design(table), BEST)
    assert clear.sentence == (
        "The seeds at hand tell the best class to within 0.40 points from the rest with 95% "
        "confidence: nothing more is due."
    )
    few = adaptive_finding(design(table))
    assert few.sentence == "A race needs 21 classes and 2 seeds; there are 6 and 4."

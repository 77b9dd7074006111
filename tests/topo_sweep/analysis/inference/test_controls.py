"""What the section on searches and chance says, and what it never says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from nas_core.errors import InputError
from topo_sweep.analysis.inference.controls import TITLE, controls_finding

NO_CONTROL = (
    "No random cell was trained beside the found ones, so no search result is called good here: "
    "ask for the sweep again with --random-cells 20, or "
)
GOOD, CHANCE = [0.90, 0.91, 0.89], [0.80, 0.81, 0.79, 0.82, 0.78]
ALONG = "topology 17"


def trainings(accuracies: Sequence[float], **values: Any) -> pd.DataFrame:
    """Return trainings of cells, one each."""
    about = {
        "seed": 0,
        "status": "ok",
        "protocol_hash": "p",
        "dataset": "digits",
        "holdout": 0,
        "train_limit": None,
        "fingerprint": "f",
        "search": "search_edarts, 5 cells",
        "space": "all",
        "wiring": ALONG,
    } | values
    rows = [
        {"genotype": f"{about['space']} {n}", "trial_id": str(n), "test_accuracy": accuracy} | about
        for n, accuracy in enumerate(accuracies)
    ]
    return pd.DataFrame(rows)


def found(accuracies: Sequence[float] = GOOD, **values: Any) -> pd.DataFrame:
    rows = trainings(accuracies, **values)
    return rows.assign(search_id=values.get("search_id", rows["genotype"]))


def random(accuracies: Sequence[float] = CHANCE, **values: Any) -> pd.DataFrame:
    return trainings(accuracies, **values)


def test_without_random_cells_no_result_is_called_good_and_the_way_is_named() -> None:
    finding = controls_finding(found(), random().iloc[:0])

    assert finding.title == TITLE
    assert finding.sentence.startswith(NO_CONTROL)
    assert not finding.tables
    assert (
        "none to set beside random cells" in controls_finding(found().iloc[:0], random()).sentence
    )


def test_found_cells_that_do_better_are_called_so_with_interval_and_n() -> None:
    finding = controls_finding(found(), random())

    assert finding.sentence.startswith(
        "Found cells do better than random cells of all operations, topology 17: +10.00 points "
        "on average, 95% interval "
    )
    assert finding.sentence.endswith("(3 found, 5 random, 1 training seed in common).")
    assert finding.numbers["better"] == 1
    (row,) = finding.to_json_value()["tables"]["comparisons"]
    assert row["difference"] == pytest.approx(0.1)
    assert row["ci_low"] > 0
    assert row["verdict"] == "better"


def test_those_that_do_worse_are_called_so_as_well() -> None:
    assert controls_finding(found(CHANCE), random(GOOD)).sentence.startswith(
        "Found cells do worse than random cells of all operations, topology 17: -10.00 points"
    )


def test_what_the_interval_does_not_show_is_not_claimed() -> None:
    sentence = controls_finding(found([0.80, 0.83]), random()).sentence

    assert sentence.startswith("No difference between found cells and random cells of all")
    assert sentence.endswith("; so no search result is called good here.")
    assert "better" not in sentence


def test_a_single_found_cell_is_judged_by_its_place_which_takes_nineteen_others() -> None:
    best = controls_finding(found([0.9]), random([0.5 + n / 100 for n in range(19)]))
    assert best.sentence == (
        "The one found cell is better than chance gives among random cells of all operations, "
        "topology 17 (p = 0.05 by its place; 1 found, 19 random, 1 training seed in common)."
    )
    few = controls_finding(found([0.9]), random()).sentence
    assert few.startswith("The one found cell is not shown to be better than random cells of all")
    assert few.endswith(
        "To be sure that a single found cell can stand out here, 19 random ones are due."
    )
    bad = controls_finding(found([0.1]), random([0.5 + n / 100 for n in range(19)])).sentence
    assert "To be sure" not in bad
    lone = controls_finding(found([0.9]), random([0.8])).sentence
    assert lone.startswith("Whether found cells do better than random cells of all operations, ")
    assert "is not known: one random cell is no evidence" in lone


def test_two_single_cells_take_more_random_ones_and_it_is_said_how_many() -> None:
    searches = pd.concat([found([0.9]), found([0.9], search="search_darts, 8 cells")])

    none = controls_finding(searches, random().iloc[:0]).sentence
    few = controls_finding(searches, random([0.5 + n / 100 for n in range(38)])).sentence
    enough = controls_finding(searches, random([0.5 + n / 100 for n in range(39)])).sentence

    assert "--random-cells 39" in none
    assert "can stand out in 2 of these comparisons, 39 random ones are due." in few
    assert enough.startswith("Found cells do better than random ones in 2 of 2 comparisons (")
    assert "To be sure" not in enough
    beside = pd.concat([found([0.97, 0.98, 0.96]), found([0.97], search="search_darts, 8 cells")])
    helped = controls_finding(beside, random([0.5 + n / 100 for n in range(30)])).sentence
    assert helped.startswith("Found cells do better than random ones in 2 of 2 comparisons (")
    assert "To be sure" not in helped


def test_a_cell_that_all_searches_found_is_a_single_one() -> None:
    thrice = pd.concat([found([0.9], search_id=str(number)) for number in range(3)])

    sentence = controls_finding(thrice, random([0.5 + n / 100 for n in range(19)])).sentence

    assert sentence.startswith("The one found cell is better than chance gives among random cells")
    assert "1 found by 3 searches, 19 random" in sentence


def test_random_cells_of_other_sweeps_count_where_they_were_trained_alike() -> None:
    apart = ("other", random(protocol_hash="q"))
    untested = ("untested", random().assign(test_accuracy=float("nan")))

    alone = controls_finding(found(), random())
    finding = controls_finding(found(), random(), beside=[apart, untested])

    assert finding.tables["comparisons"].equals(alone.tables["comparisons"])
    assert "other is left out: found and random cells are compared under one protocol" in (
        finding.sentence
    )
    assert "have different protocols, p and q: train random cells as the found" in finding.sentence
    assert "untested is left out: no last-epoch test accuracy in 5 trials" in finding.sentence

    only = controls_finding(found(), random().iloc[:0], beside=[("same", random()), apart])
    assert only.tables["comparisons"].equals(alone.tables["comparisons"])
    none = controls_finding(found(), random().iloc[:0], beside=[apart])
    assert none.sentence.startswith(NO_CONTROL)
    assert "and seeds. other is left out: " in none.sentence


def test_random_cells_are_set_beside_searches_of_their_space_and_wiring() -> None:
    searches = pd.concat([found(), found(space="SS1"), found(space="SS2", wiring="any wiring")])
    cells = pd.concat(
        [random(), random(GOOD, wiring="any wiring"), random(space="SS1", wiring="topology 3")]
    )
    finding = controls_finding(searches, cells)

    table = finding.tables["comparisons"]
    assert table[["space", "wiring", "random_wiring", "verdict"]].to_numpy().tolist() == [
        ["all", ALONG, ALONG, "better"],
        ["all", ALONG, "any wiring", ""],
    ]
    assert (table["p_holm"] >= table["p_value"]).all()
    for said in (
        "Found cells do better than random ones in 1 of 2 comparisons (search_edarts, 5 cells ",
        "Not judged, for want of random cells: search_edarts, 5 cells in SS1, topology 17; search_",
        "Random cells of no search here: SS1, topology 3.",
    ):
        assert said in finding.sentence
    none_fit = controls_finding(found(space="SS3"), random()).sentence
    assert none_fit.startswith(NO_CONTROL)


def test_many_comparisons_are_held_to_more() -> None:
    near = [0.82, 0.84, 0.83]
    alone = controls_finding(found(near), random())
    others = [f"SS{n}" for n in range(1, 9)]
    searches = pd.concat([found(near), *(found(CHANCE, space=space) for space in others)])
    cells = pd.concat([random(), *(random(space=space) for space in others)])

    row = alone.tables["comparisons"].iloc[0]
    assert row["verdict"] == "better"
    among = controls_finding(searches, cells)
    table = among.tables["comparisons"]
    (same,) = table[table["space"] == "all"].to_dict("records")
    assert same["p_value"] == pytest.approx(row["p_value"])
    assert same["p_holm"] == pytest.approx(min(9 * row["p_value"], 1))
    assert among.sentence.startswith("Found cells do better than random ones in 0 of 9 comparis")
    assert "so no search result is called good here." in among.sentence


def test_failed_and_diverged_trainings_and_other_seeds_are_told() -> None:
    searches = pd.concat(
        [
            found(),
            found([0.5], genotype="late", seed=9),
            found([0.1], status="diverged"),
            found([float("nan")], status="failed"),
        ]
    )
    finding = controls_finding(searches, random())

    assert "1 failed training left out." in finding.sentence
    assert "1 diverged training counted, with the last accuracy." in finding.sentence
    assert "Left out, since the other side lacks the seed: 1 training." in finding.sentence
    apart = controls_finding(found(), random(seed=5)).sentence
    assert "Where no seed is shared, what seeds differ by is in the difference." in apart


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [("protocol_hash", "q", "protocols, p and q"), ("holdout", 50, "hold-outs, 0 and 50")],
)
def test_cells_that_were_not_trained_alike_are_refused(column: str, value: Any, what: str) -> None:
    with pytest.raises(InputError, match=f"have different {what}: train random cells as the"):
        controls_finding(found(), random(**{column: value}))


def test_the_text_shows_a_row_a_comparison() -> None:
    text = controls_finding(found(), random()).to_text()

    assert "found minus random cells, points:" in text
    assert "search_edarts, 5 cells  all    topology 17  topology 17       3       5" in text
    assert "Student's t test" in text

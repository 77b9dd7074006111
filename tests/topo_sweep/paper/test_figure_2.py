"""The claims of the paper's figure 2: which contrasts they mean, and when one is decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nas_core.cells.spaces import SPACES
from nas_core.errors import InputError
from nas_core.streams import key_number
from tests.topo_sweep.paper.compare_rows import (
    Accuracy,
    evaluation,
    search,
    searched_grid,
    source,
    topology,
)
from topo_sweep.paper.claims import Contrast
from topo_sweep.paper.compare import compare
from topo_sweep.paper.evidence import Source
from topo_sweep.paper.figure_2 import (
    CONVOLUTIONS,
    best_and_worst,
    deeper_is_better,
    dilation_hurts,
    order_of_operations,
)
from topo_sweep.paper.records import ComparedTable, Entry

WORTH = {"sep3": 4.0, "sep5": 3.0, "dil3": 2.0, "dil5": 1.0}
"""Points of an operation where the paper is right."""


def as_claimed(space: str, cells: int, seed: int) -> float:
    """Accuracies of which all four claims are true, with a little noise of each search."""
    operations = sum(WORTH[name] for name in CONVOLUTIONS[space]) / len(CONVOLUTIONS[space])
    deeper = 0.5 if cells == 16 and space != "SS3" else 0.0
    noise = 0.06 * key_number(space, cells, seed) / 2**64
    return 80 + operations + deeper + noise


def grid(
    accuracy: Accuracy,
    *,
    seeds: range = range(20, 24),
    spaces: tuple[str, ...] = tuple(SPACES),
    depths: tuple[int, ...] = (5, 16),
) -> Source:
    return searched_grid(accuracy, spaces=spaces, depths=depths, seeds=seeds)


def figure(rows: Source) -> ComparedTable:
    (comparison,) = compare([rows], "fig2").tables
    return comparison


def verdicts(comparison: ComparedTable) -> list[str]:
    """The verdicts on claims 1 to 4."""
    judged = [entry for entry in comparison.entries if entry.theirs]
    claims = {entry.quantity: entry.verdict for entry in judged}
    return list(claims.values())


def contrasts(comparison: ComparedTable, beginning: str) -> dict[str, Entry]:
    return {
        entry.row: entry for entry in comparison.entries if entry.quantity.startswith(beginning)
    }


def pairs(claim: list[Contrast]) -> list[str]:
    """The labels without what stands in brackets."""
    return [contrast.label.partition(" (")[0] for contrast in claim]


# What the claims mean


def test_claim_1_sets_ss3_above_seven_spaces_and_six_more_above_ss4() -> None:
    assert pairs(best_and_worst((5, 16))) == [
        *("SS3 - SS1", "SS3 - SS2", "SS3 - SS5", "SS3 - SS6", "SS3 - SS7", "SS3 - SS8"),
        *("SS3 - SS4", "SS1 - SS4", "SS2 - SS4", "SS5 - SS4", "SS6 - SS4", "SS7 - SS4"),
        "SS8 - SS4",
    ]


def test_claim_3_means_every_pair_of_spaces_that_differ_by_one_dilated_for_a_separable() -> None:
    assert sorted(contrast.label for contrast in dilation_hurts((5, 16))) == [
        "SS1 - SS4 (sep3 -> dil5)",
        "SS2 - SS4 (sep5 -> dil3)",
        "SS3 - SS1 (sep5 -> dil3)",
        "SS3 - SS2 (sep3 -> dil5)",
        "SS3 - SS5 (sep5 -> dil5)",
        "SS3 - SS6 (sep3 -> dil3)",
        "SS5 - SS4 (sep3 -> dil3)",
        "SS6 - SS4 (sep5 -> dil5)",
    ]


def test_claim_4_has_a_contrast_a_step_from_all_spaces_that_differ_by_that_step() -> None:
    pairs_by_label = {
        contrast.label: set(contrast.label.partition(" (")[0].split(", "))
        for contrast in order_of_operations((5, 16))
    }

    assert list(pairs_by_label.values()) == [
        {"SS1 - SS6", "SS5 - SS2"},
        {"SS3 - SS1", "SS2 - SS4"},
        {"SS1 - SS5", "SS6 - SS2", "SS7 - SS8"},
    ]


@pytest.mark.parametrize(
    "claim", [best_and_worst, deeper_is_better, dilation_hurts, order_of_operations]
)
def test_a_contrast_weighs_both_sides_alike_so_that_what_is_common_cancels(
    claim: Callable[[tuple[int, ...]], list[Contrast]],
) -> None:
    for contrast in claim((5, 16)):
        weights = contrast.weights.values()
        assert sum(weights) == pytest.approx(0)
        assert sum(weight for weight in weights if weight > 0) == pytest.approx(
            1 if contrast.judged else 2
        )


def test_a_contrast_is_the_mean_difference_over_both_depths() -> None:
    values = {("SS3", 5): 90.0, ("SS3", 16): 92.0, ("SS1", 5): 89.0, ("SS1", 16): 88.0}
    comparison = figure(grid(lambda s, c, _: values.get((s, c), 50.0)))

    gap = contrasts(comparison, "SS3 (all separable)")["SS3 - SS1"]
    assert (gap.n, gap.ours) == pytest.approx((4, 2.5))  # of 1 and 4


def gained(in_ss3: float) -> Accuracy:
    """Accuracies that gain so much at 16 cells in SS3, and 1.1 points in the mean of the others."""
    gains = {"SS3": in_ss3, "SS1": 1.7}
    lucky = {20: -0.01, 21: 0.01, 22: -0.01, 23: 0.01}  # in SS3 twice as much
    return lambda space, cells, seed: (
        80 + (gains.get(space, 1.0) + lucky[seed] * (1 + (space == "SS3"))) * (cells == 16)
    )


@pytest.mark.parametrize(("in_ss3", "sign"), [(2.6, "above 0"), (-0.4, "below 0")])
def test_claim_2_is_the_gain_of_seven_spaces_whatever_it_is_in_ss3(
    in_ss3: float, sign: str
) -> None:
    figure_2 = figure(grid(gained(in_ss3)))
    gain, excess = contrasts(figure_2, "searching at 16 cells").values()

    assert (gain.ours, excess.ours) == pytest.approx((1.1, in_ss3 - 1.1))  # 7.7 / 7
    assert (gain.verdict, gain.theirs) == ("supported", "> 0")
    assert (excess.verdict, excess.theirs) == ("not judged", "")
    assert excess.note == f"{sign}; not judged"
    (readings,) = [note for note in figure_2.notes if "two readings" in note]
    assert "gains more" in readings
    assert "gains less, or nothing" in readings


# When a claim is decided


def test_all_claims_are_supported_where_the_paper_is_right() -> None:
    assert verdicts(figure(grid(as_claimed))) == ["supported"] * 4


def test_all_claims_are_contradicted_where_the_opposite_is_true() -> None:
    opposite = figure(grid(lambda *point: 160 - as_claimed(*point)))
    assert verdicts(opposite) == ["contradicted"] * 4


def test_seeds_are_paired_so_that_luck_of_a_seed_common_to_all_spaces_does_not_hide_them() -> None:
    lucky = figure(
        grid(lambda space, cells, seed: as_claimed(space, cells, seed) - 5 * (seed - 20))
    )

    assert verdicts(lucky) == ["supported"] * 4
    spread = contrasts(lucky, "test accuracy of the cells found at 5")["SS1 (sep3 dil3)"].sd
    assert spread is not None
    assert spread > 5


def test_equal_spaces_and_a_single_seed_decide_nothing() -> None:
    assert verdicts(figure(grid(lambda *_: 81.7))) == ["undecided"] * 4
    single = figure(grid(as_claimed, seeds=range(20, 21)))
    assert verdicts(single) == ["undecided"] * 4
    assert {entry.note for entry in single.entries if entry.theirs} == {"one seed: no interval"}


# Which rows


def test_evaluations_of_a_search_are_averaged_and_search_seeds_counted() -> None:
    rows = [search("search_subspace", 20, space, cells=5) for space in ("SS1", "SS3")]
    trials = [evaluation(row, 0.8 + 0.1 * k, seed=k) for row in rows for k in (0, 1)]

    mean = contrasts(figure(source(trials, rows)), "test accuracy")["SS1 (sep3 dil3)"]
    assert (mean.n, mean.ours) == pytest.approx((1, 85))


def test_missing_spaces_and_depths_are_said_and_claims_that_need_them_undecided() -> None:
    comparison = figure(grid(as_claimed, spaces=("SS1", "SS3", "SS4"), depths=(5,)))

    assert verdicts(comparison) == ["undecided"] * 4
    claim = contrasts(comparison, "SS3 (all separable)")
    assert claim["SS3 - SS1"].note == "above 0"
    assert (claim["SS3 - SS8"].note, claim["SS3 - SS8"].ours) == ("no rows", None)
    assert "All is at 5 cells alone: claim 2 has no rows." in comparison.notes


def test_notes_tell_of_searches_then_depths_then_evaluations() -> None:
    rows = [search("search_subspace", 20, space, cells=5) for space in ("SS1", "SS3")]
    lost = search("search_subspace", 21, "SS1", cells=5, genotype=None, status="failed")
    trials = [evaluation(row, 0.8) for row in rows]
    trials += [evaluation(rows[0], 0.8, seed=1, status="failed") | {"test_accuracy": None}]

    assert figure(source(trials, [*rows, lost])).notes[:3] == (
        "Left out as failed: 1 search.",
        "All is at 5 cells alone: claim 2 has no rows.",
        "Left out as failed: 1 training.",
    )


def test_a_claim_with_missing_spaces_can_still_be_contradicted() -> None:
    opposite = grid(lambda *point: 160 - as_claimed(*point), spaces=("SS1", "SS3", "SS4"))
    assert verdicts(figure(opposite))[0] == "contradicted"


def test_poolings_and_methods_are_not_mixed() -> None:
    rows = [search("search_subspace", 20, space, cells=5) for space in ("SS1", "SS3")]
    average = [
        row | {"operations": row["operations"].replace("max", "avg"), "search_id": row["space"]}
        for row in rows
    ]
    trials = [evaluation(row, 0.8) for row in rows] + [evaluation(row, 0.7) for row in average]
    first, second = compare([source(trials, rows + average)], "fig2").tables

    assert {first.entries[0].ours, second.entries[0].ours} == {80, 70}
    assert "avg pooling" in first.setting
    assert "max pooling" in second.setting


def test_kinds_of_attention_are_not_mixed_and_leave_the_other_tables_alone() -> None:
    rows = [
        search("search_subspace", 20, space, cells=5, attention=attention, search_id=name)
        for attention in ("none", "once")
        for space in ("SS1", "SS3")
        for name in (f"{space} {attention}",)
    ]
    trials = [evaluation(row, 0.8 if row["attention"] == "none" else 0.7) for row in rows]
    first, second = compare([source(trials, rows)]).tables

    assert [first.entries[0].ours, second.entries[0].ours] == pytest.approx([80, 70])
    assert first.differs == ()
    assert second.differs == ("search: attention once (paper none)",)


def test_two_settings_at_one_place_leave_it_out_with_a_note() -> None:
    rows = [search("search_subspace", 20, space, cells=5) for space in ("SS1", "SS3")]
    again: dict[str, Any] = rows[0] | {"search_id": "again", "protocol_hash": "other"}
    trials = [evaluation(row, 0.8) for row in (*rows, again)]
    comparison = figure(source(trials, [*rows, again]))

    (accuracy,) = contrasts(comparison, "test accuracy").values()
    assert accuracy.row.startswith("SS3 ")
    assert verdicts(comparison) == ["undecided"] * 4
    (note,) = [text for text in comparison.notes if text.startswith("Left out: SS1 at 5 cells")]
    assert "and other" in note
    assert "as a sweep of its own" in note


def test_two_settings_everywhere_leave_claims_without_rows_and_other_tables_alone() -> None:
    rows = [search("search_subspace", 20, space, cells=5) for space in ("SS1", "SS3")]
    rows += [row | {"search_id": row["space"], "protocol_hash": "other"} for row in rows]
    trials = [evaluation(row, 0.8) for row in rows] + [topology(1, 0, 0.9)]
    comparisons = compare([source(trials, rows)]).tables

    assert [each.table for each in comparisons] == ["fig2", "phases"]
    assert {entry.note for entry in comparisons[0].entries if entry.theirs} == {"no rows"}
    assert sum(text.startswith("Left out") for text in comparisons[0].notes) == 2


def test_a_sweep_of_one_space_over_depths_is_not_figure_2() -> None:
    with pytest.raises(InputError, match="no rows for figure 2"):
        compare([grid(as_claimed, spaces=("SS1",))], "fig2")


def test_spaces_and_depths_of_the_figure_are_no_difference_from_the_paper() -> None:
    assert figure(grid(as_claimed)).differs == ()


def test_the_text_has_a_heading_a_claim_with_its_verdict() -> None:
    text = compare([grid(as_claimed)], "fig2").text

    assert "SUPPORTED: order of operations: sep3x3 > sep5x5 > dil3x3 > dil5x5\n" in text
    assert "Holm" in text

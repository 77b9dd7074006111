"""The two phases of the topology sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import ttest_ind

from tests.topo_sweep.analysis.adaptive.races import FIRST, stored_race
from tests.topo_sweep.paper.compare_rows import (
    find,
    only,
    source,
    topology,
)
from topo_sweep.analysis.statistics.anytime import anytime_interval
from topo_sweep.paper.compare import open_sources


def test_phases_compare_the_best_of_each_seed_with_the_papers() -> None:
    rows = [topology(i, seed, 0.90 + 0.01 * i + 0.02 * seed) for i in (0, 1, 2) for seed in (0, 1)]
    rows += [topology(2, seed, 0.94 + 0.02 * seed, unified=True) for seed in (0, 1)]
    comparison = only([source(rows)], "phases")

    highest = find(comparison, "phase 1", "highest")
    assert (highest.n, highest.ours) == pytest.approx((2, 93))  # of 92 and 94
    assert highest.difference == pytest.approx(93 - 92.44)
    assert highest.note == "paper: of 180"
    assert find(comparison, "phase 1", "range").theirs == "92.44 - 91.24 = 1.20"
    best = find(comparison, "phase 1", "best mean: topology 2")
    assert best.ours == pytest.approx(93)
    assert (best.theirs, best.difference) == ("", None), "the paper's may be of a single training"
    gain = find(comparison, "phase 2 - phase 1", "highest")
    assert (gain.n, gain.ours, gain.sd) == pytest.approx((2, 2, 0), abs=1e-9)
    assert gain.note == "all equal: no interval; paired by seed"
    said = " ".join(comparison.notes)
    assert "it is optimistic" in said
    assert "Phase 2 adds 61% parameters" in said
    assert "The paper does not say whether" in said


def test_a_phase_2_on_other_seeds_as_promote_makes_it_has_welchs_interval() -> None:
    rows = [topology(i, seed, 0.90 + 0.01 * i + 0.02 * seed) for i in (0, 1) for seed in (0, 1)]
    rows += [topology(1, seed, 0.94 + 0.01 * (seed - 2), unified=True) for seed in (2, 3, 4)]
    gain = find(only([source(rows)], "phases"), "phase 2 - phase 1", "highest")

    # Highest by seed: 91 and 93; 94, 95 and 96.
    theirs = ttest_ind([94, 95, 96], [91, 93], equal_var=False).confidence_interval(0.95)
    assert gain.ours == pytest.approx(95 - 92)
    assert (gain.low, gain.high) == pytest.approx(tuple(theirs))
    assert gain.note == "means over seeds, 3 and 2; Welch's interval"
    assert gain.theirs.startswith("93.66 - 92.44")


def test_the_best_mean_says_how_many_classes_may_be_the_best() -> None:
    noise = (0.0, 0.002, -0.002, 0.001)
    worth = {0: noise, 4: noise[::-1], 17: (-0.05, -0.052, -0.048, -0.049)}
    rows = [
        topology(index, seed, 0.95 + error, class_id=index)
        for index, errors in worth.items()
        for seed, error in enumerate(errors)
    ]

    best = find(only([source(rows)], "phases"), "phase 1", "best mean")
    assert best.note.endswith("; with 95% confidence the best of 3 classes is among 2")

    one = find(only([source(rows[::4])], "phases"), "phase 1", "best mean")
    assert one.note == "a mean over seeds; the paper's may be of one"


def test_of_a_race_the_best_is_its_own_and_nothing_ordinary_is_claimed(tmp_path: Path) -> None:
    sweep = stored_race(tmp_path)
    compared = only(open_sources([sweep.folder]), "phases")

    trials = sweep.trials()
    accuracies = 100 * trials.loc[trials["topology"] == 7, "test_accuracy"]
    best = find(compared, "phase 1", "best mean: topology 7")
    assert (best.n, best.ours) == pytest.approx((3, accuracies.mean()))
    low, high = anytime_interval(accuracies.mean(), accuracies.std(), 3)
    assert (best.low, best.high) == pytest.approx((float(low), float(high)))
    assert "the race alone says which may be the best" in best.note
    assert "95% confidence" not in compared.text
    first = trials[trials["seed"].isin(FIRST)].groupby("seed")["test_accuracy"]
    for row, values in (("highest", first.max()), ("lowest", first.min())):
        assert find(compared, "phase 1", row).ours == pytest.approx(100 * values.mean())


def test_where_all_of_a_race_went_on_only_its_first_seeds_show_highest_and_range() -> None:
    rows = [topology(i, seed, 0.90 + 0.01 * i + 0.02 * seed) for i in (0, 1) for seed in range(4)]
    comparison = only([source(rows, seeds_beforehand=(0, 1))], "phases")
    assert find(comparison, "phase 1", "highest").n == 2

    chosen = only([source(rows, seeds_beforehand=())], "phases")
    assert find(chosen, "phase 1", "highest").ours is None
    assert find(chosen, "phase 1", "best mean: topology 1").n == 4


def test_a_phase_2_of_what_test_accuracy_chose_says_so() -> None:
    origin = "the best 1 of 2 networks of topologies-cifar10-01 by last-epoch test accuracy"
    first = source([topology(i, 0, 0.90) for i in (0, 1)])
    second = source([topology(0, 1, 0.93, unified=True)], name="top1", origins=[origin])

    notes = only([first, second], "phases").notes
    assert f"top1: Chosen on the test images, so optimistic on them: {origin}." in notes


def test_a_seed_that_trained_fewer_topologies_does_not_lower_the_highest() -> None:
    rows = [topology(i, 0, value) for i, value in enumerate((0.90, 0.95))]
    rows += [topology(0, 1, 0.80)]
    comparison = only([source(rows)], "phases")

    assert find(comparison, "phase 1", "highest").n == 1
    assert find(comparison, "phase 1", "highest").ours == pytest.approx(95)
    # Seed 1 is bad for all, so topology 0 is not the best for having it.
    assert find(comparison, "phase 1", "best mean: topology 1").n == 1


def test_with_a_holdout_the_best_is_chosen_on_validation_images() -> None:
    held: dict[str, Any] = {"holdout": 5000}
    rows = [topology(0, 0, 0.95, val_accuracy=0.8, **held)]
    rows += [topology(1, 0, 0.90, val_accuracy=0.9, **held)]
    comparison = only([source(rows)], "phases")

    assert find(comparison, "phase 1", "best mean: topology 1").ours == pytest.approx(90)
    assert "chosen by validation accuracy" in " ".join(comparison.notes)


def test_the_phases_name_the_reduction_wiring_which_the_paper_does_not() -> None:
    rows = [topology(4, 0, 0.9), topology(5, 0, 0.9)]

    assert only([source(rows)], "phases").differs == (
        "reduction cell of phase 1: wiring 0 (paper: does not say)",
    )


def test_a_diverged_training_counts_with_zero_and_a_failed_one_is_left_out() -> None:
    rows = [
        topology(0, 0, 0.9),
        topology(1, 0, float("nan"), status="diverged"),
        topology(2, 0, float("nan"), status="failed"),
    ]
    comparison = only([source(rows)], "phases")

    assert find(comparison, "phase 1", "lowest").ours == 0
    assert comparison.notes[:2] == (
        "Left out as failed: 1 training.",
        "Counted although diverged: 1 training.",
    )

"""Two results of the same groups: how they are joined, and what is left out and said."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.cells.topology import isomorphism_classes
from tests.topo_sweep.analysis.inference.measured import REPRESENTATIVES, curves_of, measured
from tests.topo_sweep.analysis.ranking_rows import frame, row, uniform
from topo_sweep.analysis.design import design_of
from topo_sweep.analysis.inference.comparisons import (
    across_halves,
    balanced,
    of_epochs,
    of_halves,
    of_images,
    of_members,
    of_sweeps,
)

TRUE = np.linspace(0, 0.1, 12).tolist()


def tau(first: object, second: object) -> float:
    return float(stats.kendalltau(first, second).statistic)


@pytest.mark.parametrize("seeds", [2, 3, 4, 5])
def test_halves_are_all_splits_of_the_seeds_in_both_directions(seeds: int) -> None:
    random = np.random.default_rng(0)
    first, second = (pd.DataFrame(random.normal(size=(seeds, 9))) for _ in range(2))
    expected = []
    for size in {seeds // 2, seeds - seeds // 2}:
        for half in itertools.combinations(range(seeds), size):
            rest = [number for number in range(seeds) if number not in half]
            expected.append(tau(first.loc[list(half)].mean(), second.loc[rest].mean()))

    found = across_halves(first, second)

    assert found is not None
    assert found.tau == pytest.approx(np.mean(expected))


def test_of_many_seeds_some_splits_are_drawn_the_same_each_time() -> None:
    table = pd.DataFrame(np.random.default_rng(1).normal(size=(14, 9)))

    first, second = (across_halves(table, table, splits=20) for _ in range(2))

    assert first == second
    assert across_halves(table, table, splits=20, seed=1) != first


def test_one_seed_has_no_halves() -> None:
    table = pd.DataFrame([[0.1, 0.2, 0.3]])
    assert across_halves(table, table) is None
    found = of_halves(design_of(measured(TRUE, seeds=1)))
    assert (found.across, found.note) == (None, "it takes two seeds that the groups share")


def test_the_larger_whole_part_of_a_table_is_taken_and_what_is_left_out_is_said() -> None:
    trials = measured(TRUE, noise=0.01)
    lacks_a_seed = trials.drop(index=trials.index[-1])
    found = of_halves(design_of(lacks_a_seed))
    assert balanced(design_of(lacks_a_seed).table).shape == (4, 11)
    assert found.note == "1 group with missing trainings left out"

    begun = trials[(trials["seed"] < 3) | (trials["topology"] == 0)]
    assert balanced(design_of(begun).table).shape == (3, 12)
    assert of_halves(design_of(begun)).note == "1 seed with missing trainings left out"


def test_halves_of_a_sweep_without_noise_agree_and_those_of_noise_alone_do_not() -> None:
    whole = of_halves(design_of(measured(TRUE))).across
    assert whole is not None
    assert (whole.tau, whole.low) == (1.0, None)
    noise = of_halves(design_of(measured([0.0] * 79, noise=0.01))).across
    assert noise is not None
    assert noise.low is not None
    assert noise.high is not None
    assert noise.low < 0 < noise.high


def test_members_of_a_class_are_compared_with_each_other_and_never_with_themselves() -> None:
    several = [members for members in isomorphism_classes() if len(members) > 1][:10]
    topologies = [member.index for members in several for member in members[:2]]
    # Without noise the members of a class are equal, and classes differ.
    values = [number / 100 for number in range(10) for _ in range(2)]
    alike = measured(values, topologies=topologies)
    for by in ("class", "topology"):
        found = of_members(design_of(alike, by=by))
        assert found.across is not None
        assert (found.across.n, found.across.tau) == (10, 1.0)
    # First members rise with the class, second ones fall: whichever is drawn as the first.
    crossed = [(-1) ** number * (number // 2) / 100 for number in range(20)]
    found = of_members(design_of(measured(crossed, topologies=topologies)))
    assert found.across is not None
    assert found.across.tau < 0.2

    alone = of_members(design_of(measured(TRUE)))
    assert (alone.across, alone.note) == (None, "no two classes have several members")


def test_epochs_are_compared_with_the_last_of_the_same_trainings_and_of_other_seeds() -> None:
    trials = measured(TRUE, noise=0.02)
    design = design_of(trials)
    curves = curves_of(trials, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    random = np.random.default_rng(2)
    curves.loc[curves["epoch"] == 4, "test_accuracy"] = random.normal(size=len(trials))

    found = of_epochs(design, trials, curves)

    assert [each.what for each in found] == [
        f"after {epochs} of 10 epochs against all" for epochs in (1, 2, 5, 8)
    ]
    same = [each.same.tau for each in found if each.same is not None]
    assert same[:2] == [1.0, 1.0]
    assert same[2] < 0.7
    across, halves = found[0].across, of_halves(design).across
    assert across is not None
    assert halves is not None
    assert across.tau == pytest.approx(halves.tau)


def test_epochs_that_some_trainings_did_not_measure_are_passed_over() -> None:
    trials = measured(TRUE)
    curves = curves_of(trials, [0.25, 0.5, 0.75, 1.0])
    curves.loc[0, "test_accuracy"] = np.nan  # of the first training and epoch

    words = [each.what for each in of_epochs(design_of(trials), trials, curves)]
    assert words == ["after 2 of 4 epochs against all", "after 3 of 4 epochs against all"]

    last = curves[curves["epoch"] == 3]
    (none,) = of_epochs(design_of(trials), trials, last)
    assert none.note == "no epoch before the last was measured in all trainings"


def test_a_training_that_had_diverged_by_then_counts_as_lost() -> None:
    trials = measured(TRUE, seeds=1)
    trials.loc[11, ["status", "test_accuracy"]] = ["diverged", None]
    curves = curves_of(trials, [0.5, 1.0]).query("trial_id != @trials.trial_id[11]")

    (found,) = of_epochs(design_of(trials), trials, curves)

    assert found.same is not None
    assert (found.same.n, found.same.tau) == pytest.approx((12, 1.0))


def test_validation_is_compared_with_test_where_there_is_both() -> None:
    trials = measured(TRUE, noise=0.01, holdout=100)
    with_both = trials.assign(val_accuracy=1 - trials["test_accuracy"])
    found = of_images(design_of(with_both), with_both)
    assert found.same is not None
    assert found.same.tau == pytest.approx(-1.0)
    assert found.what == "last-epoch validation accuracy against last-epoch test accuracy"

    unmeasured = with_both.assign(test_accuracy=np.nan)
    note = of_images(design_of(unmeasured), unmeasured).note
    assert note == "not all trainings have last-epoch test accuracy"
    plain = measured(TRUE)
    assert of_images(design_of(plain), plain).note == "no images were held out"


def test_sweeps_by_class_are_joined_by_class_and_what_has_no_partner_is_counted() -> None:
    first = design_of(measured(TRUE))
    # Other members of the same classes, wired alike, on other seeds.
    others = [isomorphism_classes()[number][-1].index for number in range(3, 8)]
    rows = [
        row(uniform(index, reduction=None, reduction_operation="sep_conv_3x3"), 9, 1 - place / 10)
        for place, index in enumerate(others)
    ]
    second = design_of(frame(rows))

    found = of_sweeps(first, second, "phase 1 against phase 2")

    assert found.joined == "class"
    assert found.same is not None
    assert (found.same.n, found.same.tau) == pytest.approx((5, -1.0))
    assert found.note == "7 of 12 have no partner"
    assert found.seeds == "n = 4 against n = 1"


def test_cells_are_joined_by_genotype_or_else_by_the_class_of_their_wiring() -> None:
    cells = [KNOWN_CELLS[name] for name in ("PDARTS", "DARTS_V2", "PC_DARTS")]
    shallow, final = (
        design_of(
            frame([row(cell, 0, a) for cell, a in zip(cells, accuracies, strict=True)]).assign(
                kind="genotypes"
            )
        )
        for accuracies in ((0.5, 0.6, 0.7), (0.9, 0.8, 0.95))
    )
    found = of_sweeps(shallow, final, "shallow against final")
    assert found.joined == "genotype"
    assert found.same is not None
    assert (found.same.n, found.same.tau) == pytest.approx((3, 1 / 3))

    wirings = {cell.normal.topology.class_id for cell in cells}
    found = of_sweeps(shallow, design_of(measured([0.1] * 79, noise=0.01)), "shallow and wirings")
    assert found.joined == "class"
    assert found.same is not None
    assert found.same.n == len(wirings)


def test_sweeps_without_two_groups_in_common_say_so() -> None:
    first = design_of(measured(TRUE[:5]))
    second = design_of(measured(TRUE[:5], topologies=REPRESENTATIVES[30:35]))

    found = of_sweeps(first, second, "here against there")

    assert (found.same, found.note) == (None, "they have no two groups in common")

"""Seeds that a difference takes: against statsmodels and textbooks, and what the section says."""

from __future__ import annotations

import numpy as np
import pytest

from nas_core.errors import InputError
from tests.topo_sweep.analysis.inference.run_rows import class_design
from topo_sweep.analysis.inference.power import (
    MOST_SEEDS,
    paired_power,
    plan_table,
    power_finding,
    seeds_needed,
)


@pytest.mark.parametrize("n", [2, 5, 14])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3081])
def test_the_power_is_that_of_statsmodels(n: int, alpha: float) -> None:
    from statsmodels.stats.power import TTestPower

    for effect in (0.1, 0.8):
        known = TTestPower().power(effect, n, alpha, alternative="two-sided")
        assert paired_power(n, effect * 3, 3, alpha=alpha) == pytest.approx(known)


def test_a_medium_effect_takes_34_pairs_as_textbooks_say() -> None:
    assert [seeds_needed(effect, 1.0) for effect in (0.2, 0.5, 0.8)] == [199, 34, 15]


def test_one_seed_less_is_too_few() -> None:
    for alpha in (0.05, 0.05 / 16110):
        seeds = seeds_needed(0.005, 0.003, alpha=alpha)
        assert seeds is not None
        assert paired_power(seeds, 0.005, 0.003, alpha=alpha) >= 0.8
        assert paired_power(seeds - 1, 0.005, 0.003, alpha=alpha) < 0.8


def test_a_difference_far_above_the_noise_takes_two_seeds_and_far_below_too_many() -> None:
    assert seeds_needed(1.0, 1e-4) == 2
    assert seeds_needed(0.42, 0.01) == 2
    assert seeds_needed(1e-4, 1.0) is None


@pytest.mark.parametrize(
    ("difference", "sd", "power", "said"),
    [
        (0.0, 1.0, 0.8, "above 0, got 0.0 and 1.0"),
        (1.0, np.nan, 0.8, "above 0, got 1.0 and nan"),
        (1.0, 1.0, 1.0, "between 0.05 and 1, got 1.0"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    difference: float, sd: float, power: float, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        seeds_needed(difference, sd, power=power)


def test_all_pairs_take_more_seeds_and_runs_count_every_group() -> None:
    noise = 0.002**2
    table = plan_table((noise, noise / 2, noise * 2), {"79 classes": 79}, differences=[0.005])

    one, every = table.to_dict("records")
    assert (one["pairs"], every["pairs"]) == (1, 3081)
    assert one["seeds"] == seeds_needed(0.005, 0.002 * 2**0.5)
    assert one["seeds"] < every["seeds"]
    assert every["runs"] == 79 * every["seeds"]
    assert every["seeds_low"] < every["seeds"] < every["seeds_high"]


def test_too_many_seeds_are_not_counted() -> None:
    table = plan_table((1.0, 1.0, 1.0), {"2 classes": 2}, differences=[1e-6])

    assert table["seeds"].isna().all()
    assert table["runs"].isna().all()


def test_the_section_says_seeds_and_runs_for_all_classes_and_all_topologies() -> None:
    rng = np.random.default_rng(0)
    values = (0.9 + 0.002 * rng.normal(size=(8, 6))).tolist()
    design = class_design({c: [row] for c, row in enumerate(values)})

    finding = power_finding(design, differences=[0.005])

    seeds = finding.tables["seeds"]
    assert seeds["of"].tolist() == ["8 classes"] * 2 + ["79 classes"] * 2 + ["180 topologies"] * 2
    classes, topologies = (
        f"{row.seeds} in any pair of {row.of} ({row.runs:,} runs)"
        for row in seeds[seeds["pairs"] > 100].itertuples()
    )
    assert finding.sentence.startswith("At noise of SD 0.")
    assert " points a run, 80% power takes " in finding.sentence
    assert " seeds for 0.50 points in one pair, " in finding.sentence
    assert f"{classes}, {topologies}." in finding.sentence
    pairs = seeds[seeds["pairs"] == 1]
    assert (pairs["runs"] == 2 * pairs["seeds"]).all(), "one pair takes the runs of two groups"


def test_one_seed_has_no_noise_to_plan_with() -> None:
    finding = power_finding(class_design({0: [[0.5]], 1: [[0.6]]}))

    assert finding.sentence == (
        "The seeds that a difference takes cannot be told: with one seed classes cannot be told "
        "from noise: run the same with another."
    )


def test_seeds_above_the_most_are_named_so() -> None:
    design = class_design({0: [[0.5, 0.6, 0.8]], 1: [[0.7, 0.5, 0.6]]})

    sentence = power_finding(design, differences=[1e-6]).sentence

    assert f"takes over {MOST_SEEDS:,} seeds for 0.00 points" in sentence

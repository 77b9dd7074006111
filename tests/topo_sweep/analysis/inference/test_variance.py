"""Variance components and reliability: published examples, coverage, and what the section says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.topo_sweep.analysis.inference.run_rows import (
    SHROUT_FLEISS,
    class_design,
    runs_of,
    with_members,
)
from topo_sweep.analysis.inference.variance import (
    reliabilities,
    variance_components,
    variance_finding,
)
from topo_sweep.analysis.statistics.two_way import class_by_seed


def test_reliabilities_are_those_that_shrout_and_fleiss_published() -> None:
    found = reliabilities(class_by_seed(runs_of(SHROUT_FLEISS)))

    ends = {name: (part.value, part.low, part.high) for name, part in found.items()}
    assert found["run_any_seed"].value == pytest.approx(0.29, abs=0.005)
    # Theirs, by Satterthwaite, is 0.02 to 0.76, and covers too seldom where judges are few.
    assert ends["run_any_seed"][1:] == pytest.approx((0.02, 0.76), abs=0.03)
    assert ends["run"] == pytest.approx((0.71, 0.34, 0.95), abs=0.005)
    assert ends["means"] == pytest.approx((0.91, 0.68, 0.99), abs=0.005)


def test_components_of_a_complete_design_are_those_of_its_mean_squares() -> None:
    runs = with_members([0, 1, 2, 4], [3] * 4, 5, np.random.default_rng(0), interaction=1.0)
    cells = runs.pivot_table(index="group", columns="seed", values="accuracy")
    rest = cells.sub(cells.mean(axis=1), axis=0) - cells.mean() + cells.to_numpy().mean()
    squares = {
        "group": 5 * float(cells.mean(axis=1).var()),
        "seed": 4 * float(cells.mean().var()),
        "interaction": float((rest.to_numpy() ** 2).sum()) / 12,
        "rest": float(runs.groupby(["group", "seed"])["accuracy"].var().mean()),
    }

    found = {name: part.value for name, part in variance_components(class_by_seed(runs)).items()}

    interaction = squares["interaction"] - squares["rest"] / 3
    assert found == pytest.approx(
        {
            "group": (squares["group"] - squares["interaction"]) / 5,
            "seed": (squares["seed"] - squares["interaction"]) / 4,
            "interaction": interaction,
            "rest": squares["rest"],
            "run": interaction + squares["rest"],
        }
    )


def test_the_noise_of_a_run_counts_in_its_reliability_and_less_in_that_of_means() -> None:
    effects = np.random.default_rng(1).normal(size=60)
    runs = with_members(effects.tolist(), [4] * 60, 30, np.random.default_rng(2))

    found = reliabilities(class_by_seed(runs))

    variance = float(effects.var(ddof=1))
    assert found["run"].value == pytest.approx(variance / (variance + 1), abs=0.03)
    assert found["means"].value == pytest.approx(variance / (variance + 1 / 120), abs=0.01)
    assert found["run_any_seed"].value < found["run"].value - 0.1


def test_a_negative_estimate_is_zero_and_said_to_be_cut() -> None:
    layout = class_by_seed(runs_of([[1, 5, 5], [5, 3, 2], [3, 1, 5], [5, 5, 4]]))

    component, share = variance_components(layout)["group"], reliabilities(layout)["run"]

    assert (component.value, component.low, component.is_cut) == (0, 0, True)
    assert (share.value, share.low, share.is_cut) == (0, 0, True)
    assert component.high > 0


def covered(runs: list[pd.DataFrame], truth: float, *, name: str = "run") -> float:
    parts = [reliabilities(class_by_seed(each))[name] for each in runs]
    return float(np.mean([part.low <= truth <= part.high for part in parts]))


@pytest.mark.slow
def test_intervals_of_reliability_cover_where_cells_are_missing() -> None:
    rng = np.random.default_rng(0)
    tables = rng.normal(size=(300, 12, 1)) + rng.normal(size=(300, 12, 5))
    tables[rng.random(tables.shape) < 0.2] = np.nan

    assert 0.92 < covered([runs_of(table) for table in tables], 0.5) < 0.98


@pytest.mark.slow
def test_intervals_of_reliability_cover_where_classes_have_unlike_members() -> None:
    rng = np.random.default_rng(1)
    sizes = [1] * 6 + [3] * 4 + [6] * 2
    runs = [
        with_members(rng.normal(0, 1, 12).tolist(), sizes, 4, rng, interaction=0.6, noise=0.8)
        for _ in range(300)
    ]

    assert 0.92 < covered(runs, 0.5) < 0.98


@pytest.mark.slow
def test_intervals_of_reliability_cover_where_each_run_has_its_own_seed() -> None:
    rng = np.random.default_rng(3)
    size = (300, 20, 1), (300, 1, 3), (300, 20, 3)
    groups, seeds, noise = (rng.normal(size=shape) for shape in size)
    tables = 2 * groups + seeds + noise

    assert 0.92 < covered([runs_of(t) for t in tables], 4 / 6, name="run_any_seed") < 0.98


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "lead", "most"), [(79, 2.27, 0.98), (20, 4.0, 1.0)])
def test_intervals_of_reliability_cover_where_one_winner_stands_above_equals(
    groups: int, lead: float, most: float
) -> None:
    # Far above few others they are too wide: one winner is no sample of normal effects.
    rng = np.random.default_rng(2)
    effects = np.zeros((groups, 1))
    effects[0] = lead
    runs = [runs_of(effects + rng.normal(size=(groups, 5))) for _ in range(300)]
    variance = float(effects.var(ddof=1))

    assert 0.92 < covered(runs, variance / (variance + 1)) <= most


def table(groups: int, seeds: int, spread: float) -> list[list[float]]:
    rng = np.random.default_rng(0)
    effects = spread * rng.normal(size=(groups, 1))
    rows: list[list[float]] = (0.9 + effects + 0.002 * rng.normal(size=(groups, seeds))).tolist()
    return rows


def test_the_section_says_noise_reliability_and_what_noise_alone_would_give() -> None:
    design = class_design({c: [row] for c, row in enumerate(table(30, 5, 0.002))})

    finding = variance_finding(design)

    first, second, third, fourth = finding.sentence.split(". ")
    assert first.startswith("One run has noise of SD 0.19 points (95% interval 0.17 to 0.22)")
    assert ", and classes differ by SD 0.17 points (95% interval 0.12 to " in first
    assert second.startswith("The reliability of one run a class, all with one seed, is 0.")
    assert third.startswith("That of the means over n = 5 seeds is 0.")
    assert "30 means of pure noise would range over 0.3" in fourth
    assert "180 means of pure noise would range over 0.4" in fourth
    assert finding.tables["components"]["of"].tolist() == ["group", "seed", "run"]
    assert finding.tables["pure_noise"]["means"].tolist() == [30, 180]
    assert finding.tables["pure_noise"]["p_value"].iloc[0] < 0.01
    assert finding.to_json_value() == variance_finding(design).to_json_value()


def test_classes_that_do_not_differ_are_said_to_be_cut_at_zero() -> None:
    rows = [[0.5, 0.7, 0.63], [0.7, 0.6, 0.5], [0.6, 0.5, 0.7]]

    finding = variance_finding(class_design({c: [row] for c, row in enumerate(rows)}))

    assert finding.sentence.endswith("Negative estimates, shown as 0: class, seed.")
    assert finding.shown["components"][1][:2] == ("class", "0.00")


def test_one_seed_tells_only_the_noise_between_members() -> None:
    design = class_design({0: [[0.5]], 1: [[0.9], [0.902], [0.904]]})

    finding = variance_finding(design)

    assert finding.sentence.startswith(
        "Of noise only that between members of one class and seed is known, SD 0.20 points (95% "
        "interval 0.10 to 1.26): with one seed classes cannot be told from noise"
    )
    assert list(finding.shown) == ["components"]


def test_without_noise_there_is_no_estimate() -> None:
    sentences = [
        variance_finding(class_design({c: [row] for c, row in enumerate(rows)})).sentence
        for rows in ([[0.5], [0.6]], [[0.5, 0.5], [0.5, 0.5]])
    ]

    assert all(sentence.startswith("There is no estimate of noise: ") for sentence in sentences)

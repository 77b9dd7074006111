"""The section that says what stands for what."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.topo_sweep.analysis.inference.measured import curves_of, measured
from topo_sweep.analysis.design import design_of
from topo_sweep.analysis.inference import proxies
from topo_sweep.analysis.inference.proxies import proxies_finding
from topo_sweep.analysis.statistics import agreement

TRUE = np.random.default_rng(0).normal(0, 0.01, 79).tolist()


def test_the_ceiling_comes_first_with_its_interval_and_what_the_best_means_hold() -> None:
    trials = measured(TRUE, noise=0.01)
    other = design_of(measured(TRUE, noise=0.01, seed=1))

    found = proxies_finding(
        design_of(trials), trials, curves_of(trials, [0.5, 0.7, 1.0]), [("another", other)]
    )

    ceiling, low, high = (found.numbers[f"ceiling{end}"] for end in ("", "_low", "_high"))
    assert found.sentence.startswith(
        f"Half of the seeds ranks like the other half with Kendall's tau = {ceiling:.2f} "
        f"(95% interval {low:.2f} to {high:.2f}) over 79 classes, n = 2 against 2 seeds; "
    )
    recall = found.tables["recall"].query("best == 10 and seeds == 4")["recall"].item()
    assert f"{10 * recall:.1f} of the true best 10 are expected among the 10" in found.sentence
    assert [row[0] for row in found.shown["Kendall's tau"][1:]] == [
        "half of the seeds against the other half",
        "one member of a class against another",
        "after 1 of 3 epochs against all",
        "after 2 of 3 epochs against all",
        "last-epoch validation accuracy against last-epoch test accuracy",
        "this sweep against another",
    ]
    table = found.tables["comparisons"]
    assert table["note"].tolist()[1] == "no two classes have several members"
    assert table["n"].tolist()[5] == 79
    assert json.dumps(found.to_json_value(), allow_nan=False)


@pytest.mark.parametrize(
    ("seeds", "true", "noise", "why"),
    [
        (1, TRUE, 0.0, "it takes two seeds that the groups share"),
        (3, [0.0] * 79, 0.0, "all means are equal"),
    ],
)
def test_without_a_second_seed_or_any_difference_nothing_is_claimed(
    seeds: int, true: list[float], noise: float, why: str
) -> None:
    trials = measured(true, seeds=seeds, noise=noise)

    found = proxies_finding(design_of(trials), trials)

    assert found.sentence == f"How far this ranking agrees with itself is unknown: {why}."
    assert "ceiling" not in found.numbers
    assert json.dumps(found.to_json_value(), allow_nan=False)


def test_above_the_bound_intervals_are_left_out_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxies, "MOST_PAIRED", 78)
    monkeypatch.setattr(agreement, "MOST_PAIRED", 78)
    trials = measured(TRUE, noise=0.01)

    found = proxies_finding(design_of(trials), trials)

    assert "(no interval) over 79 classes" in found.sentence
    assert found.sentence.endswith(
        " Intervals of tau compare all pairs, and are left out above 78 groups."
    )


def test_two_groups_have_a_ceiling_without_an_interval() -> None:
    trials = measured([0.0, 0.1], seeds=2)

    found = proxies_finding(design_of(trials), trials)

    assert "tau = 1.00 (no interval) over 2 classes" in found.sentence
    assert found.numbers["ceiling_low"] is None

"""How sure a choice of topologies is, as it says itself."""

from __future__ import annotations

from pathlib import Path

from tests.topo_sweep.analysis.choice_rows import topologies
from topo_sweep.analysis.selection import best_topologies

NOISE = (0.0, 0.002, -0.002, 0.001, -0.001)
OTHER = (0.001, -0.001, 0.0, -0.002, 0.002)


def around(mean: float, noise: tuple[float, ...]) -> list[float]:
    return [mean + error for error in noise]


def test_the_chosen_that_may_be_no_better_than_the_first_left_out_are_named(tmp_path: Path) -> None:
    # Each is a class of its own. Topology 2 differs from 4 by less than the noise.
    sweep = topologies(
        tmp_path,
        {0: around(0.95, NOISE), 2: around(0.9005, OTHER), 4: around(0.9, NOISE), 7: [0.5] * 5},
    )

    remarks = best_topologies(sweep, 2).remarks

    assert (
        "of the 2 chosen 1 may be no better than the first left out, topology 4 (paired by seed): "
        "topology 2"
    ) in remarks
    assert "the best of 4 classes is among 1 of them with 95% confidence" in remarks


def test_a_choice_that_is_surely_better_than_what_is_left_is_called_so(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, {0: around(0.95, NOISE), 2: around(0.9, OTHER)})

    assert "each of the 1 chosen is surely better than the first left out, topology 2" in (
        best_topologies(sweep).remarks
    )


def test_one_seed_or_nothing_left_out_says_nothing_of_it(tmp_path: Path) -> None:
    for number, (accuracies, top) in enumerate((([0.9], 1), ([0.9, 0.91], 2))):
        sweep = topologies(tmp_path / str(number), {0: accuracies, 2: [0.5] * len(accuracies)})
        said = " ".join(best_topologies(sweep, top).remarks)
        assert "left out" not in said
        assert ("95% confidence" in said) == (len(accuracies) > 1)

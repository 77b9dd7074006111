"""Points, means and intervals of groups of searches."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.topo_sweep.plots.figure_checks import bars, marks
from topo_sweep.analysis.accuracy import summary
from topo_sweep.plots.points import (
    GROUPS,
    cautions,
    count_axis,
    draw_points,
    group_style,
    limits,
    omissions,
    point_notes,
)


def points(*values: tuple[float, float, bool]) -> pd.DataFrame:
    """Return points of x, value and whether it was lost, with a seed each."""
    frame = pd.DataFrame(values, columns=["x", "value", "lost"])
    return frame.assign(seed=range(len(frame)))


THREE = points((1.0, 1.0, False), (1.0, 2.0, False), (1.0, 3.0, False))


def test_a_mean_with_its_interval_stands_right_of_its_points() -> None:
    axes = Figure().add_subplot()

    draw_points(axes, THREE, 0, spread=0.2, within=(0.0, 10.0))

    ((x, mean, low, high),) = bars(axes)
    assert (x, mean) == (1.0, 2.0)
    assert (low, high) == pytest.approx((0.0, 4.484), abs=0.001)  # 2 ± 2.484 from 0 on
    drawn = marks(axes, "points")
    assert [value for _, value in drawn] == [1.0, 2.0, 3.0]
    assert len({point_x for point_x, _ in drawn}) == 3
    assert all(1.0 - 1.25 * 0.2 <= point_x < 1.0 for point_x, _ in drawn)


def test_what_diverged_is_a_mark_of_its_own_no_lower_than_the_floor() -> None:
    axes = Figure().add_subplot()

    draw_points(axes, points((1.0, 0.1, True), (1.0, 0.9, False)), 1, spread=0.2, floor=0.8)

    assert [value for _, value in marks(axes, "diverged")] == [0.8]
    assert [value for _, value in marks(axes, "points")] == [0.9]


def test_an_axis_is_not_stretched_by_what_diverged() -> None:
    sound = points((1.0, 0.9, False), (1.0, 0.8, False))
    lost = points((2.0, 0.1, True), (2.0, 0.2, True))
    both = pd.concat([sound, lost])

    low, high = limits(both, summary(both, ["x"]))
    assert (low, high) == limits(sound, summary(sound, ["x"]))
    assert (
        low < summary(sound, ["x"])["ci_low"].min() < summary(sound, ["x"])["ci_high"].max() < high
    )


def test_equal_values_and_lost_ones_alone_still_have_an_axis() -> None:
    for alone in (points((1.0, 0.5, False)), points((1.0, 0.5, True))):
        low, high = limits(alone, summary(alone, ["x"]))
        assert low < 0.5 < high


def test_an_axis_of_counts_starts_at_zero_and_holds_all_points_and_intervals() -> None:
    axes = Figure().add_subplot()
    counts = points((1.0, 7.0, False), (1.0, 2.0, False))

    count_axis(axes, {"skips": counts}, "x")

    low, high = axes.get_ylim()
    table = summary(counts, ["x"])
    assert low < 0
    assert high > max(7.0, float(table["ci_high"].iloc[0]))
    assert list(axes.get_yticks()) == list(range(int(high - 0.3) + 1))


def test_groups_start_over_with_the_first_look_when_there_are_many() -> None:
    assert [group_style(number) for number in range(len(GROUPS))] == list(GROUPS)
    assert group_style(len(GROUPS)) == GROUPS[0]


def test_notes_say_what_diverged_what_is_alone_and_what_is_left_out() -> None:
    lost = points((1.0, 0.1, True), (1.0, 0.9, False), (2.0, 0.9, False))

    texts = [text for _, text in point_notes(lost, "a search", "the mean")]
    assert texts[:2] == ["a search", "the mean"]
    assert texts[2].startswith("diverged, or with a diverged evaluation: 1;")
    assert len(point_notes(THREE, "a search", "the mean")) == 2
    ((_, caution),) = cautions(summary(lost, ["x"]))
    assert caution == "n = 1 in 1 of 2 groups: their spread is unknown"
    assert cautions(summary(THREE, ["x"])) == []
    assert [text for _, text in omissions(failed=2, waiting=3)] == [
        "searches that found nothing, left out: 2",
        "searches without an evaluation yet, left out: 3",
    ]
    assert omissions(failed=0) == []

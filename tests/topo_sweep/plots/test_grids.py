"""What pictures of many searches promise: every number in its place, and n beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nas_core.cells.spaces import SPACES
from nas_core.errors import InputError
from tests.topo_sweep.analysis.search_rows import evaluation, evaluations, search, searches
from tests.topo_sweep.plots.figure_checks import bars, marks, unreadable, words
from topo_sweep.analysis.searches import SearchQuery
from topo_sweep.plots.grids import depth, grid_map, subspaces
from topo_sweep.plots.parts import write_figure

# Of 90, 91 and 92: mean 91, SD 1, and 4.302653 is the 97.5% point of t with 2 degrees of freedom.
HALF = 4.302653 / np.sqrt(3)

Frames = tuple[pd.DataFrame, pd.DataFrame]


def grid(spaces: tuple[str, ...] = ("SS1", "SS2"), cells: tuple[int, ...] = (5, 16)) -> Frames:
    """Return three searches for each space and depth, evaluated twice each.

    Of group g, counted over spaces and then depths, the searches have 90 + g, 91 + g and 92 + g
    percent, and their two evaluations lie half a point around that.
    """
    rows, results = [], []
    for space in spaces:
        for count in cells:
            group = spaces.index(space) * len(cells) + cells.index(count)
            for seed in range(3):
                name = f"{space}-{count}-{seed}"
                rows.append(
                    search(name, space=space, cells=count, seed=20 + seed, skips_normal=seed)
                )
                accuracy = (90 + group + seed) / 100
                results += [
                    evaluation(name, accuracy - 0.005, seed=0),
                    evaluation(name, accuracy + 0.005, seed=1),
                ]
    return searches(rows), evaluations(results)


# Spaces


def test_a_point_is_a_search_with_its_evaluations_averaged() -> None:
    axes = subspaces(*grid()).axes[0]

    values = sorted(round(value, 6) for _, value in marks(axes, "points"))
    assert values == sorted([90.0, 91, 92, 91, 92, 93, 92, 93, 94, 93, 94, 95])


def test_means_and_intervals_are_those_of_a_calculation_by_hand() -> None:
    shown = bars(subspaces(*grid()).axes[0])

    assert [round(mean, 6) for _, mean, _, _ in shown] == [91, 93, 92, 94]  # depth 5, then 16
    for _, mean, low, high in shown:
        assert (low, high) == pytest.approx((mean - HALF, mean + HALF), abs=1e-5)


def test_points_stand_beside_the_mean_of_their_space_and_depth() -> None:
    axes = subspaces(*grid()).axes[0]

    positions = [x for x, *_ in bars(axes)]
    assert np.floor(np.array(positions) + 0.5).tolist() == [0, 1, 0, 1]
    assert positions[0] < positions[2]
    for x, value in marks(axes, "points"):
        right, mean, *_ = min((b for b in bars(axes) if b[0] > x), key=lambda b: b[0] - x)
        assert right - x < 0.4
        assert abs(value - mean) < 1.001


def test_spaces_stand_in_their_order_and_say_what_is_learnt() -> None:
    axes = subspaces(*grid(("SS7", "SS2", "SS1"))).axes[0]

    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["SS1\nsep3 dil3", "SS2\nsep5 dil5", "SS7\nsep3 sep5 dil3"]


def test_every_group_says_its_n() -> None:
    rows, results = grid()
    figure = subspaces(rows[rows["search_id"] != "SS2-16-0"], results)

    shown = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(shown) == ["n=2", "n=3", "n=3", "n=3"]
    assert "5 search cells (n = 3)" in words(figure)
    assert "16 search cells (n = 2 to 3)" in words(figure)


def test_the_header_names_metric_data_protocol_method_and_seeds() -> None:
    said = words(subspaces(*grid()))

    assert "Last-epoch test accuracy of found cells by search space" in said
    assert "digits (no hold-out), evaluation protocol 0123456789abcdef" in said
    assert "search_subspace, search seeds 20 to 22" in said
    assert "t interval over search seeds, cut at 0 and 100%, given this split and this test" in said


def test_with_a_hold_out_validation_is_drawn_unless_test_is_asked_for() -> None:
    rows, results = grid()
    both = results.assign(holdout=100, val_accuracy=0.5)

    assert {mean for _, mean, *_ in bars(subspaces(rows, both).axes[0])} == {50.0}
    assert 50 not in {
        mean for _, mean, *_ in bars(subspaces(rows, both, SearchQuery(metric="test")).axes[0])
    }
    with pytest.raises(InputError, match="--metric test"):
        subspaces(rows, results, SearchQuery(metric="val"))


def test_one_seed_has_no_interval_and_says_so() -> None:
    rows, results = grid()
    figure = subspaces(rows[rows["seed"] == 20], results)

    assert all(np.isnan(low) and np.isnan(high) for *_, low, high in bars(figure.axes[0]))
    assert "n = 1: the spread over seeds is unknown, and the order is not evidence" in words(figure)
    assert "n = 1" not in words(subspaces(rows, results))
    figure = subspaces(rows[~rows["search_id"].isin(["SS2-16-0", "SS2-16-1"])], results)
    assert "n = 1 in 1 of 4 groups: their spread is unknown" in words(figure)


def test_what_diverged_is_marked_and_does_not_stretch_the_axis() -> None:
    rows, results = grid()
    lost = results["search_id"] == "SS1-5-0"
    results.loc[lost, "status"] = "diverged"
    results.loc[lost, "test_accuracy"] = 0.1
    figure = subspaces(rows, results)
    axes = figure.axes[0]

    low, high = axes.get_ylim()
    assert low > 85
    assert high > 96
    ((_, shown),) = marks(axes, "diverged")
    assert low < shown < low + 0.1 * (high - low)
    assert "diverged, or with a diverged evaluation: 1" in words(figure)
    assert bars(axes)[0][1] == pytest.approx((10 + 91 + 92) / 3)  # it counts


def test_what_is_not_drawn_is_counted() -> None:
    rows, results = grid()
    failed = search("x", status="failed", genotype=None, skips_normal=None, skips_reduction=None)
    rows = pd.concat([rows, searches([failed])], ignore_index=True)
    figure = subspaces(rows, results[~results["search_id"].isin(["SS1-5-0", "SS1-5-1"])])

    assert "searches that found nothing, left out: 1" in words(figure)
    assert "searches without an evaluation yet, left out: 2" in words(figure)


def test_a_failed_evaluation_is_no_number() -> None:
    rows, results = grid()
    results.loc[results["seed"] == 1, "status"] = "failed"
    results.loc[results["seed"] == 1, "test_accuracy"] = np.nan

    assert bars(subspaces(rows, results).axes[0])[0][1] == pytest.approx(90.5)


# Depth


def test_depth_shows_accuracy_and_skips_at_the_number_of_cells() -> None:
    accuracy, skips = depth(*grid(("SS1",), (5, 10, 16))).axes

    assert [(cells, round(mean, 6)) for cells, mean, *_ in bars(accuracy)] == [
        (5, 91),
        (10, 92),
        (16, 93),
    ]
    normal, reduction = bars(skips)[:3], bars(skips)[3:]
    assert [mean for _, mean, *_ in normal] == [1, 1, 1]  # of 0, 1 and 2
    assert normal[0][2:] == pytest.approx((0, 1 + HALF), abs=1e-5)
    assert [mean for _, mean, *_ in reduction] == [3, 3, 3]
    assert all(np.isnan(low) for *_, low, _ in reduction)  # equal counts have no interval
    for axes in (accuracy, skips):
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == ["5\nn = 3", "10\nn = 3", "16\nn = 3"]


def test_depth_wants_one_space_and_takes_the_one_it_is_given() -> None:
    rows, results = grid()

    with pytest.raises(InputError, match="mixes spaces, here SS1 and SS2: choose one with --space"):
        depth(rows, results)
    figure = depth(rows, results, SearchQuery(space="SS2"))
    assert [round(mean) for _, mean, *_ in bars(figure.axes[0])] == [93, 94]
    assert "space SS2 sep5 dil5" in words(figure)
    with pytest.raises(InputError, match="no search has space SS5: there are SS1, SS2"):
        depth(rows, results, SearchQuery(space="SS5"))


# The map


def test_no_interval_of_accuracies_goes_beyond_100_percent() -> None:
    frames = grid(("SS1", "SS2", "SS7"), (5, 16, 20))  # up to 98, 99 and 100%

    texts = {text.get_position(): text.get_text() for text in grid_map(*frames).axes[0].texts}
    accuracy = subspaces(*frames).axes[0]

    assert texts[1, 2] == "98.00\n95.52 to 100.00\nn = 3"
    assert max(high for *_, high in bars(accuracy)) == 100


def test_the_map_has_the_mean_and_n_of_every_box() -> None:
    axes = grid_map(*grid(("SS1", "SS2", "SS7"))).axes[0]

    values: Any = np.ma.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(values, [[91, 92], [93, 94], [95, 96]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "16"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        *("SS1 sep3 dil3", "SS2 sep5 dil5", "SS7 sep3 sep5 dil3")
    ]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts[0, 0] == "91.00\n88.52 to 93.48\nn = 3"
    assert texts[1, 2] == "96.00\n93.52 to 98.48\nn = 3"
    (best,) = [text for text in axes.texts if text.get_fontweight() == "bold"]
    assert best.get_position() == (1, 2)


def test_a_box_without_results_is_hatched_and_counted() -> None:
    rows, results = grid()
    figure = grid_map(rows, results[~results["search_id"].str.startswith("SS2-5")])

    values: Any = np.ma.asarray(figure.axes[0].images[0].get_array())
    assert np.argwhere(np.ma.getmaskarray(values)).tolist() == [[1, 0]]
    assert figure.axes[0].patch.get_hatch()
    assert "no result: 1 of 4 boxes" in words(figure)


def test_a_box_with_a_diverged_search_says_so_and_does_not_stretch_the_colours() -> None:
    rows, results = grid()
    lost = results["search_id"] == "SS1-5-0"
    results.loc[lost, "status"] = "diverged"
    results.loc[lost, "test_accuracy"] = 0.1
    axes = grid_map(rows, results).axes[0]

    assert axes.images[0].get_clim() == pytest.approx((92, 94))
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts[0, 0].startswith(f"{(10 + 91 + 92) / 3:.2f}")
    assert texts[0, 0].endswith("n = 3, 1 diverged")


# What is refused


def test_methods_are_not_mixed_and_one_can_be_chosen() -> None:
    rows, results = grid()
    rows.loc[rows["seed"] == 22, "method"] = "search_edarts"

    for draw in (subspaces, grid_map):
        with pytest.raises(InputError, match=r"search_edarts and search_subspace.*--method"):
            draw(rows, results)
    figure = subspaces(rows, results, SearchQuery(method="search_subspace"))
    assert [round(mean, 6) for _, mean, *_ in bars(figure.axes[0])] == [90.5, 92.5, 91.5, 93.5]


def test_kinds_of_attention_are_not_mixed_and_one_can_be_chosen() -> None:
    rows, results = grid(("SS1",))
    rows.loc[rows["seed"] == 22, "attention"] = "once"

    for draw in (subspaces, depth, grid_map):
        with pytest.raises(InputError, match=r"attentions, here none and once.*--attention"):
            draw(rows, results)
        assert "attention once" in words(draw(rows, results, SearchQuery(attention="once")))
    figure = subspaces(rows, results, SearchQuery(attention="none"))
    assert [round(mean, 6) for _, mean, *_ in bars(figure.axes[0])] == [90.5, 91.5]
    with pytest.raises(InputError, match="no search has attention often: there are none, once"):
        subspaces(rows, results, SearchQuery(attention="often"))


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("protocol_hash", "f" * 16, "evaluation protocols, here 0123456789abcdef and ffff"),
        ("dataset", "cifar10", "data sets, here cifar10 and digits"),
        ("train_limit", 64, "limits of training images, here 64 and none"),
        ("fingerprint", "g", "data set fingerprints, here f and g"),
    ],
)
def test_evaluations_that_cannot_be_compared_are_not_mixed(
    column: str, value: Any, what: str
) -> None:
    rows, results = grid()
    results.loc[results["seed"] == 1, column] = value

    with pytest.raises(InputError, match=f"never mixes {what}"):
        subspaces(rows, results)


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("attention", "once", "operation attentions, here none and once"),
        ("topology", 17, "fixed wirings, here 17 and none"),
        ("protocol_hash", "other", r"search protocols, here other and search_subspace-SS1-5"),
    ],
)
def test_searches_that_cannot_be_compared_are_not_mixed(column: str, value: Any, what: str) -> None:
    rows, results = grid()
    rows.loc[rows["seed"] == 22, column] = value

    with pytest.raises(InputError, match=f"never mixes {what}"):
        subspaces(rows, results)


def test_nothing_to_draw_is_said_with_what_to_do() -> None:
    rows, results = grid()

    with pytest.raises(InputError, match=r"no finished search to draw.*topo-sweep run"):
        subspaces(rows[:0], results)
    with pytest.raises(InputError, match=r"12 of 12 searches found a cell, and none.*evaluation"):
        subspaces(rows, results[:0])


# Files


def everything() -> Frames:
    """Return the whole grid of the paper with something of all that can happen."""
    rows, results = [], []
    for space_number, (space, operations) in enumerate(SPACES.items()):
        for cells in (5, 16):
            for seed in range(20, 23):
                name = f"{space}-{cells}-{seed}"
                search_row = search(name, space=space, cells=cells, seed=seed)
                rows.append(search_row | {"operations": ",".join(operations)})
                if (space, seed) != ("SS4", 20):
                    status = "diverged" if (space, seed) == ("SS3", 21) else "ok"
                    accuracy = 0.9 + (space_number + seed % 7) / 1000
                    results.append(evaluation(name, accuracy, status=status))
    return searches(rows), evaluations(results)


@pytest.mark.parametrize("draw", [subspaces, grid_map])
def test_all_texts_can_be_read(draw: Any) -> None:
    assert unreadable(draw(*everything())) == []


@pytest.mark.slow
def test_all_texts_of_depth_can_be_read() -> None:
    assert unreadable(depth(*grid(("SS1",), (5, 10, 16, 20)))) == []


@pytest.mark.slow
def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    rows, results = everything()
    write_figure(subspaces(rows, results), tmp_path / "a.svg")
    rows, results = (frame.sample(frac=1, random_state=0) for frame in (rows, results))
    write_figure(subspaces(rows, results), tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()

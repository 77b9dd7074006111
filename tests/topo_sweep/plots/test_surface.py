"""What pictures of a ranking promise: every number in its place, what is unknown visibly so."""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology, topology_count
from nas_core.errors import InputError
from tests.topo_sweep.plots.figure_checks import unreadable, words
from topo_sweep.analysis.ranking import Ranking, rank
from topo_sweep.plots.parts import SUFFIXES, write_figure
from topo_sweep.plots.surface import COLUMNS, ROWS, STYLES, surface

DIVERGED = 0.1


def trials(
    n: int = 2,
    *,
    without: Collection[int] = (),
    diverged: Collection[int] = (),
    nodes: int = 4,
    **values: Any,
) -> pd.DataFrame:
    """Return trials in which topology i has mean 0.9 + i/10,000 and a spread that grows with i."""
    rows = []
    for index in range(topology_count(nodes)):
        normal = Topology.from_index(index, nodes)
        reduction = CellEdges.uniform(Topology.from_index(0, nodes), "max_pool_3x3")
        for seed in range(n if index not in without else 0):
            offset = (seed - (n - 1) / 2) * index / 100_000
            lost = index in diverged and seed == 0
            rows.append(
                {
                    "trial_id": f"{index} {seed}",
                    "kind": "topologies",
                    "genotype": str(Genotype(CellEdges.uniform(normal, "sep_conv_3x3"), reduction)),
                    "topology": index,
                    "class_id": normal.class_id,
                    "seed": seed,
                    "protocol_hash": "0123456789abcdef",
                    "dataset": "cifar10",
                    "holdout": 5000,
                    "train_limit": 10_000,
                    "fingerprint": "f",
                    "status": "diverged" if lost else "ok",
                    "val_accuracy": DIVERGED if lost else 0.9 + index / 10_000 + offset,
                    "test_accuracy": 0.5,
                }
                | values
            )
    integers = ["topology", "class_id", "seed", "holdout", "train_limit"]
    return pd.DataFrame(rows).astype(dict.fromkeys(integers, "Int64"))


def ranked(n: int = 2, **options: Any) -> Ranking:
    return rank(trials(n, **options), by="topology")


@functools.cache
def drawn(n: int = 2, style: str = "map") -> Figure:
    """Return the picture of all topologies with n seeds; it is only looked at."""
    return surface(ranked(n), style=style)


def cells(axes: Axes) -> np.ma.MaskedArray[Any, np.dtype[np.float64]]:
    """Return what a panel of the map shows, (18, 10), in percent."""
    (image,) = axes.images
    return np.ma.asarray(image.get_array())


# The map


def test_each_of_180_topologies_is_in_its_place() -> None:
    values = cells(drawn().axes[0])

    assert values.shape == (18, 10)
    assert not np.ma.is_masked(values)
    # Topology 17 is '0,1 0,1 0,2 2,3': second choice of node 4, eighth of node 5.
    assert ROWS[1] == "0,1  0,2"
    assert COLUMNS[7] == "2,3"
    assert values[1, 7] == pytest.approx(90.17)
    # Topology 93 is '0,1 0,2 1,2 0,4', 179 the last of all.
    assert (ROWS[9], COLUMNS[3]) == ("0,2  1,2", "0,4")
    assert values[9, 3] == pytest.approx(90.93)
    assert (ROWS[17], COLUMNS[9]) == ("1,2  2,3", "3,4")
    assert values[17, 9] == pytest.approx(91.79)
    np.testing.assert_allclose(values.ravel(), 90 + np.arange(180) / 100)


def test_rows_and_columns_are_labelled_by_the_predecessors_they_mean() -> None:
    axes = drawn().axes[0]
    assert list(axes.get_yticks()) == list(range(18))
    assert list(axes.get_xticks()) == list(range(10))
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]

    for row, column in np.ndindex(18, 10):
        third, fourth, fifth = str(Topology.from_index(10 * row + column)).split()[1:]
        assert rows[row] == f"{third}  {fourth}"
        assert columns[column] == fifth
    assert axes.get_xlabel() == "predecessors of node 5"
    assert axes.get_ylabel() == "predecessors of node 3 and of node 4"


@pytest.mark.parametrize("panel", [0, 1])
def test_the_index_of_each_topology_stands_in_the_corner_of_its_box(panel: int) -> None:
    figure = surface(ranked(2, without={93}))
    axes = figure.axes[panel]
    places = {text.get_text(): text.get_position() for text in axes.texts}

    assert list(places) == [str(index) for index in range(180)]
    for index, (x, y) in enumerate(places.values()):
        row, column = divmod(index, 10)
        assert column - 0.5 < x < column - 0.4
        assert row - 0.5 < y < row - 0.4, "the first row is on top"
    assert "in each box: the topology's index" in words(figure)


def test_the_second_panel_shows_the_sd_over_seeds() -> None:
    values = cells(drawn().axes[1])

    # Two seeds that lie i / 100,000 apart have SD i / 100,000 / sqrt(2).
    np.testing.assert_allclose(values.ravel(), np.arange(180) / 1000 / np.sqrt(2), atol=1e-9)


def test_colour_bars_are_in_percent_and_name_the_metric() -> None:
    labels = [axes.get_ylabel() for axes in drawn().axes]

    assert "mean last-epoch validation accuracy (%)" in labels
    assert "SD over seeds (percentage points)" in labels


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_the_title_names_metric_data_protocol_phase_and_n(style: str) -> None:
    said = words(drawn(2, style))

    assert "Last-epoch validation accuracy, mean over seeds (n = 2)" in said
    assert "cifar10 (5,000 images held out, 10,000 trained on)" in said
    assert "protocol 0123456789abcdef" in said
    assert "reduction all max_pool_3x3 on wiring 0" in said


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_one_seed_says_that_the_spread_is_unknown(style: str) -> None:
    note = "n = 1: the spread over seeds is unknown, and the order is not evidence"

    assert note in words(drawn(1, style))
    assert note not in words(drawn(2, style))


@pytest.mark.slow
def test_one_seed_draws_no_panel_of_spread() -> None:
    figure = drawn(1)

    assert sum(bool(axes.images) for axes in figure.axes) == 1


@pytest.mark.slow
def test_missing_topologies_show_the_hatched_background_and_are_counted() -> None:
    figure = surface(ranked(without={0, 55, 179}))

    for panel in figure.axes[:2]:
        assert set(np.flatnonzero(np.ma.getmaskarray(cells(panel)))) == {0, 55, 179}
        assert panel.patch.get_hatch()
    assert "no result: 3 of 180 topologies" in words(figure)
    assert "no result" not in words(drawn())


def test_topologies_with_one_seed_among_others_are_hatched_in_the_spread_alone() -> None:
    rows = trials(2)
    figure = surface(rank(rows[(rows["topology"] != 44) | (rows["seed"] == 0)], by="topology"))

    assert not np.ma.is_masked(cells(figure.axes[0]))
    assert list(np.flatnonzero(np.ma.getmaskarray(cells(figure.axes[1])))) == [44]
    assert "n = 1 for 1 topologies: their SD is unknown" in words(figure)


def markers(axes: Axes, marker: str) -> list[tuple[float, float]]:
    """Return column and row of each mark of one kind."""
    lines = [line for line in axes.lines if line.get_marker() == marker]
    points = [np.asarray(line.get_xydata()) for line in lines]
    return [(float(column), float(row)) for ((column, row),) in points]


def test_the_best_cell_is_marked_and_named() -> None:
    figure = surface(ranked(without=range(94, 180)))

    assert markers(figure.axes[0], "*") == [(3.0, 9.0)]
    assert "best mean, 90.93%: topology 93 (0,1 0,2 1,2 0,4)" in words(figure)


def test_all_cells_that_share_the_first_rank_are_marked() -> None:
    figure = surface(rank(trials(1), by="topology", metric="test"))  # all 0.5

    assert len(markers(figure.axes[0], "*")) == 180
    assert "best mean, 50.00%: 180 topologies share it" in words(figure)


def test_a_diverged_trial_is_marked_and_does_not_stretch_the_scales() -> None:
    figure = surface(ranked(diverged={3}))
    mean, spread = (axes.images[0] for axes in figure.axes[:2])

    assert markers(figure.axes[0], "X") == [(3.0, 0.0)]
    assert mean.get_clim() == pytest.approx((90.0, 91.79))
    assert spread.get_clim() == pytest.approx((0.0, 0.179 / np.sqrt(2)))
    assert cells(figure.axes[0])[0, 3] < 60  # the value itself is kept
    assert "with diverged trials: 1 of 180 topologies" in words(figure)


# The surface


def faces(figure: Figure) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of all faces, (n, 4, 3) as x, y and z, and their colours, (n, 4)."""
    (collection,) = figure.axes[0].collections
    corners: Any = collection._faces  # type: ignore[attr-defined]
    colours: Any = collection._facecolor3d  # type: ignore[attr-defined]
    filled = colours[:, 3] > 0  # the others are lines
    return corners[filled], colours[filled]


def topologies_of(figure: Figure) -> dict[tuple[int, int], float]:
    """Return the height of each column and row that corners of faces are at."""
    corners = faces(figure)[0].reshape(-1, 3)
    return {(int(x), int(y)): z for x, y, z in corners if x % 1 == y % 1 == 0}


def test_the_surface_has_each_topology_at_its_height_and_is_straight_between() -> None:
    figure = drawn(2, "surface3d")

    assert len(topologies_of(figure)) == 180
    x, y, z = faces(figure)[0].reshape(-1, 3).T
    np.testing.assert_allclose(z, 90 + (10 * y + x) / 100)


def test_the_surface_has_at_each_topology_the_colour_of_its_own_height() -> None:
    rows = trials(1)
    rows.loc[rows["topology"] == 93, "val_accuracy"] = 0.96  # the best, far above all around it
    figure = surface(rank(rows, by="topology"), style="surface3d")
    corners, colours = faces(figure)

    for index, height in ((93, 96.0), (92, 90.92), (0, 90.0), (179, 91.79)):
        row, column = divmod(index, 10)
        around = (corners[:, :, :2] == (column, row)).all(axis=2).any(axis=1)
        assert around.sum() == (4 if index in {92, 93} else 1)
        np.testing.assert_allclose(
            colours[around], [colormaps["viridis"]((height - 90) / 6)] * around.sum()
        )
    bar = figure.axes[-1]
    assert bar.get_ylim() == pytest.approx((90, 96))


def test_the_surface_has_a_hole_and_a_cross_where_a_topology_is_missing() -> None:
    figure = surface(ranked(without={93}), style="surface3d")

    assert set(np.ndindex(10, 18)) - set(topologies_of(figure)) == {(3, 9)}
    (cross,) = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    column, row, height = cross.get_data_3d()  # type: ignore[attr-defined]
    assert (column.tolist(), row.tolist()) == ([3], [9])
    assert height == figure.axes[0].get_zlim()[0]  # type: ignore[attr-defined]
    assert "no result: 1 of 180 topologies" in words(figure)


def test_a_lone_topology_without_a_face_is_still_shown() -> None:
    alone = set(range(180)) - {93}
    figure = surface(ranked(without=alone), style="surface3d")

    assert topologies_of(figure) == {}
    (dot,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    column, row, height = dot.get_data_3d()  # type: ignore[attr-defined]
    assert (column.tolist(), row.tolist()) == ([3], [9])
    assert height == pytest.approx(90.93)


# What is refused


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(InputError, match="map and surface3d, got 'pie'"):
        surface(ranked(), style="pie")


def test_what_has_no_place_on_the_surface_is_refused_with_a_way_out() -> None:
    with pytest.raises(InputError, match="rank by topology, not by class"):
        surface(rank(trials(1), by="class"))
    with pytest.raises(InputError, match=r"sweep of topologies.*topo-sweep rank"):
        surface(ranked(1, kind="genotypes"))
    with pytest.raises(InputError, match=r"180 topologies of 4 nodes.*have 3.*topo-sweep rank"):
        surface(ranked(1, nodes=3))


# Texts and files


@pytest.mark.slow
def test_no_text_of_the_map_leaves_the_picture_or_runs_into_other_text() -> None:
    for n in (1, 2):
        assert unreadable(surface(ranked(n, without={4}, diverged={3}))) == []


@pytest.mark.slow
def test_equal_data_give_equal_bytes(tmp_path: Path) -> None:
    rows = trials(1, without={4})
    shuffled = rows.sample(frac=1, random_state=0)
    figures = {"a": surface(rank(rows, by="topology")), "b": surface(rank(shuffled, by="topology"))}
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        for name, figure in figures.items():
            write_figure(figure, tmp_path / f"{name}{suffix}")
        first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in figures)
        assert first == second
        assert first.startswith(start)
        assert b"CreationDate" not in first
        assert b"<dc:date>" not in first
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(f"{name}{suffix}" for name in figures for suffix in SUFFIXES)

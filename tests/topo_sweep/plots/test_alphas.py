"""What the picture of a search's weights promises: every weight of every edge, the choice bold."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas_core.cells.genotype import OPERATION_NAMES, Genotype
from nas_core.errors import InputError
from tests.topo_sweep.analysis.search_rows import GENOTYPE, search, search_epochs, searches
from tests.topo_sweep.plots.figure_checks import unreadable, words
from topo_sweep.plots.alphas import alphas
from topo_sweep.plots.operations import edge_operations

Edges = tuple[tuple[int, int], ...]

ALL: Edges = tuple((source, node) for node in range(2, 6) for source in range(node))
FIXED: Edges = ((0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4), (0, 5), (2, 5))
"""As in the genotype."""
FEW = ("none", "skip_connect", "sep_conv_3x3")


@functools.cache
def drawn(stages: tuple[tuple[str, ...], ...] = (FEW,), edges: Edges = ALL) -> Figure:
    row = searches([search("abc", space="all")]).iloc[0]
    return alphas(row, search_epochs("abc", stages, edges))


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.lines]


def curves(axes: Axes) -> dict[str, list[float]]:
    return {
        str(line.get_label()): [float(y) for y in np.asarray(line.get_ydata(orig=True))]
        for line in axes.lines
        if line.get_label() in OPERATION_NAMES
    }


def titles(figure: Figure) -> list[str]:
    return [axes.get_title().partition(":")[0] for axes in panels(figure)]


@pytest.mark.slow
@pytest.mark.parametrize("edges", [ALL, FIXED])
def test_every_edge_of_both_cells_has_a_panel(edges: Edges) -> None:
    assert titles(drawn(edges=edges)) == 2 * [f"{source} → {node}" for source, node in edges]


def test_a_panel_shows_the_weight_of_every_operation_in_every_epoch() -> None:
    for axes in panels(drawn()):
        shown = curves(axes)
        # In epoch e operation i weighs 1 + i * e of 3 + 3 * e.
        assert shown["none"] == pytest.approx([1 / 3, 1 / 6, 1 / 9])
        assert shown["skip_connect"] == pytest.approx([1 / 3, 2 / 6, 3 / 9])
        assert shown["sep_conv_3x3"] == pytest.approx([1 / 3, 3 / 6, 5 / 9])
        low, high = axes.get_ylim()
        assert low <= 1 / 9
        assert high >= 5 / 9


@pytest.mark.slow
def test_the_edges_and_operations_that_were_found_are_bold() -> None:
    genotype = Genotype.from_string(GENOTYPE)
    figure = drawn((tuple(OPERATION_NAMES),))
    for cell, edges in (
        (genotype.normal, panels(figure)[:14]),
        (genotype.reduction, panels(figure)[14:]),
    ):
        operations = edge_operations(cell)
        for ends, axes in zip(ALL, edges, strict=True):
            thick = [str(line.get_label()) for line in axes.lines if line.get_linewidth() > 2]
            assert thick == ([operations[ends]] if ends in operations else [])
            assert (axes.title.get_fontweight() == "bold") == (ends in operations)


@pytest.mark.slow
def test_the_line_of_an_operation_ends_with_the_stage_in_which_it_was_dropped() -> None:
    figure = drawn((FEW, FEW[:2], FEW[1:2]))
    axes = panels(figure)[0]

    shown = curves(axes)
    assert np.isnan(shown["sep_conv_3x3"]).tolist() == 3 * [False] + 6 * [True]
    assert np.isnan(shown["none"]).tolist() == 6 * [False] + 3 * [True]
    assert not np.isnan(shown["skip_connect"]).any()
    borders = [line.get_xdata()[0] for line in axes.lines if line.get_label() not in shown]  # type: ignore[index]
    assert borders == [2.5, 5.5]
    assert "next stage" in words(figure)
    assert "next stage" not in words(drawn())


def test_the_legend_names_each_operation_once() -> None:
    (legend,) = drawn().legends
    assert [text.get_text() for text in legend.get_texts()] == ["none", "skip", "sep 3x3"]


def test_the_header_says_which_search_it_is() -> None:
    said = words(drawn())
    assert "search_subspace on digits" in said
    assert "5 cells, seed 20, search abc" in said


def test_only_the_epochs_of_this_search_are_drawn() -> None:
    row = searches([search("abc")]).iloc[0]
    both = pd.concat(
        [search_epochs("abc", [FEW], FIXED), search_epochs("other", [FEW], ALL)], ignore_index=True
    )
    assert len(panels(alphas(row, both))) == 16
    with pytest.raises(InputError, match="search abc has no epochs"):
        alphas(row, both[both["search_id"] == "other"])


@pytest.mark.slow
@pytest.mark.parametrize("edges", [ALL, FIXED])
def test_all_texts_can_be_read(edges: Edges) -> None:
    assert unreadable(drawn((tuple(OPERATION_NAMES), FEW), edges)) == []

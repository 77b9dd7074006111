"""Where parts and links of a cell stand on paper, in inches."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure

from topo_sweep.plots.cell_drawing import OUTPUT, Drawing, canvas, draw_arrow_head
from topo_sweep.plots.cell_layout import Key, Link

LAYERS: dict[Key, int] = {0: 0, 1: 0, 2: 1, OUTPUT: 2}
LINKS: list[Link] = [(0, 2), (1, 2), (2, OUTPUT), (0, OUTPUT)]
WIDTHS: dict[Key, float] = {0: 0.66, 1: 0.66, 2: 0.34, OUTPUT: 0.66}


def drawing(**values: float) -> Drawing:
    options = {"through": 0.1, "gap": 0.2, "ports": 0.4, "step": 0.6} | values
    return Drawing(LAYERS, LINKS, **options)


def test_a_part_grows_with_the_links_that_meet_it() -> None:
    sizes = drawing().sizes

    assert sizes[1] == (0.66, 0.4)
    assert sizes[0] == (0.66, 2 * 0.4), "two links leave it"
    assert sizes[2] == (0.34, 2 * 0.4), "two links end there"
    assert drawing(ports=0.01).sizes[0] == (0.66, 0.34)


def test_layers_stand_from_left_to_right_at_least_a_step_apart() -> None:
    drawn = drawing()

    assert drawn.x[0] == 0.66 / 2
    for left, right in zip(drawn.x, drawn.x[1:], strict=False):
        assert right - left > (0.66 + 0.34) / 2 + 0.6 - 1e-9
    assert drawn.width == pytest.approx(drawn.x[-1] + 0.66 / 2)


def test_links_of_a_part_are_ports_apart_in_the_order_of_their_other_ends() -> None:
    drawn = drawing()
    upper, lower = sorted((0, 1), key=lambda part: -drawn.y[part])

    ports = [drawn.port(2, (part, 2)) for part in (upper, lower)]

    assert ports[0] - ports[1] == pytest.approx(0.4)
    assert sum(ports) / 2 == pytest.approx(drawn.y[2])


def test_a_link_runs_from_the_right_end_of_a_part_to_the_left_end_of_another() -> None:
    drawn = drawing()
    for source, target in LINKS:
        vertices: Any = drawn.path((source, target)).vertices
        assert tuple(vertices[0]) == pytest.approx(
            (drawn.x[LAYERS[source]] + WIDTHS[source] / 2, drawn.port(source, (source, target)))
        )
        assert tuple(vertices[-1]) == pytest.approx(
            (drawn.x[LAYERS[target]] - WIDTHS[target] / 2, drawn.port(target, (source, target)))
        )


def test_everything_lies_within_the_extent_and_the_axes_are_in_inches() -> None:
    figure, drawn = Figure(figsize=(6, 5)), drawing()
    axes = canvas(figure, drawn, left=1.0, top=4.0, title="a cell")
    low, high = drawn.extent

    for part, y in drawn.y.items():
        assert low <= y - drawn.sizes[part][1] / 2 < y + drawn.sizes[part][1] / 2 <= high
    box = axes.get_position()
    assert (box.x0 * 6, box.y1 * 5) == pytest.approx((1.0, 4.0))
    assert (box.width * 6, box.height * 5) == pytest.approx((drawn.width, high - low))


def test_inputs_nodes_and_output_are_boxes_with_their_names_and_links_end_in_arrows() -> None:
    drawn = drawing()
    axes = canvas(Figure(), drawn, left=0.0, top=4.0, title="a cell")

    draw_arrow_head(axes, drawn.path((0, 2)), "red")

    assert {text.get_text() for text in axes.texts} == {
        *("0: $c_{k-2}$", "1: $c_{k-1}$", "2", "output"),
    }
    *boxes, arrow = axes.patches
    assert {box.get_gid() for box in boxes} == {"box 0", "box 1", "box 2", "box output"}
    corners: Any = arrow.get_path().vertices
    assert tuple(corners[0]) == pytest.approx((drawn.x[1] - 0.34 / 2, drawn.port(2, (0, 2))))

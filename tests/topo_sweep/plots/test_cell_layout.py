"""What a layout of a small graph promises; that nothing collides is tested with drawings."""

from __future__ import annotations

from topo_sweep.plots.cell_layout import Key, Link, layered


def test_crossings_that_need_not_be_are_avoided() -> None:
    links: list[Link] = [("a", "y"), ("b", "x"), ("x", "p"), ("y", "q")]
    layers: dict[Key, int] = {"a": 0, "b": 0, "x": 1, "y": 1, "p": 2, "q": 2}
    y, _ = layered(layers, links, dict.fromkeys(layers, 1.0), through=0.1, gap=0.2)

    assert (y["a"] > y["b"]) == (y["y"] > y["x"]) == (y["q"] > y["p"])


def test_a_link_that_passes_a_layer_keeps_its_distance_from_the_parts_there() -> None:
    links: list[Link] = [("a", "b"), ("b", "c"), ("a", "c")]
    layers: dict[Key, int] = {"a": 0, "b": 1, "c": 2}
    y, routes = layered(layers, links, dict.fromkeys(layers, 1.0), through=0.1, gap=0.2)

    assert abs(routes["a", "c"][1] - y["b"]) >= 0.5 + 0.05 + 0.2 - 1e-9

"""Steps of a search side by side, counted in steps of weights."""

from __future__ import annotations

from nas_core.protocols.data import DATASETS
from nas_core.protocols.search import SearchProtocol
from topo_sweep.bench.searches import search_figures, search_text


def test_alpha_steps_of_both_orders_stand_beside_the_weight_step() -> None:
    protocol = SearchProtocol(
        cells=1,
        init_channels=2,
        epochs=2,
        batch_size=4,
        operations=("none", "skip_connect", "sep_conv_3x3"),
        topology=(0, 0),
    )
    figures = search_figures(
        protocol, DATASETS["digits"], device="cpu", threads=1, repeats=2, tell=lambda _: None
    )

    weights, *alphas = figures["sides"]
    assert (weights["side"], weights["weight_steps"]) == ("weights", 1.0)
    assert [side["side"] for side in alphas] == ["alphas, first order", "alphas, second order"]
    assert all(side["seconds"] > 0 for side in figures["sides"])
    assert "alphas, second order" in search_text(figures).splitlines()[-1]

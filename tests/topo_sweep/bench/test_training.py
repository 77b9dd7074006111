"""Steps of training side by side: images of a pack count for each model, shares are of limits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nas_core.networks.evaluation import EvalNetwork, multiply_adds
from nas_core.protocols.data import DATASETS
from nas_core.protocols.training import Protocol
from topo_sweep.bench import limits
from topo_sweep.bench.training import members_of, training_figures, training_text

PROTOCOL = Protocol(cells=1, init_channels=2, epochs=2, batch_size=4)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setitem(limits._COPIED_BYTES, "cpu", 2**16)
    monkeypatch.setitem(limits._MATRIX, "cpu", 32)
    return training_figures(
        PROTOCOL,
        DATASETS["digits"],
        packs=[1, 3],
        precisions=["float32", "bfloat16"],
        device="cpu",
        threads=1,
        repeats=2,
        tell=lambda _: None,
    )


def test_every_size_is_measured_in_every_precision(figures: dict[str, Any]) -> None:
    assert [(side["side"], side["models"]) for side in figures["sides"]] == [
        ("plain, float32", 1),
        ("pack of 1, float32", 1),
        ("pack of 3, float32", 3),
        ("plain, bfloat16", 1),
        ("pack of 1, bfloat16", 1),
        ("pack of 3, bfloat16", 3),
    ]
    assert [limit["side"] for limit in figures["limits"]] == [
        limits.COPY,
        "matrix product, float32",
        "matrix product, bfloat16",
    ]


def test_images_and_shares_follow_from_the_seconds(figures: dict[str, Any]) -> None:
    plain, pack = figures["sides"][0], figures["sides"][2]
    copy, product, _ = figures["limits"]

    assert plain["of_plain"] == 1.0
    assert pack["images_per_second"] == pytest.approx(3 * 4 / pack["seconds"])
    # Both shares are of the same two limits, so these cancel.
    of_one_image = plain["arithmetic"] * product["operations_per_second"]
    of_one_image /= plain["images_per_second"]
    alone = EvalNetwork(members_of(1)[0].genotype, init_channels=2, cells=1, num_classes=10)
    assert of_one_image == pytest.approx(6 * multiply_adds(alone, 8, 8))
    kept = [side["memory"] * side["seconds"] * copy["bytes_per_second"] for side in (plain, pack)]
    assert kept[1] > 1.5 * kept[0]


def test_the_table_shows_each_side_and_what_its_shares_are_of(figures: dict[str, Any]) -> None:
    text = training_text(figures)

    assert text.splitlines()[0].split("  ")[0] == "step of"
    assert "pack of 3, bfloat16" in text
    assert "GB/s read and written by a large copy" in text
    assert text.count("GFLOP/s by a matrix product") == 2


def test_compiled_forms_stand_beside_their_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits._COPIED_BYTES, "cpu", 2**16)
    monkeypatch.setitem(limits._MATRIX, "cpu", 32)
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)

    figures = training_figures(
        PROTOCOL,
        DATASETS["digits"],
        packs=[2],
        precisions=["float32"],
        device="cpu",
        threads=1,
        repeats=1,
        tell=lambda _: None,
        compiled=True,
    )

    assert [(side["side"], side["compile_seconds"] is None) for side in figures["sides"]] == [
        ("plain, float32", True),
        ("plain, float32, compiled", False),
        ("pack of 2, float32", True),
        ("pack of 2, float32, compiled", False),
    ]
    assert "s to compile pack of 2, float32, compiled" in training_text(figures)

"""The kinds of measurements: each takes its options and tells what it measured."""

from __future__ import annotations

from typing import Any

import pytest

from topo_sweep.bench import kinds, limits
from topo_sweep.cli.bench import _OF_KIND

TINY = {"preset": None, "cells": 1, "channels": 2, "batch": 4, "image_size": None, "threads": None}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits._COPIED_BYTES, "cpu", 2**16)
    monkeypatch.setitem(limits._MATRIX, "cpu", 32)


def test_the_command_offers_each_kind() -> None:
    assert set(kinds.KINDS) == set(_OF_KIND)


@pytest.mark.parametrize(
    ("kind", "options", "what"),
    [
        (
            "train",
            TINY | {"packs": "2", "precisions": "float32", "compile": False},
            "1 cell, 2 channels, batches of",
        ),
        ("search", TINY, "1 cell, 2 channels, batches of 4 images of 8x8"),
        ("store", {"trials": 20}, "a store of 20 trials and 100 rows of curves, "),
    ],
)
def test_a_kind_is_measured_with_its_options(kind: str, options: dict[str, Any], what: str) -> None:
    assert set(options) == set(_OF_KIND[kind])

    figures, text = kinds.measured(kind, options, repeats=1, tell=lambda _: None)

    first, empty, *table = text.splitlines()
    assert first.startswith(what)
    assert first.endswith("; n = 1 each, in turn")
    assert empty == ""
    assert len(table) > len(figures["sides"])


def test_without_options_a_kind_has_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*, trials: int, **_: object) -> dict[str, Any]:
        return {"trials": trials, "sides": []}

    monkeypatch.setattr(kinds, "ray_figures", asked)
    figures, text = kinds.measured("overhead", {"trials": None}, repeats=5, tell=lambda _: None)

    assert figures["trials"] == 100
    assert text.startswith("100 trials that train nothing, Ray here; n = 5 each, in turn")

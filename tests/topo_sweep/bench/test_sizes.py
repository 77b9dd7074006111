"""Which network is measured: presets with some sizes replaced; what is none is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nas_core.errors import InputError
from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import PRESETS
from topo_sweep.bench import sizes


def test_sizes_replace_those_of_the_preset_and_the_rest_stays() -> None:
    protocol, info = sizes.training_size("shallow", {"cells": 3, "batch_size": None}, 16)

    assert protocol == PRESETS["shallow"].with_values({"cells": 3})
    assert info.image_size == (16, 16)


def test_images_are_those_of_the_preset() -> None:
    assert sizes.training_size("demo", {}, None)[1].image_size == (8, 8)
    assert sizes.training_size("final", {}, None)[1].image_size == (32, 32)
    assert sizes.search_size("search_demo", {}, None)[1].image_size == (8, 8)


def test_a_search_that_needs_a_wiring_gets_one() -> None:
    assert sizes.search_size("search_edarts", {}, None)[0].topology == (1, 1)
    assert sizes.search_size("search_sparse", {}, None)[0] == SEARCH_PRESETS["search_sparse"]


def test_what_is_measured_is_told() -> None:
    protocol, info = sizes.training_size("demo", {}, None)
    assert sizes.size_words(protocol, info, device="cpu", threads=2) == (
        "5 cells, 4 channels, batches of 48 images of 8x8, on the CPU, 2 threads"
    )
    assert sizes.size_words(protocol, info, device="cuda", threads=1).endswith("on the GPU")


def test_lists_of_sizes_and_precisions() -> None:
    assert sizes.pack_sizes("1, 30,1") == [1, 30]
    assert sizes.precisions("bfloat16") == ["bfloat16"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: sizes.pack_sizes("1,0"), "'0' is no size of a pack"),
        (lambda: sizes.pack_sizes(""), "'' is no size of a pack"),
        (lambda: sizes.precisions("float31"), "'float31' is no precision: use float32"),
        (lambda: sizes.training_size("search_demo", {}, None), "of searches: add --kind search"),
        (lambda: sizes.search_size("demo", {}, None), "of trainings: leave out --kind"),
        (lambda: sizes.training_size("deep", {}, None), "unknown preset 'deep'"),
        (lambda: sizes.training_size("demo", {"cells": 999}, None), "cells"),
    ],
)
def test_what_is_no_size_is_refused(ask: Callable[[], object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ask()

"""Maps are halved by picking pixels, and never by a strided 1x1 convolution.

Where maps are channels last PyTorch writes beyond memory in its gradient (docs/performance.md).
Since that need not show, what is dispatched is looked at, in the precision of the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nas_core.cells.genotype import KNOWN_CELLS, OPERATION_NAMES
from nas_core.cells.topology import Topology
from nas_core.networks.alphas import Alphas, SearchSpace
from nas_core.networks.evaluation import EvalNetwork
from nas_core.networks.packed import PackedNetwork
from nas_core.networks.supernet import SearchNetwork
from tests.nas_core.networks import forms
from tests.nas_core.networks.forms import FORMS

SIZE: dict[str, Any] = {"init_channels": 2, "cells": 3, "num_classes": 10}
WIRING = Topology.from_index(17)


class Strided(TorchDispatchMode):
    """Notes each 1x1 convolution of stride 2, and each gradient of one."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        names = (argument.name for argument in func._schema.arguments)
        named = dict(zip(names, args, strict=False)) | (kwargs or {})
        weight = named.get("weight")
        is_1x1 = isinstance(weight, Tensor) and weight.shape[2:] == (1, 1)
        if is_1x1 and "groups" in named and max(named["stride"]) > 1:
            self.seen.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def images(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(4, 3, 8, 8, dtype=dtype).to(memory_format=torch.channels_last)


def search() -> Tensor:
    space = SearchSpace.full(OPERATION_NAMES, WIRING)
    logits: Tensor = SearchNetwork(operations=space, **SIZE)(images(), Alphas(space).mixing())
    return logits


def pack(*models: Any, **reductions: Any) -> Callable[[], Tensor]:
    return lambda: PackedNetwork(models, **reductions, **SIZE)(images())


def reductions(operation: str) -> Callable[[], Tensor]:
    return pack(WIRING, reduction_topologies=[WIRING], reduction_operation=operation)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "logits",
    [
        search,
        pack(*[KNOWN_CELLS["DARTS_V2"]] * 2),
        reductions("skip_connect"),
        reductions("sep_conv_3x3"),
        reductions("dil_conv_5x5"),
    ],
    ids=["search", "cell", "skips", "separable", "dilated"],
)
def test_no_step_runs_a_strided_1x1_convolution(
    logits: Callable[[], Tensor], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms.take(form, monkeypatch)
    with Strided() as strided:
        logits().square().sum().backward()
    assert strided.seen == []


def test_those_of_the_plain_network_would_be_noticed() -> None:
    # In float64, which oneDNN does not compute.
    network = EvalNetwork(KNOWN_CELLS["DARTS_V2"], **SIZE).double()
    with Strided() as strided:
        network(images(torch.float64)).square().sum().backward()
    assert set(strided.seen) == {"convolution", "convolution_backward"}

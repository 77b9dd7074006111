"""Blocks lie one after another, and a model's tensors are found in them."""

from __future__ import annotations

import pytest
import torch

from nas_core.networks.packs.packing import Packing

SHAPES = {"a": torch.Size([2]), "b": torch.Size([2]), "c": torch.Size([3, 1])}


@pytest.fixture
def packing() -> Packing:
    """Three models; a block of two tensors, then one of one."""
    packing = Packing(3, SHAPES)
    packing.block("a", "b")
    packing.block("c")
    return packing


def test_blocks_hold_the_tensors_of_all_models(packing: Packing) -> None:
    first, second = packing.blocks

    assert (first.number, first.shape) == (0, (2, 3, 2))
    assert (second.number, second.shape) == (1, (1, 3, 3, 1))
    assert packing.size == 12 + 9


def test_a_models_tensors_are_views_of_flat_memory(packing: Packing) -> None:
    flat = torch.arange(21.0)

    second = packing.model(flat, 1)

    assert {name: tensor.flatten().tolist() for name, tensor in second.items()} == {
        "a": [2, 3],
        "b": [8, 9],
        "c": [15, 16, 17],
    }
    second["b"].zero_()
    assert flat[8:10].tolist() == [0, 0]


def test_every_number_belongs_to_one_model(packing: Packing) -> None:
    assert packing.owners().tolist() == [0, 0, 1, 1, 2, 2] * 2 + [0] * 3 + [1] * 3 + [2] * 3


def test_gradients_of_blocks_come_back_joined(packing: Packing) -> None:
    flat = torch.arange(21.0, requires_grad=True)

    first, second = packing.split(flat)
    (3 * first.sum() + second[0, 1].sum()).backward()

    assert flat.grad is not None
    assert flat.grad.tolist() == [3] * 12 + [0] * 3 + [1] * 3 + [0] * 3


def test_tensors_of_other_shapes_share_no_block() -> None:
    with pytest.raises(ValueError, match="too many values"):
        Packing(2, SHAPES).block("a", "c")

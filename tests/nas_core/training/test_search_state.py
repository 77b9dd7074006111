"""What a search holds, how its weights start, and what it refuses before it begins."""

from __future__ import annotations

import pytest
import torch

from nas_core.cells.genotype import Genotype
from nas_core.cells.sampling import random_genotypes
from nas_core.data.augmentation import normalise
from nas_core.data.splits import Images, SearchSplit
from nas_core.errors import InputError
from nas_core.networks.alphas import one_hot
from nas_core.training.search_state import check_searchable
from tests.nas_core.training.searches import BOTH, FIRST, HALVES, TINY, reference, searched, started


def test_the_state_holds_momentum_and_all_of_adam() -> None:
    names = set(reference(FIRST).tensors())
    weights = {name for name, _ in reference(FIRST).network.named_parameters()}
    assert {f"momentum.{name}" for name in weights} <= names
    for alpha in ("normal", "reduction"):
        parts = ("alphas", "alpha_step", "alpha_mean", "alpha_square")
        assert {f"{part}.{alpha}" for part in parts} <= names


def few(images: int, side: int = 8) -> SearchSplit:
    places = torch.arange(images)
    parts = (HALVES.weights[places], HALVES.alphas[places])
    weights, alphas = (Images(p.pixels[:, :, :side, :side], p.labels) for p in parts)
    return SearchSplit(HALVES.info, weights, alphas)


def test_images_too_small_for_the_depth_are_refused() -> None:
    with pytest.raises(InputError, match="images of 3x3 are too small for 3 cells"):
        started(BOTH, images=few(16, side=3))


def test_a_last_batch_of_one_image_is_refused_where_maps_are_one_pixel() -> None:
    with pytest.raises(
        InputError, match=r"17 images in batches of 16 leave a batch of one image, .* batch_size"
    ):
        started(BOTH, images=few(17, side=4))
    check_searchable(BOTH, few(17, side=8))
    check_searchable(BOTH, few(18, side=4))


def test_every_stage_is_checked_before_anything_is_searched() -> None:
    one_cell = {"cells": 1, "operations_kept": 3}
    deeper = TINY.with_values({"stages": [one_cell, {"cells": 3, "operations_kept": 2}]})
    check_searchable(TINY, few(16, side=2))
    with pytest.raises(InputError, match="too small for 3 cells"):
        check_searchable(deeper, few(16, side=2))


def test_weights_of_an_edge_start_equal_in_every_space_and_topology() -> None:
    whole = started(BOTH.with_values({"topology": None, "operations": "all"}))
    theirs = dict(whole.network.named_parameters())
    for name, weight in started(BOTH).network.named_parameters():
        assert torch.equal(weight, theirs[name])


def cells(count: int) -> tuple[Genotype, ...]:
    return random_genotypes(BOTH.operations, count, seed=0, topology=BOTH.topologies)


def test_one_hot_accuracy_is_that_of_shared_weights_on_the_images_of_the_alphas() -> None:
    search = searched(BOTH)
    images, labels = HALVES.alphas.pixels, HALVES.alphas.labels
    batch = normalise(images, HALVES.info, torch.float64)
    for genotype in cells(5):
        search.network.eval()
        with torch.no_grad():
            mixing = one_hot(search.network.space, genotype, batch)
            right = search.network(batch, mixing).argmax(dim=1) == labels
        search.network.train()

        assert search.one_hot_accuracy(genotype) == right.double().mean().item()


def test_measuring_cells_leaves_the_search_as_it_is() -> None:
    search, other = started(BOTH), started(BOTH)
    running, plain = search.epochs(), other.epochs()
    for _ in range(BOTH.epochs):
        first, second = next(running), next(plain)
        assert first.genotype == second.genotype
        assert first.train_loss == second.train_loss
        for genotype in cells(2):
            search.one_hot_accuracy(genotype)
    for name, tensor in other.tensors().items():
        assert torch.equal(search.tensors()[name], tensor), name

"""What a search's epochs do: steps of weights and alphas, each on its half of the images."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_core.cells.genotype import Genotype
from nas_core.cells.topology import Topology
from nas_core.data.splits import Images, load_dataset, search_split, split
from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import DataOptions
from tests.nas_core.training.searches import (
    BOTH,
    FIRST,
    HALVES,
    TINY,
    reference,
    searched,
    started,
)
from tests.nas_core.training.trainings import DIGITS, copied, same, stopped_after, unchanged


@pytest.mark.slow
def test_another_seed_order_or_topology_is_another_search() -> None:
    searches = [reference(TINY), searched(seed=1), reference(FIRST)]
    searches.append(searched(TINY.with_values({"topology": 18})))
    losses = {search.history[-1].train_loss for search in searches}
    alphas = {str(search.history[-1].alphas) for search in searches}
    assert len(losses) == len(alphas) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"attention": "per_update"},
        {"edge_normalisation": True, "partial_channels": 2, "init_channels": 4},
        {"warmup_epochs": 1, "alpha_every": "epoch"},
    ],
    ids=["attention", "PC-DARTS", "warm-up"],
)
def test_searches_of_other_kinds_go_on_to_the_same_end_too(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    protocol = FIRST.with_values(changes)
    stopped_after(1, started(protocol, path=tmp_path / "state"))
    second = started(protocol, path=tmp_path / "state")
    assert [epoch.epoch for epoch in second.epochs()] == [0, 1, 2]
    assert same(second, reference(protocol))


@pytest.mark.parametrize(
    ("every", "expected"),
    [("step", 5), ("epoch", 1), (1, 5), (2, 2), (3, 1), (5, 1)],
)
def test_alphas_step_as_often_as_asked(every: str | int, expected: int) -> None:
    protocol = FIRST.with_values({"alpha_every": every, "batch_size": 5, "epochs": 1})
    epoch = searched(protocol).history[0]
    assert (epoch.weight_steps, epoch.alpha_steps) == (5, expected)
    assert epoch.alpha_loss is not None
    assert epoch.alpha_accuracy is not None


def test_warm_up_trains_weights_alone() -> None:
    search = started(FIRST.with_values({"warmup_epochs": 2}))
    before = copied(search.alphas.tensors)
    stopped_after(2, search)
    assert [epoch.alpha_steps for epoch in search.history] == [0, 0]
    assert {epoch.alpha_loss for epoch in search.history} == {None}
    assert {epoch.alpha_accuracy for epoch in search.history} == {None}
    assert unchanged(before, search.alphas.tensors)
    list(search.epochs())
    assert search.history[2].alpha_steps == 2
    assert not unchanged(before, search.alphas.tensors)


def test_alphas_that_are_not_finite_are_a_divergence_without_a_genotype() -> None:
    search = started(FIRST)
    with torch.no_grad():
        search.alphas.tensors["normal"][0, 0] = math.nan
    epoch = next(search.epochs())
    assert epoch.genotype is None
    assert (epoch.skips_normal, epoch.skips_reduction) == (0, 0)
    assert search.diverged


def test_every_epoch_tells_the_weights_and_genotype_of_now() -> None:
    search = started(BOTH.with_values({"epochs": 2}))
    for epoch in search.epochs():
        assert epoch.genotype is not None
        genotype = Genotype.from_string(epoch.genotype)
        assert genotype.normal.topology == genotype.reduction.topology == Topology.from_index(17)
        skips = [
            sum(edge.operation == "skip_connect" for edge in cell.edges)
            for cell in (genotype.normal, genotype.reduction)
        ]
        assert [epoch.skips_normal, epoch.skips_reduction] == skips
        for cell_type, mixing in search.alphas.mixing().items():
            rows = [list(edge.weights.values()) for edge in epoch.edge_weights(cell_type)]
            assert rows == mixing.operations.tolist()


def test_validation_accuracy_is_that_of_the_alphas_half_in_the_last_epoch_alone() -> None:
    search = searched(FIRST.with_values({"precision": "float64"}))
    assert [epoch.val_accuracy is None for epoch in search.history] == [True, True, False]
    info = DIGITS.info
    images = (HALVES.alphas.pixels.double() / 255 - info.mean[0]) / info.std[0]
    with torch.no_grad():
        answers = search.network.eval()(images, search.alphas.mixing()).argmax(dim=1)
    right = int((answers == HALVES.alphas.labels).sum())
    assert search.history[-1].val_accuracy == right / 24


def test_search_never_looks_at_test_or_validation_images() -> None:
    nothing = Images(torch.zeros_like(DIGITS.test.pixels), torch.zeros_like(DIGITS.test.labels))
    blind = dataclasses.replace(DIGITS, test=nothing, validation=nothing)
    assert same(searched(FIRST, images=search_split(blind, 24)), reference(FIRST))


def test_search_leaves_images_and_the_global_generator_alone() -> None:
    before = [part.pixels.clone() for part in (HALVES.weights, HALVES.alphas)]
    search = started(FIRST)
    state = torch.get_rng_state()
    list(search.epochs())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(HALVES.weights.pixels, before[0])
    assert torch.equal(HALVES.alphas.pixels, before[1])


@pytest.mark.parametrize("clip", [1e-3, None])
def test_alpha_gradients_are_clipped_where_asked(clip: float | None) -> None:
    search = searched(FIRST.with_values({"alpha_clip": clip, "epochs": 1}))
    gradients = [alpha.grad for alpha in search.alphas.tensors.values() if alpha.grad is not None]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    assert (norm <= 1.001e-3) == (clip is not None)


@pytest.mark.slow
def test_the_demos_search_learns_digits() -> None:
    digits = split(load_dataset("digits"), DataOptions(dataset="digits", train_limit=400))
    protocol = SEARCH_PRESETS["search_demo"].with_values(
        {"topology": 17, "cells": 1, "epochs": 8, "operations": TINY.operations}
        | {"batch_size": 25, "images": 200, "learning_rate": 0.1, "alpha_order": 1}
    )
    history = searched(protocol, images=search_split(digits, 200)).history
    assert history[-1].train_loss < 0.6 * history[0].train_loss
    assert history[-1].val_accuracy is not None
    assert history[-1].val_accuracy > 0.3

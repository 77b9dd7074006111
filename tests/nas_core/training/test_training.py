"""What a training's epochs do: steps of its protocol, measured over images; and it learns."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nas_core.cells.genotype import KNOWN_CELLS, CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.data.splits import Images, Split, load_dataset, split
from nas_core.errors import InputError
from nas_core.networks.evaluation import EvalNetwork, multiply_adds, parameter_count
from nas_core.protocols.training import PRESETS, DataOptions
from nas_core.streams import Draws
from nas_core.training.training import Training
from tests.nas_core.training.trainings import DIGITS, TINY, cells, reference, same, trained


def test_another_seed_or_topology_is_another_training() -> None:
    assert not same(reference(), trained(seed=1))
    assert reference().history[-1].train_loss != trained(101).history[-1].train_loss


def test_every_epoch_steps_with_its_own_learning_rate() -> None:
    # One step an epoch along a gradient clipped to 1e-3: the weights move by rate * 1e-3.
    protocol = TINY.with_values(
        {"epochs": 4, "learning_rate": 0.5, "gradient_clip": 1e-3, "batch_size": 70}
        | {"weight_decay": 0.0, "momentum": 0.0, "precision": "float64"}
    )
    training = Training(cells(5), protocol, DIGITS, seed=0)
    moved, before = [], weights(training)
    for _ in training.epochs():
        after = weights(training)
        moved.append((after - before).norm().item())
        before = after
    rates = [0.5, 0.25 + 0.25 * math.sqrt(0.5), 0.25, 0.25 - 0.25 * math.sqrt(0.5)]
    assert moved == pytest.approx([rate * 1e-3 for rate in rates], rel=1e-3)


def weights(training: Training) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in training.network.parameters()])


def test_partial_batches_are_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = batch_sizes(monkeypatch, lambda: trained(protocol=TINY.with_values({"epochs": 1})))
    assert sizes == [32, 32, 6]


def batch_sizes(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[int]:
    """Return the size of every batch that a network saw in training mode."""
    sizes: list[int] = []
    forward = EvalNetwork.forward

    def spy(self: EvalNetwork, images: Tensor, keep_masks: Tensor | None = None) -> object:
        if self.training:
            sizes.append(len(images))
        return forward(self, images, keep_masks)

    monkeypatch.setattr(EvalNetwork, "forward", spy)
    act()
    return sizes


def test_drop_path_has_the_scheduled_strength_in_training_and_none_in_evaluation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[bool, set[float] | None]] = []
    forward = EvalNetwork.forward

    def spy(self: EvalNetwork, images: Tensor, keep_masks: Tensor | None = None) -> object:
        values = None if keep_masks is None else set(keep_masks.unique().tolist())
        seen.append((self.training, values))
        return forward(self, images, keep_masks)

    monkeypatch.setattr(EvalNetwork, "forward", spy)
    trained(protocol=TINY.with_values({"precision": "float64"}))

    in_training = [values for training, values in seen if training]
    assert all(values is None for training, values in seen if not training)
    assert in_training[:3] == [None] * 3, "epoch 0 drops nothing"
    for epoch, values in ((1, in_training[3]), (2, in_training[6])):
        assert values is not None
        assert sorted(values) == pytest.approx([0, 1 / (1 - 0.3 * epoch / 3)])


def test_loss_and_accuracy_are_means_over_images_not_over_batches() -> None:
    # Nothing is learned or augmented, so the epoch's own batches can be recomputed at its end.
    protocol = TINY.with_values(
        {"learning_rate": 1e-300, "weight_decay": 0.0, "epochs": 1, "precision": "float64"}
        | {"crop_padding": 0, "flip": False, "cutout": 0}
    )
    training = trained(protocol=protocol)
    order = Draws.draw(protocol, seed=0, epoch=0, images=70, image_size=(8, 8)).order
    training.network.train()
    losses, right = [], 0
    for places in (order[:32], order[32:64], order[64:]):
        labels = DIGITS.train.labels[places]
        chances = training.network(scaled(DIGITS.train.pixels[places])).softmax(dim=1)
        losses += [-math.log(chances[i, label].item()) for i, label in enumerate(labels)]
        right += int((chances.argmax(dim=1) == labels).sum())

    metrics = training.history[0]
    assert metrics.train_loss == pytest.approx(sum(losses) / 70, rel=1e-9)
    assert metrics.train_accuracy == right / 70


def scaled(pixels: Tensor) -> Tensor:
    """Scans have one grey in three channels: 0..255 -> 0..1 -> mean 0 and SD 1."""
    return (pixels.double() / 255 - DIGITS.info.mean[0]) / DIGITS.info.std[0]


def test_training_leaves_the_images_alone() -> None:
    parts = [part for part in (DIGITS.train, DIGITS.validation, DIGITS.test) if part is not None]
    before = [(part.pixels.clone(), part.labels.clone()) for part in parts]
    trained()
    assert [part.pixels.dtype for part in parts] == [torch.uint8] * 3
    for part, (pixels, labels) in zip(parts, before, strict=True):
        assert torch.equal(part.pixels, pixels)
        assert torch.equal(part.labels, labels)


def test_gradients_are_clipped_to_the_protocols_norm() -> None:
    rate = 0.5
    protocol = TINY.with_values(
        {"gradient_clip": 1e-3, "weight_decay": 0.0, "momentum": 0.0, "learning_rate": rate}
        | {"epochs": 1, "batch_size": 70, "precision": "float64"}
    )
    training = Training(cells(5), protocol, DIGITS, seed=0)
    before = [parameter.detach().clone() for parameter in training.network.parameters()]
    list(training.epochs())
    moved = [
        (parameter.detach() - old).square().sum()
        for parameter, old in zip(training.network.parameters(), before, strict=True)
    ]
    assert torch.stack(moved).sum().sqrt().item() == pytest.approx(rate * 1e-3, rel=1e-3)


def test_momentum_and_weight_decay_are_those_of_sgd() -> None:
    one, none = (TINY.with_values({"weight_decay": decay}) for decay in (1e-2, 0.0))
    assert (
        trained(protocol=one).history[-1].train_loss
        != trained(protocol=none).history[-1].train_loss
    )
    optimizer = Training(cells(5), TINY, DIGITS, seed=0).optimizer
    assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 3e-4)


@pytest.mark.slow
def test_the_auxiliary_loss_counts_with_its_weight() -> None:
    few = DIGITS.test[torch.arange(10)]
    big = Split(DIGITS.info, enlarged(DIGITS.train), None, enlarged(few))
    common = {"auxiliary": True, "epochs": 1, "batch_size": 70, "drop_path": 0.0}
    losses = [
        trained(protocol=TINY.with_values({**common, "auxiliary_weight": weight}), images=big)
        .history[0]
        .train_loss
        for weight in (0.0, 1.0, 2.0)
    ]
    alone = trained(protocol=TINY.with_values(common | {"auxiliary": False}), images=big)
    assert losses[0] == pytest.approx(alone.history[0].train_loss, rel=1e-6)
    assert losses[1] > losses[0] + 1, "a second classifier starts near log(10)"
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4)


def enlarged(images: Images) -> Images:
    """Return 8x8 images as 32x32, which the auxiliary head is made for."""
    pixels = images.pixels.repeat_interleave(4, 2).repeat_interleave(4, 3)
    return Images(pixels, images.labels)


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_other_precisions_train_and_differ(precision: str) -> None:
    other = trained(protocol=TINY.with_values({"precision": precision}))
    assert math.isfinite(other.history[-1].train_loss)
    assert other.history[-1].train_loss != reference().history[-1].train_loss


def test_validation_accuracy_is_there_exactly_where_images_are_held_out() -> None:
    without = Split(DIGITS.info, DIGITS.train, None, DIGITS.test)
    assert trained(images=without).history[-1].val_accuracy is None
    assert reference().history[-1].val_accuracy is not None


@pytest.mark.slow
def test_known_cells_learn_digits() -> None:
    images = split(load_dataset("digits"), DataOptions(dataset="digits", train_limit=480))
    protocol = PRESETS["demo"].with_values({"cells": 2, "learning_rate": 0.1})
    training = Training(KNOWN_CELLS["PDARTS"], protocol, images, seed=0)
    history = list(training.epochs())
    assert history[-1].train_loss < 0.5 * history[0].train_loss
    assert (history[-1].test_accuracy or 0) > 0.5


def test_cells_of_other_than_four_nodes_are_refused() -> None:
    three = CellEdges.uniform(Topology.from_index(0, nodes=3), "skip_connect")
    with pytest.raises(InputError, match="trainings take cells with 4 nodes, got 3"):
        Training(Genotype(three, three), TINY, DIGITS, seed=0)


def test_facts_are_the_size_of_the_network() -> None:
    training = reference()
    assert training.facts() == {
        "parameters": parameter_count(training.network),
        "multiply_adds": multiply_adds(training.network, 8, 8),
    }

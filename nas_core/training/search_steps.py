"""Steps of a bilevel search, or of several side by side: of their weights and of their alphas.

Searches side by side are of one protocol and one space, each with its own seed, and each is what it
would be alone, but for rounding. Letters: K searches, B batch.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nas_core.data.splits import Images
from nas_core.networks.supernet import Dropout, PackedSearchNetwork
from nas_core.streams import Draws
from nas_core.training.alpha_step import Batch, Unrolling, Weights, alpha_gradient
from nas_core.training.epochs import SearchEpoch, Steps
from nas_core.training.loop import StepResult
from nas_core.training.meter import Meter

if TYPE_CHECKING:
    from nas_core.training.search import Search


def epoch_side_by_side(
    searches: Sequence[Search], epoch: int, told: Callable[[int, float], Iterator[Steps]]
) -> Generator[Steps, None, list[SearchEpoch]]:
    """Search one epoch; yield what `Loop.told` does and return what each search gave.

    The seconds of each are its share of those of all.
    """
    started = time.perf_counter()
    rates = [search.begin(epoch) for search in searches]
    first = searches[0]
    weights, alphas = Meter(first.device), Meter(first.device)
    steps = list(zip(*(search.steps(epoch) for search in searches), strict=True))
    for step, drawn in enumerate(steps):
        draws = [of_weights for of_weights, _ in drawn]
        alpha_draws = [of_alphas for _, of_alphas in drawn if of_alphas is not None]
        dropouts = [search.dropout(epoch, step) for search in searches]
        if alpha_draws:
            with alphas.timed():
                alphas.add(*alpha_step(searches, draws, alpha_draws, dropouts))
        with weights.timed():
            weights.add(*weight_step(searches, draws, dropouts))
        yield from told(weights.steps, len(steps))
    trained = weights.means_by_model()
    chosen = alphas.means_by_model() if alphas.steps else [(None, None)] * len(searches)
    is_last = epoch == first.protocol.total_epochs - 1
    validated = [s.accuracy(s.split.alphas) if is_last else None for s in searches]
    seconds = (time.perf_counter() - started) / len(searches)
    return [
        SearchEpoch(
            epoch=epoch,
            stage=search.stage,
            learning_rate=rates[number],
            train_loss=trained[number][0],
            train_accuracy=trained[number][1],
            alpha_loss=chosen[number][0],
            alpha_accuracy=chosen[number][1],
            val_accuracy=validated[number],
            weight_steps=weights.steps,
            alpha_steps=alphas.steps,
            weight_seconds=weights.seconds / len(searches),
            alpha_seconds=alphas.seconds / len(searches),
            **search.architecture(),
            seconds=seconds,
        )
        for number, search in enumerate(searches)
    ]


def weight_step(
    searches: Sequence[Search], draws: Sequence[Draws], dropouts: Sequence[Dropout | None]
) -> StepResult:
    """Take one step of the weights of each search; losses (K,), logits and labels (K, B)."""
    network = _network(searches)
    images, labels = _batches(searches, [search.split.weights for search in searches], draws)
    with torch.no_grad():
        mixings = [search.alphas.mixing() for search in searches]
    with searches[0].autocast():
        logits = network(images, mixings, dropouts)
        losses = _losses(logits, labels)
    losses.sum().backward()
    for search in searches:
        search.update()
    return losses, logits, labels


def alpha_step(
    searches: Sequence[Search],
    draws: Sequence[Draws],
    alpha_draws: Sequence[Draws],
    dropouts: Sequence[Dropout | None],
) -> StepResult:
    """Take one step of the alphas; weights and batch-norm statistics stay bit-identical.

    Batch norm normalises by the batch here too, but what it sees is not remembered: an
    evaluation in between shall not depend on how often alphas are updated.
    """
    network = _network(searches)
    protocol = searches[0].protocol
    train = _batches(searches, [search.split.weights for search in searches], draws)
    batch = _batches(searches, [search.split.alphas for search in searches], alpha_draws)
    alphas = [alpha for search in searches for alpha in search.alphas.tensors.values()]

    def losses_and_logits(weights: Weights, batch: Batch) -> tuple[Tensor, Tensor]:
        images, labels = batch
        mixings = [search.alphas.mixing() for search in searches]
        with searches[0].autocast():
            arguments = (images, mixings, dropouts)
            logits = torch.func.functional_call(network, dict(weights), arguments)
            return _losses(logits, labels), logits

    with _frozen_statistics(searches):
        gradients, losses, logits = alpha_gradient(
            losses_and_logits,
            dict(network.named_parameters()),
            alphas,
            train,
            batch,
            unrolling=_unrolling(searches) if protocol.alpha_order == 2 else None,
        )
    for alpha, gradient in zip(alphas, gradients, strict=True):
        alpha.grad = gradient
    for search in searches:
        if protocol.alpha_clip is not None:
            own = list(search.alphas.tensors.values())
            torch.nn.utils.clip_grad_norm_(own, protocol.alpha_clip)
        search.alpha_optimizer.step()
        if protocol.attention == "per_update":
            search.alphas.attend_()
    return losses, logits, batch[1]


def _network(searches: Sequence[Search]) -> PackedSearchNetwork:
    return PackedSearchNetwork([search.network for search in searches])


def _batches(
    searches: Sequence[Search], halves: Sequence[Images], draws: Sequence[Draws]
) -> tuple[Tensor, Tensor]:
    """Return the augmented images (K, B, 3, H, W) and labels (K, B) of a step."""
    each = zip(searches, halves, draws, strict=True)
    batches = [search.batch(half, drawn) for search, half, drawn in each]
    images, labels = zip(*batches, strict=True)
    return torch.stack(images), torch.stack(labels)


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross entropy of each: (K, B, classes), (K, B) -> (K,)."""
    return torch.stack([cross_entropy(*each) for each in zip(logits, labels, strict=True)])


@contextlib.contextmanager
def _frozen_statistics(searches: Sequence[Search]) -> Iterator[None]:
    norms = [norm for search in searches for norm in search.network.batch_norms]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _unrolling(searches: Sequence[Search]) -> Unrolling:
    """Return the step that the weights' optimisers would take next, by the names of `_network`."""
    optimizers = [search.optimizer for search in searches]
    return Unrolling(
        learning_rate=optimizers[0].learning_rate,
        momentum=optimizers[0].momentum,
        weight_decay=optimizers[0].weight_decay,
        momentum_buffers={
            f"models.{number}.{name}": buffer
            for number, optimizer in enumerate(optimizers)
            for name, buffer in optimizer.momentum_buffers.items()
        },
    )

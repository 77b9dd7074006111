"""Steps of a bilevel search, or of several side by side: of their weights and of their alphas.

Searches side by side are of one protocol and one space, each with its own seed, and each is what it
would be alone, but for rounding. Letters: K searches, B batch.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence

import torch
from torch import Tensor

from nas_core.data.splits import Images
from nas_core.networks.alphas import Mixing
from nas_core.networks.supernet import Dropout, PackedSearchNetwork
from nas_core.streams import Draws
from nas_core.training.alpha_step import Batch, Unrolling, Weights, alpha_gradient
from nas_core.training.epochs import SearchEpoch, Steps
from nas_core.training.loop import StepResult, losses_by_model
from nas_core.training.meter import Meter
from nas_core.training.search_state import SearchState


def epoch_side_by_side(
    searches: Sequence[SearchState], epoch: int, told: Callable[[int, float], Iterator[Steps]]
) -> Generator[Steps, None, list[SearchEpoch]]:
    """Search one epoch; yield what `Loop.told` does and return what each search gave.

    The seconds of each are its share of those of all.
    """
    started = time.perf_counter()
    rates = [search.begin(epoch) for search in searches]
    first, together = searches[0], SideBySide(searches)  # which an epoch may have built anew
    weights, alphas = Meter(first.device), Meter(first.device)
    steps = list(zip(*(search.steps(epoch) for search in searches), strict=True))
    for step, drawn in enumerate(steps):
        draws = [of_weights for of_weights, _ in drawn]
        alpha_draws = [of_alphas for _, of_alphas in drawn if of_alphas is not None]
        dropouts = [search.dropout(epoch, step) for search in searches]
        if alpha_draws:
            with alphas.timed():
                alphas.add(*together.alpha_step(draws, alpha_draws, dropouts))
        with weights.timed():
            weights.add(*together.weight_step(draws, dropouts))
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


class SideBySide:
    """Searches that take their steps together, as their networks and alphas are now.

    Args:
        searches: of one protocol and one space, each with its own seed.

    """

    def __init__(self, searches: Sequence[SearchState]) -> None:
        self._searches = searches
        self._protocol = searches[0].protocol
        self._network = PackedSearchNetwork([search.network for search in searches])
        self._weights = dict(self._network.named_parameters())
        self._alphas = [alpha for search in searches for alpha in search.alphas.tensors.values()]

    def weight_step(self, draws: Sequence[Draws], dropouts: Sequence[Dropout | None]) -> StepResult:
        """Take one step of the weights of each; losses (K,), logits and labels (K, B)."""
        images, labels = self._batches([search.split.weights for search in self._searches], draws)
        with torch.no_grad():
            mixings = self._mixings()
        with self._searches[0].autocast():
            logits = self._network(images, mixings, dropouts)
            losses = losses_by_model(logits, labels)
        losses.sum().backward()
        for search in self._searches:
            search.update()
        return losses, logits, labels

    def alpha_step(
        self,
        draws: Sequence[Draws],
        alpha_draws: Sequence[Draws],
        dropouts: Sequence[Dropout | None],
    ) -> StepResult:
        """Take one step of the alphas; weights and batch-norm statistics stay bit-identical.

        Batch norm normalises by the batch here too, but what it sees is not remembered: an
        evaluation in between shall not depend on how often alphas are updated.
        """
        train = self._batches([search.split.weights for search in self._searches], draws)
        batch = self._batches([search.split.alphas for search in self._searches], alpha_draws)

        def losses_and_logits(weights: Weights, batch: Batch) -> tuple[Tensor, Tensor]:
            images, labels = batch
            arguments = images, self._mixings(), dropouts
            with self._searches[0].autocast():
                logits = torch.func.functional_call(self._network, dict(weights), arguments)
                return losses_by_model(logits, labels), logits

        with self._frozen_statistics():
            gradients, losses, logits = alpha_gradient(
                losses_and_logits,
                self._weights,
                self._alphas,
                train,
                batch,
                unrolling=self._unrolling() if self._protocol.alpha_order == 2 else None,
            )
        for alpha, gradient in zip(self._alphas, gradients, strict=True):
            alpha.grad = gradient
        for search in self._searches:
            search.update_alphas()
        return losses, logits, batch[1]

    def _mixings(self) -> list[dict[str, Mixing]]:
        return [search.alphas.mixing() for search in self._searches]

    def _batches(self, halves: Sequence[Images], draws: Sequence[Draws]) -> Batch:
        """Return the augmented images (K, B, 3, H, W) and labels (K, B) of a step."""
        each = zip(self._searches, halves, draws, strict=True)
        batches = [search.batch(half, drawn) for search, half, drawn in each]
        images, labels = zip(*batches, strict=True)
        return torch.stack(images), torch.stack(labels)

    @contextlib.contextmanager
    def _frozen_statistics(self) -> Iterator[None]:
        norms = [norm for search in self._searches for norm in search.network.batch_norms]
        for norm in norms:
            norm.track_running_stats = False
        try:
            yield
        finally:
            for norm in norms:
                norm.track_running_stats = True

    def _unrolling(self) -> Unrolling:
        """Return the step that the weights' optimisers would take next, by names of `_weights`."""
        optimizers = [search.optimizer for search in self._searches]
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

"""Bilevel search: a generator of epochs that can stop and go on after any of them.

Weights learn on one half of the images, alphas on the other (Liu et al., 2019). All randomness
comes from `streams.py`, so a search is a pure function of (protocol, images, seed) and, in
float32, of the threads that add numbers up. Letters: B batch, E edges, O operations.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nas_core.cells.discretisation import discretise_edges, narrowed, skip_count
from nas_core.data.augmentation import normalise, training_batch
from nas_core.data.splits import Images, SearchSplit
from nas_core.errors import InputError
from nas_core.networks.alphas import CELL_TYPES, Alphas, SearchSpace
from nas_core.networks.evaluation import check_image_size, reduction_positions
from nas_core.networks.supernet import Dropout, SearchNetwork
from nas_core.protocols.search import SearchProtocol, skip_dropout_rate
from nas_core.streams import EpochDraws, StepDraws, initialise_, key_number
from nas_core.training.alpha_step import Batch, Unrolling, Weights, alpha_gradient
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import SearchEpoch, stop_reason
from nas_core.training.meter import Meter
from nas_core.training.optimizer_state import optimizer_tensors, restore_optimizer
from nas_core.training.training import DTYPES, EVALUATION_BATCH, MOMENTUM, autocast, learning_rate

_ADAM = {"alpha_step": "step", "alpha_mean": "exp_avg", "alpha_square": "exp_avg_sq"}


def check_searchable(protocol: SearchProtocol, split: SearchSplit) -> None:
    """Refuse what would fail in the middle of a search; builds nothing, so it is cheap.

    Raises:
        InputError: images too small for the depth, a batch of one image whose maps are one
            pixel, which batch norm cannot normalise, or alpha steps that would never come.

    """
    height, width = split.weights.pixels.shape[-2:]
    count = len(split.weights)
    for stage in protocol.all_stages:
        check_image_size(height, width, cells=stage.cells, auxiliary=False)
        halvings = 2 ** len(reduction_positions(stage.cells))
        lone = count % protocol.batch_size == 1 or protocol.batch_size == 1
        if lone and max(-(-height // halvings), -(-width // halvings)) == 1:
            raise InputError(
                f"{count} images in batches of {protocol.batch_size} leave a batch of one image, "
                "whose 1x1 maps batch norm cannot normalise: change batch_size or images"
            )
    steps = math.ceil(count / protocol.batch_size)
    if isinstance(protocol.alpha_every, int) and protocol.alpha_every > steps:
        raise InputError(
            f"alpha_every={protocol.alpha_every} is more than the {steps} steps of an epoch of "
            f"{count} images, so alphas would never learn: use {steps} or less, or epoch"
        )


class Search:
    """One search on the device that holds the images; `epochs` runs it.

    Args:
        protocol: every setting.
        split: the two halves of images; their device is where everything runs.
        seed: names the random streams.
        checkpoint: where to go on from, and where to save the state whenever it is due.

    """

    def __init__(
        self,
        protocol: SearchProtocol,
        split: SearchSplit,
        *,
        seed: int,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        check_searchable(protocol, split)
        self.protocol = protocol
        self.split = split
        self.seed = seed
        self.device = split.weights.pixels.device
        self.dtype = DTYPES[protocol.precision]
        self.checkpoint = checkpoint
        self.history: list[SearchEpoch] = []
        """All epochs so far, those that the checkpoint held first."""
        saved = None if checkpoint is None else checkpoint.load()
        if saved is not None:
            self.history = [SearchEpoch(**epoch) for epoch in saved[1]]
        self._build(self._stage_of(max(len(self.history) - 1, 0)))
        if saved is not None:
            self.restore(saved[0])

    @property
    def diverged(self) -> bool:
        """Whether the loss stopped being finite, which ends the search: it is a result."""
        return bool(self.history) and self.history[-1].diverged

    @property
    def stopped_because(self) -> str | None:
        """Why the search ended before its last epoch, if it did."""
        if len(self.history) >= self.protocol.total_epochs:
            return None
        return stop_reason(self.protocol, self.history)

    def epochs(self) -> Iterator[SearchEpoch]:
        """Search the epochs that are left and yield each as it ends."""
        yield from tuple(self.history)
        for epoch in range(len(self.history), self.protocol.total_epochs):
            if self.diverged or self.stopped_because is not None:
                return
            if self._stage_of(epoch) != self.stage:
                self._build(self._stage_of(epoch))
            self.history.append(self.run_epoch(epoch))
            if self.checkpoint is not None and self.checkpoint.is_due:
                self.checkpoint.save(self.tensors(), [asdict(past) for past in self.history])
            yield self.history[-1]

    def facts(self):
        from nas_core.networks.evaluation import parameter_count

        return {
            "parameters": parameter_count(self.network),
            "images": len(self.split.weights),
            "stopped_because": self.stopped_because,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next epoch of this stage depends on, by name."""
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        state |= {f"alphas.{name}": value for name, value in self.alphas.tensors.items()}
        named = self.network.named_parameters()
        state |= optimizer_tensors(self.optimizer, named, MOMENTUM)
        return state | optimizer_tensors(self.alpha_optimizer, self.alphas.tensors.items(), _ADAM)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned."""
        self.network.load_state_dict(
            {
                name.removeprefix("network."): value
                for name, value in tensors.items()
                if name.startswith("network.")
            }
        )
        with torch.no_grad():
            for name, alpha in self.alphas.tensors.items():
                alpha.copy_(tensors[f"alphas.{name}"])
        named = self.network.named_parameters()
        restore_optimizer(self.optimizer, named, MOMENTUM, tensors)
        alphas = self.alphas.tensors.items()
        restore_optimizer(self.alpha_optimizer, alphas, _ADAM, tensors)

    def _stage_of(self, epoch: int) -> int:
        return epoch // self.protocol.epochs

    def _build(self, stage: int) -> None:
        """Begin a stage: a new network and new alphas over what the stages before have left."""
        protocol, settings = self.protocol, self.protocol.all_stages[stage]
        self.stage = stage
        self.network = SearchNetwork(
            init_channels=protocol.init_channels,
            cells=settings.cells,
            num_classes=self.split.info.num_classes,
            operations=self._space(stage),
            partial_channels=protocol.partial_channels,
        )
        suffix = f" of stage {stage}" if stage else ""
        initialise_(self.network, self.seed, purpose=f"weights{suffix}")
        self.network.to(self.device, self.dtype)
        self.alphas = Alphas(
            self.network.space,
            attention=protocol.attention == "once",
            edge_normalisation=protocol.edge_normalisation,
        )
        self.alphas.initialise_(self.seed, std=protocol.alpha_std, purpose=f"alphas{suffix}")
        self.alphas.to(self.device, self.dtype)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=protocol.learning_rate,
            momentum=protocol.momentum,
            weight_decay=protocol.weight_decay,
            fused=True,
        )
        self.alpha_optimizer = torch.optim.Adam(
            self.alphas.tensors.values(),
            lr=protocol.alpha_learning_rate,
            betas=(protocol.alpha_beta1, protocol.alpha_beta2),
            weight_decay=protocol.alpha_weight_decay,
        )

    def _space(self, stage: int) -> SearchSpace:
        """Return what is left after the stages before, whose last epochs decided."""
        space = SearchSpace.full(self.protocol.operations, self.protocol.topologies)
        for later in range(1, stage + 1):
            last = self.history[later * self.protocol.epochs - 1]
            keep = self.protocol.all_stages[later].operations_kept
            normal, reduction = (
                space.cell(cell_type).narrowed(narrowed(last.edge_weights(cell_type), keep))
                for cell_type in CELL_TYPES
            )
            space = SearchSpace(normal, reduction)
        return space

    def run_epoch(self, epoch: int) -> SearchEpoch:
        """Search one epoch of the stage that is built."""
        started = time.perf_counter()
        in_stage = epoch % self.protocol.epochs
        rate = learning_rate(self.protocol, in_stage)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        weights, alphas = Meter(self.device), Meter(self.device)
        self.network.train()
        for step, (draws, alpha_draws) in enumerate(self._steps(epoch)):
            if alpha_draws is not None:
                with alphas.timed():
                    alphas.add(*self._alpha_step(draws, alpha_draws, self._dropout(epoch, step)))
            with weights.timed():
                weights.add(*self._weight_step(draws, self._dropout(epoch, step)))
        is_last = epoch == self.protocol.total_epochs - 1
        found = self._found()
        return SearchEpoch(
            epoch=epoch,
            stage=self.stage,
            learning_rate=rate,
            train_loss=weights.loss or 0.0,
            train_accuracy=weights.accuracy or 0.0,
            alpha_loss=alphas.loss,
            alpha_accuracy=alphas.accuracy,
            val_accuracy=self._accuracy(self.split.alphas) if is_last else None,
            weight_steps=weights.steps,
            alpha_steps=alphas.steps,
            weight_seconds=weights.seconds,
            alpha_seconds=alphas.seconds,
            seconds=time.perf_counter() - started,
            **found,
        )

    def _found(self) -> dict[str, Any]:
        """Return the alphas of now and the genotype that they prefer."""
        edges = self.alphas.edge_weights()
        finite = all(torch.isfinite(alpha).all() for alpha in self.alphas.tensors.values())
        genotype = (
            discretise_edges(edges["normal"], edges["reduction"], max_skips=self.protocol.max_skips)
            if finite
            else None
        )
        return {
            "genotype": None if genotype is None else str(genotype),
            "skips_normal": 0 if genotype is None else skip_count(genotype.normal),
            "skips_reduction": 0 if genotype is None else skip_count(genotype.reduction),
            "alphas": {
                cell_type: [edge.to_json_value() for edge in edges[cell_type]]
                for cell_type in CELL_TYPES
            },
        }

    def _steps(self, epoch: int) -> Iterator[tuple[StepDraws, StepDraws | None]]:
        """Yield the draws of each weight step, and those of the alpha step before it, if any."""
        weights = list(self._draws(self.split.weights, epoch).steps())
        alphas = itertools.cycle(self._draws(self.split.alphas, epoch, role="alpha ").steps())
        every = self.protocol.alpha_every
        period = len(weights) if every == "epoch" else 1 if every == "step" else every
        warming_up = epoch % self.protocol.epochs < self.protocol.warmup_epochs
        for step, draws in enumerate(weights, 1):
            due = step % period == 0 and not warming_up
            yield draws, next(alphas) if due else None

    def _draws(self, images: Images, epoch: int, *, role: str = "") -> EpochDraws:
        height, width = images.pixels.shape[-2:]
        return EpochDraws.draw(
            self.protocol,
            seed=self.seed,
            epoch=epoch,
            images=len(images),
            image_size=(height, width),
            role=role,
        )

    def _batch(self, images: Images, draws: StepDraws) -> tuple[Tensor, Tensor]:
        """Return augmented images (B, 3, H, W) and labels (B,)."""
        batch = training_batch(images.pixels, draws, self.protocol, self.split.info, self.dtype)
        return batch, images.labels[draws.order.to(self.device)]

    def _weight_step(
        self, draws: StepDraws, dropout: Dropout | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take one step of the weights; return loss (), logits (B, classes), labels (B,)."""
        images, labels = self._batch(self.split.weights, draws)
        with torch.no_grad():
            mixing = self.alphas.mixing()
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.protocol, self.device):
            logits = self.network(images, mixing, dropout)
            loss = cross_entropy(logits, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.protocol.gradient_clip)
        self.optimizer.step()
        return loss.detach(), logits, labels

    def _alpha_step(
        self, draws: StepDraws, alpha_draws: StepDraws, dropout: Dropout | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take one step of the alphas; weights and batch-norm statistics stay bit-identical.

        Batch norm normalises by the batch here too, but what it sees is not remembered: an
        evaluation in between shall not depend on how often alphas are updated.
        """
        train = self._batch(self.split.weights, draws)
        batch = self._batch(self.split.alphas, alpha_draws)
        alphas = list(self.alphas.tensors.values())

        def loss_and_logits(weights: Weights, batch: Batch) -> tuple[Tensor, Tensor]:
            images, labels = batch
            with autocast(self.protocol, self.device):
                arguments = (images, self.alphas.mixing(), dropout)
                logits = torch.func.functional_call(self.network, dict(weights), arguments)
                return cross_entropy(logits, labels), logits

        with self._frozen_statistics():
            gradients, loss, logits = alpha_gradient(
                loss_and_logits,
                dict(self.network.named_parameters()),
                alphas,
                train,
                batch,
                unrolling=self._unrolling() if self.protocol.alpha_order == 2 else None,
            )
        for alpha, gradient in zip(alphas, gradients, strict=True):
            alpha.grad = gradient
        if self.protocol.alpha_clip is not None:
            torch.nn.utils.clip_grad_norm_(alphas, self.protocol.alpha_clip)
        self.alpha_optimizer.step()
        if self.protocol.attention == "per_update":
            self.alphas.attend_()
        return loss, logits, batch[1]

    @contextlib.contextmanager
    def _frozen_statistics(self) -> Iterator[None]:
        for norm in self.network.batch_norms:
            norm.track_running_stats = False
        try:
            yield
        finally:
            for norm in self.network.batch_norms:
                norm.track_running_stats = True

    def _unrolling(self) -> Unrolling:
        """Return the step that the weights' optimiser would take next."""
        return Unrolling(
            learning_rate=self.optimizer.param_groups[0]["lr"],
            momentum=self.protocol.momentum,
            weight_decay=self.protocol.weight_decay,
            momentum_buffers={
                name: buffer
                for name, parameter in self.network.named_parameters()
                if (buffer := self.optimizer.state[parameter].get("momentum_buffer")) is not None
            },
        )

    def _dropout(self, epoch: int, step: int) -> Dropout | None:
        """Return the dropout behind skips of this step; None where nothing is dropped."""
        rate = skip_dropout_rate(self.protocol, epoch)
        if rate == 0:
            return None
        source = torch.Generator(self.device)

        def drop(x: Tensor, place: str) -> Tensor:
            # The one stream that is drawn on the device: it is as large as the maps themselves.
            source.manual_seed(key_number("skip dropout", self.seed, epoch, step, place) >> 1)
            kept = torch.rand(x.shape, generator=source, device=x.device, dtype=x.dtype) >= rate
            return x * kept / (1 - rate)

        return drop

    @torch.no_grad()
    def _accuracy(self, images: Images) -> float:
        """Return the fraction that the supernet, mixing as it does now, classifies correctly."""
        self.network.eval()
        mixing = self.alphas.mixing()
        correct = 0
        for start in range(0, len(images), EVALUATION_BATCH):
            chosen = slice(start, start + EVALUATION_BATCH)
            batch = normalise(images.pixels[chosen], self.split.info, self.dtype)
            with autocast(self.protocol, self.device):
                logits = self.network(batch, mixing)
            correct += int((logits.argmax(dim=1) == images.labels[chosen]).sum())
        self.network.train()
        return correct / len(images)

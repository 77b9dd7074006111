"""What a search holds and draws, and how far it is. Its steps are in `training/search_steps.py`.

Weights learn on one half of the images, alphas on the other (Liu et al., 2019). Letters: B batch,
E edges, O operations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from nas_core.cells.discretisation import discretise_edges, narrowed, skip_count
from nas_core.cells.genotype import Genotype
from nas_core.data.splits import SearchSplit
from nas_core.errors import InputError
from nas_core.networks.alphas import CELL_TYPES, Alphas, SearchSpace, one_hot
from nas_core.networks.evaluation import parameter_count
from nas_core.networks.supernet import Dropout, SearchNetwork
from nas_core.protocols.search import SearchProtocol, skip_dropout_rate
from nas_core.streams import Draws, key_number
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import SearchEpoch, stop_reason
from nas_core.training.loop import Loop, check_images
from nas_core.training.optimizers import Adam


def check_searchable(protocol: SearchProtocol, split: SearchSplit) -> None:
    """Refuse what would fail in the middle of a search; builds nothing, so it is cheap.

    Raises:
        InputError: images too small for the depth, a batch of one image whose maps are one
            pixel, which batch norm cannot normalise, or alpha steps that would never come.

    """
    for stage in protocol.all_stages:
        check_images(split.weights, protocol, cells=stage.cells, called="images", setting="images")
    steps = math.ceil(len(split.weights) / protocol.batch_size)
    if isinstance(protocol.alpha_every, int) and protocol.alpha_every > steps:
        raise InputError(
            f"alpha_every={protocol.alpha_every} is more than the {steps} steps of an epoch of "
            f"{len(split.weights)} images, so alphas would never learn: use {steps} or less, or "
            "epoch"
        )


class SearchState(Loop[SearchEpoch]):
    """All of a `Search` but what an epoch does; see there for the arguments and errors."""

    protocol: SearchProtocol
    network: SearchNetwork

    def __init__(
        self,
        protocol: SearchProtocol,
        split: SearchSplit,
        *,
        seed: int,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        check_searchable(protocol, split)
        self.split = split
        super().__init__(
            SearchEpoch, protocol, split.weights, split.info, seed=seed, checkpoint=checkpoint
        )

    @property
    def stopped_because(self) -> str | None:
        """Why the search ended before its last epoch, if it did."""
        if len(self.history) >= self.protocol.total_epochs:
            return None
        return stop_reason(self.protocol, self.history)

    def facts(self) -> dict[str, int | str | None]:
        """Return `parameters` of the supernet, `images` of the weights, and `stopped_because`."""
        return {
            "parameters": parameter_count(self.network),
            "images": len(self.split.weights),
            "stopped_because": self.stopped_because,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next epoch of this stage depends on, by name."""
        alphas = self.alphas.tensors
        return (
            super().tensors()
            | {f"alphas.{name}": alpha for name, alpha in alphas.items()}
            | self.alpha_optimizer.tensors("alpha_")
        )

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned."""
        super().restore(tensors)
        alphas = self.alphas.tensors
        with torch.no_grad():
            for name, alpha in alphas.items():
                alpha.copy_(tensors[f"alphas.{name}"])
        self.alpha_optimizer.restore(tensors, "alpha_")

    def build(self, epoch: int) -> None:
        """Begin this epoch's stage: new weights and alphas over what earlier stages have left."""
        protocol = self.protocol
        self.stage = epoch // protocol.epochs
        suffix = f" of stage {self.stage}" if self.stage else ""
        network = SearchNetwork(
            init_channels=protocol.init_channels,
            cells=protocol.all_stages[self.stage].cells,
            num_classes=self.info.num_classes,
            operations=self._space(),
            partial_channels=protocol.partial_channels,
        )
        self.network = self.ready(network, purpose=f"weights{suffix}")
        self.alphas = Alphas(
            network.space,
            attention=protocol.attention == "once",
            edge_normalisation=protocol.edge_normalisation,
        )
        self.alphas.initialise_(self.seed, std=protocol.alpha_std, purpose=f"alphas{suffix}")
        self.alphas.to(self.device, self.dtype)
        self.alpha_optimizer = Adam(
            self.alphas.tensors,
            learning_rate=protocol.alpha_learning_rate,
            betas=(protocol.alpha_beta1, protocol.alpha_beta2),
            weight_decay=protocol.alpha_weight_decay,
        )

    def _space(self) -> SearchSpace:
        """Return what is left after the stages before, whose last epochs decided."""
        space = SearchSpace.full(self.protocol.operations, self.protocol.topologies)
        for later in range(1, self.stage + 1):
            last = self.history[later * self.protocol.epochs - 1]
            keep = self.protocol.all_stages[later].operations_kept
            normal, reduction = (
                space.cell(cell_type).narrowed(narrowed(last.edge_weights(cell_type), keep))
                for cell_type in CELL_TYPES
            )
            space = SearchSpace(normal, reduction)
        return space

    def begin(self, epoch: int) -> float:
        """Prepare for an epoch, see `Loop.begin`; the first of a stage builds it."""
        if epoch // self.protocol.epochs != self.stage:
            self.build(epoch)
        return super().begin(epoch)

    def update_alphas(self) -> None:
        """Take one step of the alphas along the gradients that they have."""
        if self.protocol.alpha_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.alphas.tensors.values(), self.protocol.alpha_clip)
        self.alpha_optimizer.step()
        if self.protocol.attention == "per_update":
            self.alphas.attend_()

    def architecture(self) -> dict[str, Any]:
        """Return what a `SearchEpoch` tells of the alphas of now and the genotype they prefer."""
        edges = self.alphas.edge_weights()
        alphas = {name: [edge.to_json_value() for edge in cell] for name, cell in edges.items()}
        genotype = None
        if all(torch.isfinite(alpha).all() for alpha in self.alphas.tensors.values()):
            genotype = discretise_edges(**edges, max_skips=self.protocol.max_skips)
        return {
            "genotype": None if genotype is None else str(genotype),
            "skips_normal": 0 if genotype is None else skip_count(genotype.normal),
            "skips_reduction": 0 if genotype is None else skip_count(genotype.reduction),
            "alphas": alphas,
        }

    def steps(self, epoch: int) -> Iterator[tuple[Draws, Draws | None]]:
        """Yield the draws of each weight step, and those of the alpha step before it, if any."""
        weights = list(self.draws(self.split.weights, epoch).steps())
        alphas = itertools.cycle(self.draws(self.split.alphas, epoch, role="alpha ").steps())
        due = self.protocol.alpha_steps_due(len(self.split.weights))
        warming_up = epoch % self.protocol.epochs < self.protocol.warmup_epochs
        for step, draws in enumerate(weights, 1):
            yield draws, next(alphas) if step in due and not warming_up else None

    def logits(self, images: Tensor) -> Tensor:
        """Classify normalised images (B, 3, H, W), mixing as now: logits (B, classes)."""
        return self.network(images, self.alphas.mixing())

    def one_hot_accuracy(self, genotype: Genotype) -> float:
        """Return the accuracy of the shared weights with one cell alone, a fraction.

        On the images of the alphas and in evaluation mode, as `SearchEpoch.val_accuracy` is: batch
        norms normalise by what they saw of the whole mixture. The search is left as it is.

        Raises:
            InputError: see `one_hot`.

        """
        mixing = one_hot(self.network.space, genotype, self.alphas.tensors[CELL_TYPES[0]])
        return self.accuracy(self.split.alphas, lambda images: self.network(images, mixing))

    def dropout(self, epoch: int, step: int) -> Dropout | None:
        """Return the dropout behind skips of this step; None where nothing is dropped."""
        rate = skip_dropout_rate(self.protocol, epoch)
        if rate == 0:
            return None
        stream = torch.Generator(self.device)

        def drop(x: Tensor, edge_name: str) -> Tensor:
            # The one stream that is drawn on the device: it is as large as the maps themselves.
            stream.manual_seed(key_number("skip dropout", self.seed, epoch, step, edge_name) >> 1)
            kept = torch.rand(x.shape, generator=stream, device=x.device, dtype=x.dtype) >= rate
            return x * kept / (1 - rate)

        return drop

"""Several evaluation networks of one shape as one network: far fewer and far larger kernels.

The same function as `EvalNetwork` of each model, in exact arithmetic. Letters: B batch, K models,
H and W pixels. What it is made of is in `networks/packs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, relu

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from nas_core.networks.evaluation import EvalNetwork
from nas_core.networks.kernels.columns import as_images, as_maps
from nas_core.networks.kernels.grouped import EPS
from nas_core.networks.kernels.pointwise import Moments
from nas_core.networks.packs.blocks import Memory, Pass
from nas_core.networks.packs.cell import PackedCell
from nas_core.networks.packs.packing import Block
from nas_core.networks.stack import auxiliary_position, cell_plans

NORMAL_OPERATION: Final = "sep_conv_3x3"

_COUNT: Final = "num_batches_tracked"
_MOMENTUM: Final = 0.1
"""Of running statistics, PyTorch's default."""


class PackedNetwork(nn.Module):
    """K networks that differ in wiring or in their parameters, but not in shape.

    Args:
        topologies: of the normal cell of each model, which has `sep_conv_3x3` on every edge; or
            whole genotypes, such as the same one for each of several seeds.
        init_channels: C of the first cells.
        cells: depth of the stack.
        num_classes: width of the logits.
        reduction_topologies: of the reduction cell of each topology; by default every node reads
            inputs 0 and 1.
        reduction_operation: on every edge of the reduction cells of topologies.
        auxiliary: add a second classifier to each model, see `EvalNetwork`.

    Raises:
        InputError: no model, or models whose parameters have other shapes: operations of a slot
            differ, or a skip connection of one strides where another's does not. Reduction cells
            that are given beside genotypes, which have their own, or not one for each topology.

    >>> import torch
    >>> from nas_core import PackedNetwork, Topology
    >>> topologies = [Topology.from_index(index, 4) for index in (0, 17, 99)]
    >>> network = PackedNetwork(topologies, init_channels=4, cells=5, num_classes=10)
    >>> tuple(network(torch.zeros(2, 3, 8, 8)).shape)
    (3, 2, 10)
    >>> network.extract(1)["classifier.weight"].shape
    torch.Size([10, 64])

    """

    owners: Tensor
    by_model: Tensor
    running_means: Tensor
    running_variances: Tensor
    batches: Tensor

    def __init__(
        self,
        topologies: Sequence[Topology | Genotype],
        *,
        init_channels: int,
        cells: int,
        num_classes: int,
        reduction_topologies: Sequence[Topology] | None = None,
        reduction_operation: str = "max_pool_3x3",
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        genotypes = _genotypes(topologies, reduction_topologies, reduction_operation)
        shapes = _common_shapes(
            genotypes,
            init_channels=init_channels,
            cells=cells,
            num_classes=num_classes,
            auxiliary=auxiliary,
        )
        self.genotypes = genotypes
        memory = Memory(len(genotypes), shapes)
        block = memory.parameters.block
        plans = cell_plans(cells, init_channels, nodes=len(genotypes[0].normal.nodes))
        self.stem = memory.norm(("stem.0", "stem.1"))
        self.cells = nn.ModuleList(
            PackedCell(
                memory,
                f"cells.{position}",
                [getattr(genotype, plan.cell_type) for genotype in genotypes],
                plan,
                last=position == cells - 1,
            )
            for position, plan in enumerate(plans)
        )
        self._auxiliary_after = auxiliary_position(cells)
        self._auxiliary = None
        if auxiliary:
            self._auxiliary = (
                memory.norm(("auxiliary_head.2", "auxiliary_head.3")),
                memory.norm(("auxiliary_head.5", "auxiliary_head.6")),
                block("auxiliary_head.9.weight"),
                block("auxiliary_head.9.bias"),
            )
        self._classifier = block("classifier.weight"), block("classifier.bias")
        self._parameters_of, self._statistics = memory.parameters, memory.statistics
        self._unbiased: dict[tuple[object, ...], Tensor] = {}
        self.flat = nn.Parameter(torch.zeros(self._parameters_of.size))
        self.register_buffer("running_means", torch.zeros(self._statistics.size))
        self.register_buffer("running_variances", torch.ones(self._statistics.size))
        self.register_buffer("batches", torch.zeros(len(genotypes), dtype=torch.int64))
        owners = self._parameters_of.owners()
        self.register_buffer("owners", owners, persistent=False)
        by_model = owners.argsort(stable=True).view(len(genotypes), -1)
        self.register_buffer("by_model", by_model, persistent=False)

    def forward(
        self, images: Tensor, keep_masks: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits (K, B, classes); with an auxiliary head in training mode, a pair of them.

        Args:
            images: normalised, (B, 3, H, W) for all models or (K, B, 3, H, W).
            keep_masks: (cells, edges, B) for all models or (K, cells, edges, B), see `EvalNetwork`.

        """
        logits, auxiliary_logits = self._classified(images, keep_masks)
        on_cpu = logits.device.type == "cpu"
        if not self.training and on_cpu and not logits.isfinite().all():
            logits, _ = self._classified(images, keep_masks, is_finite=False)
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)

    def _classified(
        self, images: Tensor, keep_masks: Tensor | None, *, is_finite: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """Return both logits; `is_finite` says whether those of all models are."""
        run = Pass(self._parameters_of.split(self.flat), self._running(), is_finite=is_finite)
        shared = images.ndim == 4
        stem = run.norm(self.stem, [_patches(images[None] if shared else images)], joined=shared)
        keep = None
        if self.training and keep_masks is not None:
            keep = keep_masks.expand(len(self.genotypes), -1, -1, -1).permute(1, 3, 2, 0)
        auxiliary_logits = None
        before = last = relu(stem)
        for position, cell in enumerate(self.cells):
            features = cell(run, before, last, None if keep is None else keep[position])
            before, last = last, features if cell.rectifies else relu(features)
            if self.training and self._auxiliary and position == self._auxiliary_after:
                auxiliary_logits = self._auxiliary_logits(run, last)
        logits = self._linear(run, features.mean(dim=(1, 2)), *self._classifier)
        if self.training:
            self._remember(run)
        return logits, auxiliary_logits

    def extract(self, number: int) -> dict[str, Tensor]:
        """Return the state of a model as a state dict of `EvalNetwork`.

        All but how many batches it has seen are views of this network's memory.
        """
        means, variances = (
            self._statistics.model(flat, number)
            for flat in (self.running_means, self.running_variances)
        )
        state = self._parameters_of.model(self.flat.detach(), number) | means
        for name, variance in variances.items():
            norm = name.removesuffix("running_mean")
            state[f"{norm}running_var"] = variance
            state[f"{norm}{_COUNT}"] = self.batches[number].clone()
        return state

    def load_models(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Take over the state of each model, a state dict of `EvalNetwork`.

        Raises:
            InputError: not one state a model, or one of another network.

        """
        if len(states) != len(self.genotypes):
            raise InputError(f"{len(self.genotypes)} models need as many states, got {len(states)}")
        shapes = {name: tensor.shape for name, tensor in self.extract(0).items()}
        for number, state in enumerate(states):
            if {name: tensor.shape for name, tensor in state.items()} != shapes:
                raise InputError(f"state {number} is not that of a network of this pack")
        for number, state in enumerate(states):
            for name, tensor in self.extract(number).items():
                if name.endswith(_COUNT):
                    self.batches[number] = state[name]
                else:
                    tensor.copy_(state[name])

    def clip_gradients(self, limit: float) -> Tensor:
        """Scale the gradient of each model to a norm of at most `limit`; return the norms (K,).

        Per model the same as `torch.nn.utils.clip_grad_norm_`.
        """
        gradient = self.flat.grad
        assert gradient is not None, "there is no gradient before a backward pass"  # noqa: S101
        norms = torch.linalg.vector_norm(gradient[self.by_model], dim=1)
        factors = (limit / (norms + 1e-6)).clamp_max_(1.0)
        gradient.mul_(factors[self.owners])
        return norms

    def _running(self) -> list[Moments] | None:
        if self.training:
            return None
        inverses = torch.rsqrt(self.running_variances + EPS)
        parts = (self._statistics.split(flat) for flat in (self.running_means, inverses))
        return [Moments(mean, inverse) for mean, inverse in zip(*parts, strict=True)]

    @torch.no_grad()
    def _remember(self, run: Pass) -> None:
        """Let the running statistics follow what the batch norms saw."""
        seen = [run.seen[block.number] for block in self._statistics.blocks]
        unbiased = self._unbiased_by(tuple(count for _, count in seen))
        means = torch.cat([moments.mean.flatten() for moments, _ in seen])
        inverses = torch.cat([moments.inverse.flatten() for moments, _ in seen])
        variances = (inverses.pow(-2) - EPS) * unbiased
        self.running_means.lerp_(means, _MOMENTUM)
        self.running_variances.lerp_(variances, _MOMENTUM)
        self.batches += 1

    def _unbiased_by(self, counts: tuple[int, ...]) -> Tensor:
        """Return what makes biased variances unbiased, given the pixels of each block."""
        like = self.running_means
        key = (counts, like.device, like.dtype)
        if key in self._unbiased:
            return self._unbiased[key]
        factors = [
            torch.full((block.size,), count / (count - 1), dtype=torch.float64)
            for block, count in zip(self._statistics.blocks, counts, strict=True)
        ]
        together = torch.cat(factors).to(like)
        if not torch.compiler.is_compiling():  # a graph holds it itself
            self._unbiased[key] = together  # a few: of a whole batch and of the last
        return together

    def _auxiliary_logits(self, run: Pass, x: Tensor) -> Tensor:
        """Return logits (K, B, classes) of maps (B, 8, 8, K, C) after ReLU."""
        assert self._auxiliary is not None  # noqa: S101
        first, second, weight, bias = self._auxiliary
        pooled = avg_pool2d(as_images(x), 5, stride=3, count_include_pad=False)
        corners = run.norm(first, [as_maps(pooled, len(self.genotypes))], relu=True)
        # A 2x2 convolution of a 2x2 map is one product, channels outermost.
        joined = corners.permute(0, 3, 4, 1, 2).flatten(2)[:, None, None]
        features = run.norm(second, [joined], relu=True)
        return self._linear(run, features[:, 0, 0], weight, bias)

    @staticmethod
    def _linear(run: Pass, features: Tensor, weight: Block, bias: Block) -> Tensor:
        """(B, K, features) -> (K, B, classes)."""
        weights, biases = run.blocks[weight.number][0], run.blocks[bias.number][0, :, None]
        return torch.baddbmm(biases, features.transpose(0, 1), weights.transpose(1, 2))


def _genotypes(
    topologies: Sequence[Topology | Genotype],
    reduction_topologies: Sequence[Topology] | None,
    reduction_operation: str,
) -> tuple[Genotype, ...]:
    """Return the genotype that each model stands for."""
    reductions: Sequence[Topology | None] = [None] * len(topologies)
    if reduction_topologies is not None:
        reductions = reduction_topologies
        if any(isinstance(model, Genotype) for model in topologies):
            raise InputError("genotypes have reduction cells of their own: give topologies alone")
        if len(reductions) != len(topologies):
            raise InputError(
                f"{len(topologies)} topologies need as many reduction topologies, "
                f"got {len(reductions)}"
            )
    return tuple(
        model if isinstance(model, Genotype) else _uniform(model, reduction, reduction_operation)
        for model, reduction in zip(topologies, reductions, strict=True)
    )


def _uniform(normal: Topology, reduction: Topology | None, reduction_operation: str) -> Genotype:
    """Return the genotype of a topology sweep; None is the wiring in which nodes read 0 and 1."""
    wiring = Topology.from_index(0, len(normal.pairs)) if reduction is None else reduction
    return Genotype(
        normal=CellEdges.uniform(normal, NORMAL_OPERATION),
        reduction=CellEdges.uniform(wiring, reduction_operation),
    )


def _common_shapes(genotypes: Sequence[Genotype], **network: Any) -> dict[str, torch.Size]:  # noqa: ANN401 - arguments of `EvalNetwork`
    """Return the shapes of all parameters and buffers by name, which all models must share."""
    if not genotypes:
        raise InputError("a pack needs one model or more")
    first = genotypes[0]
    for other in genotypes:
        if other.shape != first.shape:
            raise InputError(
                "the models of a pack need the same operation in every slot, and skip connections "
                f"of the same strides: {first} and {other} do not fit each other"
            )
    if any(operation == "none" for operation, _ in first.shape):
        raise InputError("a pack has no form of the operation none")
    with torch.device("meta"):
        state = EvalNetwork(first, **network).state_dict()
    return {name: tensor.shape for name, tensor in state.items()}


def _patches(images: Tensor) -> Tensor:
    """(K, B, 3, H, W) -> the 3x3 pixels around each, zero outside: (B, H, W, K, 27)."""
    around = pad(images, (1, 1, 1, 1)).unfold(3, 3, 1).unfold(4, 3, 1)
    return around.permute(1, 3, 4, 0, 2, 5, 6).flatten(4)

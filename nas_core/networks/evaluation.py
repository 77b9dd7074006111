"""The evaluation network of DARTS: the readable reference that every faster form must equal.

After Liu et al. (2019) and the authors' `model.py`. Letters: B batch, C channels, H and W pixels.
A cell's C is the width of one node; its output concatenates the nodes, so it is nodes * C wide.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import INPUTS
from nas_core.errors import InputError
from nas_core.networks.operations import OPS
from nas_core.networks.stack import CellPlan, auxiliary_position, cell_plans, stem


class Cell(nn.Module):
    """A cell: two inputs (B, C_before, H, W) each -> (B, nodes * C, H', W').

    A reduction cell halves the map: its edges that read inputs 0 and 1 have stride 2, the edges
    between nodes stride 1.

    Args:
        edges: operations and wiring.
        plan: channels and reductions at its position in the stack.

    """

    def __init__(self, edges: CellEdges, plan: CellPlan) -> None:
        super().__init__()
        self.preprocess0, self.preprocess1 = plan.preprocessing()
        self.sources = tuple((first.source, second.source) for first, second in edges.nodes)
        self.operations = nn.ModuleList(
            OPS[edge.operation](plan.channels, plan.stride(edge.source), True)
            for edge in edges.edges
        )

    def forward(self, input0: Tensor, input1: Tensor, keep: Tensor | None = None) -> Tensor:
        """Compute the cell.

        Args:
            input0: output of the cell before the previous one.
            input1: output of the previous cell.
            keep: (edges, B) drop-path multipliers, see `EvalNetwork.forward`.

        """
        states = [self.preprocess0(input0), self.preprocess1(input1)]
        for node, pair in enumerate(self.sources):
            first, second = (
                self._edge(2 * node + rank, states[source], keep)
                for rank, source in enumerate(pair)
            )
            states.append(first + second)
        return torch.cat(states[INPUTS:], dim=1)

    def _edge(self, slot: int, x: Tensor, keep: Tensor | None) -> Tensor:
        operation = self.operations[slot]
        y: Tensor = operation(x)
        # The stride-1 identity is never dropped: a sample keeps at least that path.
        if keep is None or isinstance(operation, nn.Identity):
            return y
        return y * keep[slot, :, None, None, None]


class AuxiliaryHead(nn.Sequential):
    """A second classifier for training: (B, C, 8, 8) -> logits (B, classes)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3, padding=0, count_include_pad=False),  # -> (B, C, 2, 2)
            nn.Conv2d(channels, 128, kernel_size=1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, kernel_size=2, bias=False),  # -> (B, 768, 1, 1)
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, num_classes),
        )


class EvalNetwork(nn.Module):
    """A stack of cells that classifies images: (B, 3, H, W) -> logits (B, num_classes).

    The stem is 3 * init_channels wide and feeds both inputs of the first cell. Cells at
    cells // 3 and 2 * cells // 3 are reduction cells and double the channels.

    Args:
        genotype: both cells.
        init_channels: C of the first cells.
        cells: depth of the stack.
        num_classes: width of the logits.
        auxiliary: add a classifier after cell 2 * cells // 3, used in training only.

    Raises:
        InputError: no cell, channel or class.

    >>> import torch
    >>> from nas_core import KNOWN_CELLS, EvalNetwork
    >>> network = EvalNetwork(KNOWN_CELLS["DARTS_V2"], init_channels=4, cells=5, num_classes=10)
    >>> tuple(network(torch.zeros(2, 3, 8, 8)).shape)
    (2, 10)

    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        init_channels: int,
        cells: int,
        num_classes: int,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        if min(cells, init_channels, num_classes) < 1:
            raise InputError(
                "a network needs at least one cell, channel and class, got "
                f"cells={cells}, init_channels={init_channels}, num_classes={num_classes}"
            )
        plans = cell_plans(cells, init_channels, nodes=len(genotype.normal.nodes))
        self.stem = stem(init_channels)
        self.cells = nn.ModuleList(
            Cell(genotype.reduction if plan.reduction else genotype.normal, plan) for plan in plans
        )
        self.auxiliary_after = auxiliary_position(cells)
        self.auxiliary_head = (
            AuxiliaryHead(plans[self.auxiliary_after].width, num_classes) if auxiliary else None
        )
        self.classifier = nn.Linear(plans[-1].width, num_classes)

    def forward(
        self, images: Tensor, keep_masks: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits (B, classes); with an auxiliary head in training mode, a pair of them.

        Args:
            images: (B, 3, H, W), normalised.
            keep_masks: (cells, edges, B) multipliers of drop path for each edge and sample: 0
                where the path is dropped, else 1 / keep probability. Ignored in evaluation
                mode; None keeps every path.

        """
        before = last = self.stem(images)
        auxiliary_logits = None
        for position, cell in enumerate(self.cells):
            keep = keep_masks[position] if self.training and keep_masks is not None else None
            before, last = last, cell(before, last, keep)
            wanted = self.training and position == self.auxiliary_after
            if wanted and self.auxiliary_head is not None:
                auxiliary_logits = self.auxiliary_head(last)
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)


def parameter_count(network: nn.Module) -> int:
    """Return the number of parameters, the auxiliary head left out as in the literature."""
    return sum(
        parameter.numel()
        for name, parameter in network.named_parameters()
        if not name.startswith("auxiliary_head.")
    )


def multiply_adds(network: EvalNetwork, height: int, width: int) -> int:
    """Return the multiply-adds of convolutions and linear maps for one image in evaluation.

    Not by PyTorch's own counter: its first use imports PyTorch's compiler, 2 s in every process.
    """
    count = 0

    def add(layer: nn.Conv2d | nn.Linear, _images: object, output: Tensor) -> None:
        nonlocal count
        count += output.numel() * layer.weight[0].numel()  # each value sums over one filter or row

    layers = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    parameter = next(network.parameters())
    image = torch.zeros(1, 3, height, width, dtype=parameter.dtype, device=parameter.device)
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(image)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return count

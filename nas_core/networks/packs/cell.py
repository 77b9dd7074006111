"""The cells of all models at one place of the stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_core.cells.genotype import CellEdges
from nas_core.cells.topology import INPUTS
from nas_core.networks.packs.blocks import Memory, Pass, Reduce
from nas_core.networks.packs.edges import CONVOLUTIONS, Convolutions, HalvingSkip, Reads, Unweighted
from nas_core.networks.stack import CellPlan


class PackedCell(nn.Module):
    """The cells of all models at one place of the stack: two inputs -> (B, H', W', K, nodes * C).

    Args:
        memory: takes the blocks.
        name: of the cell in `EvalNetwork`.
        cells: of each model, with the same operation in each slot.
        plan: channels and reductions at this place.
        last: whether a classifier reads the output, and no cell.

    """

    def __init__(
        self,
        memory: Memory,
        name: str,
        cells: Sequence[CellEdges],
        plan: CellPlan,
        *,
        last: bool,
    ) -> None:
        super().__init__()
        self.plan = plan
        first = f"{name}.preprocess0"
        self.input0 = (
            memory.reduce(first)
            if plan.reduction_before
            else memory.norm((f"{first}.1", f"{first}.2"))
        )
        self.input1 = memory.norm((f"{name}.preprocess1.1", f"{name}.preprocess1.2"))
        self.nodes = [
            [_term(memory, f"{name}.operations", slots, cells, plan) for slots in together]
            for together in (_together(cells[0], node) for node in range(plan.nodes))
        ]
        self.terms = nn.ModuleList(term for terms in self.nodes for term in terms)
        # A convolution begins with a ReLU, and so does all that reads a cell but the classifier.
        self.rectifies = not last and all(
            isinstance(term, Convolutions) and len(terms) == 1
            for terms in self.nodes
            for term in terms
        )

    def forward(self, run: Pass, input0: Tensor, input1: Tensor, keep: Tensor | None) -> Tensor:
        """Compute the cells of two inputs after ReLU; `keep` is (B, edges, K).

        The output is after ReLU where the cell `rectifies`.
        """
        first = (
            run.halved(self.input0, input0, relu=self.rectifies)
            if isinstance(self.input0, Reduce)
            else run.norm(self.input0, [input0], relu=self.rectifies)
        )
        second = run.norm(self.input1, [input1], relu=self.rectifies)
        reads = Reads(self.plan, [first, second], rectified=self.rectifies)
        for terms in self.nodes:
            if self.rectifies:
                reads.states.append(terms[0](run, reads, keep, rectify=True))
                continue
            maps = [term(run, reads, keep) for term in terms]
            reads.states.append(maps[0] if len(maps) == 1 else maps[0] + maps[1])
        return torch.cat(reads.states[INPUTS:], dim=4)


def structure(cells: Sequence[CellEdges], *, reduces: bool) -> object:
    """Return what the code of the cells of a pack depends on; all else of their wiring is tensors.

    So packs of equal structures share the graph of a compiler.

    Args:
        cells: of each model, with the same operation in each slot.
        reduces: whether edges from the inputs stride.

    """
    parts = []
    for node in range(len(cells[0].nodes)):
        for slots in _together(cells[0], node):
            wiring = [[cell.edges[slot].source for cell in cells] for slot in slots]
            reads = [frozenset(sources) for sources in wiring]
            if any(len(sources) > 1 for sources in reads):  # gathered, from all of them at once
                reads = [frozenset[int]().union(*reads)]
            convolves = cells[0].edges[slots[0]].operation in CONVOLUTIONS
            strides = sum(source < INPUTS for sources in wiring for source in sources)
            parts.append((tuple(reads), strides if reduces and convolves else 0))
    return tuple(parts)


def _together(cell: CellEdges, node: int) -> list[list[int]]:
    """Return the slots of a node, in one list where one kind of convolution is in both."""
    first, second = cell.nodes[node]
    slots = [2 * node, 2 * node + 1]
    if first.operation == second.operation and first.operation in CONVOLUTIONS:
        return [slots]
    return [[slot] for slot in slots]


def _term(
    memory: Memory, name: str, slots: Sequence[int], cells: Sequence[CellEdges], plan: CellPlan
) -> nn.Module:
    """Return what computes slots that have one operation."""
    operation = cells[0].edges[slots[0]].operation
    wiring = [[cell.edges[slot].source for cell in cells] for slot in slots]
    if operation in CONVOLUTIONS:
        return Convolutions(memory, name, slots, wiring, CONVOLUTIONS[operation], plan)
    if operation == "skip_connect" and plan.stride(wiring[0][0]) == 2:
        return HalvingSkip(memory, name, slots[0], wiring[0], plan)
    return Unweighted(operation, slots[0], wiring[0], plan)

"""The cells of all models at one place of the stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_core.cells.genotype import CellEdges
from nas_core.cells.topology import INPUTS
from nas_core.networks.packs.blocks import Memory, Pass
from nas_core.networks.packs.edges import CONVOLUTIONS, Convolutions, HalvingSkip, Reads, Unweighted
from nas_core.networks.stack import CellPlan


class PackedCell(nn.Module):
    """The cells of all models at one place of the stack: two inputs -> (B, H', W', K, nodes * C).

    Args:
        memory: takes the blocks.
        name: of the cell in `EvalNetwork`.
        cells: of each model, with the same operation in each slot.
        plan: channels and reductions at this place.

    """

    def __init__(
        self, memory: Memory, name: str, cells: Sequence[CellEdges], plan: CellPlan
    ) -> None:
        super().__init__()
        self.plan = plan
        self.halving = memory.reduce(f"{name}.preprocess0") if plan.reduction_before else None
        self.norm0 = None
        if not plan.reduction_before:
            self.norm0 = memory.norm((f"{name}.preprocess0.1", f"{name}.preprocess0.2"))
        self.norm1 = memory.norm((f"{name}.preprocess1.1", f"{name}.preprocess1.2"))
        self.nodes = nn.ModuleList()
        self.slots: list[list[list[int]]] = []
        """Of each node the slots of each of its terms."""
        for node in range(plan.nodes):
            slots_by_term = _terms(cells[0], node)
            self.slots.append(slots_by_term)
            self.nodes.append(
                nn.ModuleList(_term(memory, name, cells, slots, plan) for slots in slots_by_term)
            )

    def forward(self, run: Pass, input0: Tensor, input1: Tensor, keep: Tensor | None) -> Tensor:
        """Compute the cells of two inputs after ReLU; `keep` is (B, K, edges)."""
        if self.halving is not None:
            first = run.halved(self.halving, input0)
        else:
            first = run.norm(self.norm0, [input0])
        reads = Reads(self.plan, [first, run.norm(self.norm1, [input1])])
        for terms, slots in zip(self.nodes, self.slots, strict=True):
            maps = [
                term(run, reads, None if keep is None else keep[..., some])
                for term, some in zip(terms, slots, strict=True)
            ]
            reads.states.append(maps[0] if len(maps) == 1 else maps[0] + maps[1])
        return torch.cat(reads.states[INPUTS:], dim=4)


def _terms(cell: CellEdges, node: int) -> list[list[int]]:
    """Return the slots of a node, those that one kind of convolution computes together."""
    first, second = cell.nodes[node]
    slots = [2 * node, 2 * node + 1]
    if first.operation == second.operation and first.operation in CONVOLUTIONS:
        return [slots]
    return [[slot] for slot in slots]


def _term(
    memory: Memory, name: str, cells: Sequence[CellEdges], slots: Sequence[int], plan: CellPlan
) -> nn.Module:
    operation = cells[0].edges[slots[0]].operation
    names = [f"{name}.operations.{slot}" for slot in slots]
    wiring = [[cell.edges[slot].source for cell in cells] for slot in slots]
    if operation in CONVOLUTIONS:
        return Convolutions(memory, names, wiring, CONVOLUTIONS[operation], plan)
    if operation == "skip_connect" and plan.stride(wiring[0][0]) == 2:
        return HalvingSkip(memory, names[0], wiring[0], plan)
    return Unweighted(operation, wiring[0], plan)

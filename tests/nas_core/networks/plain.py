"""The search network edge by edge and operation by operation: what every other form must equal.

And how nearly in float32, which a CPU convolves by oneDNN, where float64 never comes to it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nas_core.networks.alphas import Mixing
from nas_core.networks.supernet import Dropout, MixedOp, SearchCell, SearchNetwork

WIDTHS = (2, 3, 4, 6, 8, 16)
"""Channels of the first cells, up to those that fill a vector of oneDNN's kernels."""

SIDE = 64
"""Of maps so large that where oneDNN writes beyond memory (docs/performance.md), it shows."""


def edge(mixed: MixedOp, x: Tensor, weights: Tensor, dropout: Dropout | None, name: str) -> Tensor:
    """Return what an edge gives, (B, C, H, W) -> (B, C, H', W')."""
    mixing, passing = x[:, : mixed.channels], x[:, mixed.channels :]
    terms = []
    for weight, operation in zip(weights, mixed.operations.values(), strict=True):
        y = operation(mixing)
        if dropout is not None and isinstance(operation, nn.Identity):
            y = dropout(y, name)
        terms.append(weight * y)
    return mixed(sum(terms[1:], start=terms[0]), passing)


def cell(
    relaxed: SearchCell, inputs: tuple[Tensor, Tensor], mixing: Mixing, dropout: Dropout | None
) -> Tensor:
    """Return what a cell gives, node by node."""
    states = [relaxed.preprocess0(inputs[0]), relaxed.preprocess1(inputs[1])]
    rows = [tuple(map(int, name.split("to"))) for name in relaxed.edges]
    for node in range(2, 6):
        total: Tensor | None = None
        for row, (source, end) in enumerate(rows):
            if end != node:
                continue
            name = f"{source}to{node}"
            mixed = relaxed.edges[name]
            assert isinstance(mixed, MixedOp)
            y = edge(mixed, states[source], mixing.operations[row], dropout, name)
            y = y if mixing.edges is None else y * mixing.edges[row]
            total = y if total is None else total + y
        assert total is not None
        states.append(total)
    return torch.cat(states[2:], dim=1)


def logits(
    network: SearchNetwork,
    images: Tensor,
    mixing: Mapping[str, Mixing],
    dropout: Dropout | None = None,
) -> Tensor:
    """Return what the network gives, (B, 3, H, W) -> (B, classes)."""
    before = last = network.stem(images)
    for position, relaxed in enumerate(network.cells):
        assert isinstance(relaxed, SearchCell)

        def dropped(y: Tensor, name: str, position: int = position) -> Tensor:
            assert dropout is not None
            return dropout(y, f"{position} {name}")

        chosen = mixing[network.cell_types[position]]
        inner = None if dropout is None else dropped
        before, last = last, cell(relaxed, (before, last), chosen, inner)
    y: Tensor = network.classifier(last.mean(dim=(2, 3)))
    return y


class Network(nn.Module):
    """A search network that computes like this; unlike its own form it is twice differentiable."""

    def __init__(self, network: SearchNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, mixing: Mapping[str, Mixing]) -> Tensor:
        """(B, 3, H, W) -> (B, classes)."""
        return logits(self.network, images, mixing)


def check_nearly_equal(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    """Check results in float32, by name: none may be off by a tenth of its length.

    They are nearer by far but where a ReLU reads what rounding takes to the other side of zero.
    """
    assert ours.keys() == theirs.keys()
    longest = max(float(tensor.norm()) for tensor in theirs.values())
    for name, tensor in theirs.items():
        assert (ours[name] - tensor).norm() <= 0.1 * tensor.norm() + 1e-6 * longest, name

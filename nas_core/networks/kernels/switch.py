"""The one switch of the faster forms: the sizes of maps for which each of them runs.

The size of a batch of maps is how many values it holds, B * C * H * W. Tests and benchmarks set
both limits so that one form or the other runs for every size.
"""

from __future__ import annotations

import torch
from torch import Tensor

LAYERS_FROM = 2**17
"""Maps as large as this take the faster gradients; below, calls cost more than arithmetic."""

EDGES_UP_TO = 2**19
"""Edges whose maps are no larger in sum share every call; above, copies cost too much."""

MOMENTS_FROM = 2**18
"""Maps as large as this (N * K * C), of at least `MOMENTS_CHANNELS` channels a model, are convolved
and normalised in one function; it takes three times as many operations."""

MOMENTS_CHANNELS = 16


def moments_pay(x: Tensor) -> bool:
    """Whether rows (N, K, C) are convolved and normalised faster by their moments, on a CPU.

    Not under autocast: moments of 8 bits would be wrong.
    """
    large = x.numel() >= MOMENTS_FROM and x.shape[2] >= MOMENTS_CHANNELS
    return large and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def layers_pay(x: Tensor) -> bool:
    """Return whether maps are so large, on a CPU, that faster gradients are worth more calls.

    Under autocast PyTorch's own forms run: only they know in which type to take gradients.
    """
    return (
        x.device.type == "cpu" and x.numel() >= LAYERS_FROM and not torch.is_autocast_enabled("cpu")
    )


def edges_pay(edges: int, x: Tensor) -> bool:
    """Whether so many edges that all read x are faster together; a single one gains nothing."""
    return edges > 1 and edges * x.numel() <= EDGES_UP_TO

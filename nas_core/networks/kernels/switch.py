"""The one switch of the faster forms: the sizes of maps for which each of them runs.

The size of a batch of maps is how many values it holds, B * C * H * W. Tests and benchmarks set
these limits so that one form or the other runs for every size.
"""

from __future__ import annotations

import torch
from torch import Tensor

GRADIENTS_FROM = 2**17
"""Maps as large as this take the faster gradients; below, calls cost more than arithmetic."""

EDGES_UP_TO = 2**19
"""Edges whose maps are no larger in sum share every call; above, copies cost too much."""

MODELS_UP_TO = 2**18
"""Search networks whose first cells have maps of at most this size (B * C * H * W, of one node) are
faster side by side; above, on a CPU, their maps leave its caches and nothing is gained."""


def models_pay(size: int, device: torch.device) -> bool:
    """Whether search networks whose first maps have this size are faster side by side."""
    return device.type != "cpu" or size <= MODELS_UP_TO


def as_multiplied(x: Tensor) -> Tensor:
    """Return x in the type in which products are taken: under autocast one of fewer bits."""
    device = x.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return x
    return x.to(torch.get_autocast_dtype(device))


def gradients_pay(x: Tensor) -> bool:
    """Return whether maps are so large, on a CPU, that faster gradients are worth more calls."""
    return x.device.type == "cpu" and x.numel() >= GRADIENTS_FROM


def edges_pay(edges: int, x: Tensor) -> bool:
    """Whether so many edges that all read x are faster together; a single one gains nothing."""
    return edges > 1 and edges * x.numel() <= EDGES_UP_TO

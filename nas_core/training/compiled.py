"""The compiled form of a network that trains: one graph for the steps of a training."""

from __future__ import annotations

import itertools
from typing import Any, Final

import torch
from torch import Tensor, nn

from nas_core.protocols.training import NetworkTraining
from nas_core.streams import drop_path_probability

MOST_GRAPHS: Final = 50
"""After so many networks of a process all graphs are forgotten.

PyTorch would keep them, and refuses too many.
"""

_FEWEST_CHANNELS: Final = 16
"""Of a 1x1 convolution of stride 2 whose gradient PyTorch computes right for channels-last maps."""

_networks = itertools.count()
"""Of this process."""


class Compiled:
    """A network whose usual steps run a graph, which the first of them makes.

    Usual are whole batches, and where a protocol drops paths, epochs that do so: all but the first.
    All else runs the network as it is written, and so there is one graph and no more. Networks
    that PyTorch tells apart by their tensors alone share it: packs of one size whose nodes read the
    same states, taken all topologies together. Names of parameters, and so checkpoints, stay as
    they are.

    Raises:
        Exception: whatever PyTorch's compiler says in the first step, where it cannot do it.

    """

    def __init__(self, network: nn.Module, protocol: NetworkTraining) -> None:
        if next(_networks) % MOST_GRAPHS == 0:
            torch.compiler.reset()
        self._network = network
        self._batch_size = protocol.batch_size
        self._drops_paths = _drops_paths(protocol)
        # With shapes as variables PyTorch 2.14 fails at packs, in its compiler.
        self._graph = torch.compile(  # type: ignore[call-overload] # PyTorch forgets the limit
            network.forward,
            fullgraph=True,
            dynamic=False,
            recompile_limit=2 * MOST_GRAPHS,
            options=None if _bears_channels_last(network) else {"layout_optimization": False},
        )

    def __call__(self, images: Tensor, keep_masks: Tensor | None) -> Any:  # noqa: ANN401 - of it
        """Return what the network makes of a step's images (..., B, 3, H, W)."""
        is_whole = images.shape[-4] == self._batch_size
        is_usual = is_whole and (keep_masks is not None) == self._drops_paths
        return (self._graph if is_usual else self._network)(images, keep_masks)


def usual_steps(protocol: NetworkTraining, images: int) -> int:
    """Return how many steps of a training on so many images run the graph of a `Compiled`."""
    epochs = protocol.total_epochs - _drops_paths(protocol)
    return epochs * (images // protocol.batch_size)


def _bears_channels_last(network: nn.Module) -> bool:
    """Whether a graph may turn all maps to channels last.

    On a CPU PyTorch 2.14 writes beyond memory in the weight gradient of a 1x1 convolution of stride
    2 that reads few channels, see docs/performance.md.
    """
    return not any(
        isinstance(each, nn.Conv2d)
        and each.weight.device.type == "cpu"
        and (each.kernel_size, each.stride) == ((1, 1), (2, 2))
        and each.in_channels < _FEWEST_CHANNELS
        for each in network.modules()
    )


def _drops_paths(protocol: NetworkTraining) -> bool:
    return drop_path_probability(protocol, 1) > 0

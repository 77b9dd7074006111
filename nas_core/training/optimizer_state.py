"""The state of an optimiser as named tensors, for checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

Named = Iterable[tuple[str, Tensor]]


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, parameters: Named, keys: Mapping[str, str]
) -> dict[str, Tensor]:
    """Return the optimiser's state of these parameters.

    Args:
        optimizer: SGD or Adam.
        parameters: with the names under which their state is kept.
        keys: our prefix -> PyTorch's name of each part of the state.

    """
    return {
        f"{prefix}.{name}": optimizer.state[parameter][key]
        for name, parameter in parameters
        for prefix, key in keys.items()
        if optimizer.state[parameter].get(key) is not None
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    parameters: Named,
    keys: Mapping[str, str],
    tensors: Mapping[str, Tensor],
) -> None:
    """Take over what `optimizer_tensors` returned."""
    for name, parameter in parameters:
        for prefix, key in keys.items():
            saved = tensors.get(f"{prefix}.{name}")
            if saved is not None and saved.shape == parameter.shape:
                # In the parameter's own layout: a fused step reads both as flat memory.
                saved = torch.empty_like(parameter).copy_(saved)
            if saved is not None:
                optimizer.state[parameter][key] = saved

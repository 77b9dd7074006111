"""SGD and Adam of named parameters, by the functions behind PyTorch's classes.

Not the classes themselves: their first step imports PyTorch's compiler, which costs every process
2 s. Their state is tensors by name here, as checkpoints and the unrolled step need it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

Named = Mapping[str, Tensor]


class Optimizer(ABC):
    """What both have in common.

    Args:
        parameters: leaves that require gradients, by name.
        learning_rate: of the next step; may be set.
        weight_decay: added to each gradient, times the parameter.

    """

    def __init__(self, parameters: Named, *, learning_rate: float, weight_decay: float) -> None:
        self.parameters = dict(parameters)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.state: dict[str, dict[str, Tensor]] = {}
        """Part of the state, such as momentum -> name of a parameter -> tensor."""

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        learning = {name: p for name, p in self.parameters.items() if p.grad is not None}
        gradients = [p.grad for p in learning.values() if p.grad is not None]
        with torch.no_grad():
            self._move(learning, gradients)

    @abstractmethod
    def _move(self, parameters: Named, gradients: list[Tensor]) -> None: ...

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Return the state, named by prefix, part and parameter."""
        return {
            f"{prefix}{part}.{name}": tensor
            for part, by_name in self.state.items()
            for name, tensor in by_name.items()
        }

    def restore(self, tensors: Named, prefix: str = "") -> None:
        """Take over what `tensors` returned, as copies.

        Raises:
            ValueError: a tensor has another shape than its parameter, or a count of steps any.

        """
        for part, by_name in self.state.items():
            for name, parameter in self.parameters.items():
                saved = tensors.get(f"{prefix}{part}.{name}")
                if saved is None:
                    continue
                counts = part == "step"
                shape = torch.Size() if counts else parameter.shape
                if saved.shape != shape:
                    raise ValueError(
                        f"{part} of {name} has shape {tuple(saved.shape)}, needs {tuple(shape)}"
                    )
                # In the parameter's own layout: a fused step reads both as flat memory.
                like = saved if counts else parameter
                by_name[name] = torch.empty_like(like, requires_grad=False).copy_(saved.detach())


class Sgd(Optimizer):
    """Stochastic gradient descent with momentum, all parameters in one call."""

    def __init__(
        self, parameters: Named, *, learning_rate: float, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(parameters, learning_rate=learning_rate, weight_decay=weight_decay)
        self.momentum = momentum
        self.momentum_buffers = self.state["momentum"] = {}

    def _move(self, parameters: Named, gradients: list[Tensor]) -> None:
        buffers = [self.momentum_buffers.get(name) for name in parameters if self.momentum]
        sgd(
            list(parameters.values()),
            gradients,
            buffers,
            fused=True,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        moved = zip(parameters, buffers, strict=False)
        self.momentum_buffers |= {name: b for name, b in moved if b is not None}


class Adam(Optimizer):
    """Adam with weight decay in the gradient; `betas` are of mean and square."""

    def __init__(
        self,
        parameters: Named,
        *,
        learning_rate: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        super().__init__(parameters, learning_rate=learning_rate, weight_decay=weight_decay)
        self.betas = betas
        self.state |= {"step": {}, "mean": {}, "square": {}}

    def _move(self, parameters: Named, gradients: list[Tensor]) -> None:
        steps, means, squares = (self.state[part] for part in ("step", "mean", "square"))
        for name, parameter in parameters.items():
            if name not in steps:
                steps[name] = torch.tensor(0.0)
                means[name] = torch.zeros_like(parameter)
                squares[name] = torch.zeros_like(parameter)
        adam(
            list(parameters.values()),
            gradients,
            [means[name] for name in parameters],
            [squares[name] for name in parameters],
            [],
            [steps[name] for name in parameters],
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )

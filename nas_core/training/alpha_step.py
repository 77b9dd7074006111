"""The gradient of the validation loss in the alphas: first order, or second order as in DARTS.

Pure: nothing here changes a weight, an alpha or a buffer. Letter: K models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

Weights = Mapping[str, Tensor]
Batch = tuple[Tensor, Tensor]
LossAndLogits = Callable[[Weights, Batch], tuple[Tensor, Tensor]]
"""Of a network with these weights (by name) on (images, labels); differentiable in the alphas. The
loss is (), or that of each of K models, (K,)."""


@dataclass(frozen=True)
class Unrolling:
    """The step of SGD that the second order looks ahead by; DARTS does not clip it.

    `momentum_buffers` are by name; a weight without one has not been updated yet.
    """

    learning_rate: float
    momentum: float
    weight_decay: float
    momentum_buffers: Mapping[str, Tensor]

    def step(self, name: str, weight: Tensor, gradient: Tensor) -> Tensor:
        """Return where one step takes this weight."""
        direction = gradient + self.weight_decay * weight
        buffer = self.momentum_buffers.get(name)
        if buffer is not None:
            direction = direction + self.momentum * buffer
        return weight - self.learning_rate * direction


EPSILON = 0.01
"""Length of the finite difference's step in weight space (Liu et al., 2019, footnote 2)."""


def alpha_gradient(
    loss_and_logits: LossAndLogits,
    weights: Weights,
    alphas: Sequence[Tensor],
    train_batch: Batch,
    alpha_batch: Batch,
    *,
    unrolling: Unrolling | None,
    epsilon: float = EPSILON,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Return the gradient of each alpha, and loss and logits on the alphas' batch.

    First order: the gradient at the weights as they are. Second order (equation 7 of the paper):
    the gradient at the unrolled weights w', minus the product of the mixed second derivative at
    w with the gradient in w', which is taken as a finite difference of length `epsilon`. Of K
    models each has a length of its own, and none depends on the weights and alphas of another.

    Args:
        loss_and_logits: what is differentiated.
        weights: by name, those of one model after another, as many of each; not changed.
        alphas: leaves that require gradients, in the same order of models; not changed.
        train_batch: on which weights learn; only used in second order.
        alpha_batch: on which alphas learn.
        unrolling: the step of the weights' optimiser; None asks for first order.
        epsilon: length of the finite difference.

    """
    if unrolling is None:
        detached = {name: weight.detach() for name, weight in weights.items()}
        loss, logits = loss_and_logits(detached, alpha_batch)
        return _gradients(loss, alphas), loss.detach(), logits.detach()
    unrolled = _unrolled(loss_and_logits, weights, train_batch, unrolling)
    loss, logits = loss_and_logits(unrolled, alpha_batch)
    gradients = _gradients(loss, [*alphas, *unrolled.values()])
    direct, direction = gradients[: len(alphas)], gradients[len(alphas) :]
    steps, is_curved = _steps(direction, loss.numel(), epsilon)

    def moved(sign: float) -> list[Tensor]:
        """Return the alphas' gradient on the training batch at w + sign * step * direction."""
        there = {
            name: weight.detach() + sign * step * towards
            for (name, weight), towards, step in zip(
                weights.items(), direction, _repeated(steps, weights), strict=True
            )
        }
        return _gradients(loss_and_logits(there, train_batch)[0], alphas)

    # The unrolled step is w - lr * (...), so the chain rule brings one factor of -lr.
    combined = [
        torch.where(curved, first - unrolling.learning_rate * (up - down) / (2 * step), first)
        for first, up, down, step, curved in zip(
            direct,
            moved(1),
            moved(-1),
            _repeated(steps, alphas),
            _repeated(is_curved, alphas),
            strict=True,
        )
    ]
    return combined, loss.detach(), logits.detach()


def _steps(direction: Sequence[Tensor], models: int, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return how far the finite difference of each model goes, in gradients, and whether it does.

    It does not where its loss is flat in the weights, or where the gradient's length is not a
    number or too large for one: there is nothing to correct. Both are (K,); no host waits for them.
    """
    each = len(direction) // models
    norms = [get_total_norm(direction[k * each : (k + 1) * each]) for k in range(models)]
    lengths = torch.stack(norms).double()
    is_curved = (lengths > 0) & (lengths < math.inf)
    # Divided exactly: a number over a tensor is the number times a reciprocal.
    return torch.where(is_curved, torch.full_like(lengths, epsilon) / lengths, 0), is_curved


def _repeated(of_models: Tensor, tensors: Sequence[Tensor] | Weights) -> list[Tensor]:
    """Return, for each tensor, what its model has of (K,)."""
    return [one for one in of_models for _ in range(len(tensors) // len(of_models))]


def _unrolled(
    loss_and_logits: LossAndLogits, weights: Weights, batch: Batch, unrolling: Unrolling
) -> dict[str, Tensor]:
    """Return the weights after one step on the training batch, as leaves."""
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    loss, _ = loss_and_logits(leaves, batch)
    gradients = _gradients(loss, list(leaves.values()))
    with torch.no_grad():
        stepped = {
            name: unrolling.step(name, weight, gradient)
            for (name, weight), gradient in zip(leaves.items(), gradients, strict=True)
        }
    return {name: weight.detach().requires_grad_() for name, weight in stepped.items()}


def _gradients(loss: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient in each tensor, zero where the loss does not depend on it."""
    return list(torch.autograd.grad(loss.sum(), tensors, materialize_grads=True))

"""Alpha gradients of both orders equal automatic differentiation's; a step moves alphas alone."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from nas_core.protocols.search import SearchProtocol
from nas_core.streams import Draws
from nas_core.training import search_steps
from nas_core.training.alpha_step import Batch, LossAndLogits, Unrolling, alpha_gradient
from nas_core.training.search import Search
from nas_core.training.search_steps import SideBySide
from tests.nas_core.networks import plain
from tests.nas_core.training.searches import BOTH, started
from tests.nas_core.training.trainings import copied, stopped_after, unchanged

FIRST = BOTH.with_values({"alpha_order": 1})
RATE, MOMENTUM, DECAY = 0.3, 0.9, 0.05
Weights = Mapping[str, Tensor]


class Problem:
    """A smooth relaxed network of one mixed layer, with all that a second-order step needs."""

    def __init__(self, seed: int = 0) -> None:
        source = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=source, dtype=torch.float64)

        self.weights = {"first": normal(4, 3), "second": normal(4, 3), "last": normal(2, 4)}
        self.buffers = {name: 0.2 * normal(*w.shape) for name, w in self.weights.items()}
        self.alphas = [normal(2).requires_grad_(), normal(4).requires_grad_()]
        self.train: Batch = (normal(8, 3), torch.arange(8) % 2)
        self.validation: Batch = (normal(8, 3), torch.arange(8) % 2)
        self.unrolling = Unrolling(RATE, MOMENTUM, DECAY, self.buffers)

    def loss_and_logits(self, weights: Weights, batch: Batch) -> tuple[Tensor, Tensor]:
        mixing, gates = self.alphas[0].softmax(0), self.alphas[1].softmax(0)
        one = softplus(batch[0] @ weights["first"].T)
        other = torch.tanh(batch[0] @ weights["second"].T)
        logits = ((mixing[0] * one + mixing[1] * other) * gates) @ weights["last"].T
        return cross_entropy(logits, batch[1]), logits

    def gradient(self, epsilon: float, unrolling: Unrolling | None = None) -> list[Tensor]:
        return alpha_gradient(
            self.loss_and_logits,
            self.weights,
            self.alphas,
            self.train,
            self.validation,
            unrolling=unrolling or self.unrolling,
            epsilon=epsilon,
        )[0]

    def exact(self, buffers: Weights | None = None) -> list[Tensor]:
        """Differentiate the validation loss after one step of SGD through that step."""
        return exact_second_order(
            self.loss_and_logits,
            self.weights,
            self.alphas,
            (self.train, self.validation),
            Unrolling(RATE, MOMENTUM, DECAY, self.buffers if buffers is None else buffers),
        )


def exact_second_order(
    loss_and_logits: LossAndLogits,
    weights: Weights,
    alphas: Sequence[Tensor],
    batches: tuple[Batch, Batch],
    unrolling: Unrolling,
) -> list[Tensor]:
    """Differentiate through w' = w - rate * (momentum * buffer + gradient + decay * w)."""
    rate, momentum, decay = unrolling.learning_rate, unrolling.momentum, unrolling.weight_decay
    buffers = unrolling.momentum_buffers
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    loss = loss_and_logits(leaves, batches[0])[0]
    gradients = torch.autograd.grad(
        loss, list(leaves.values()), create_graph=True, materialize_grads=True
    )
    stepped = {}
    for (name, weight), gradient in zip(leaves.items(), gradients, strict=True):
        velocity = gradient + decay * weight
        if name in buffers:
            velocity = velocity + momentum * buffers[name]
        stepped[name] = weight - rate * velocity
    validation_loss = loss_and_logits(stepped, batches[1])[0]
    return list(torch.autograd.grad(validation_loss, alphas, materialize_grads=True))


def error(gradients: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """Return the relative distance of all gradients together."""
    one, two = (torch.cat([g.flatten() for g in each]) for each in (gradients, exact))
    assert two.norm() > 0
    return float((one - two).norm() / two.norm())


def test_first_order_is_the_gradient_at_the_weights_as_they_are() -> None:
    problem = Problem()
    gradients, loss, logits = alpha_gradient(
        problem.loss_and_logits,
        problem.weights,
        problem.alphas,
        problem.train,
        problem.validation,
        unrolling=None,
    )
    expected_loss, expected_logits = problem.loss_and_logits(problem.weights, problem.validation)
    expected_loss.backward()
    torch.testing.assert_close(gradients, [alpha.grad for alpha in problem.alphas])
    torch.testing.assert_close(loss, expected_loss.detach())
    torch.testing.assert_close(logits, expected_logits.detach())


@pytest.mark.parametrize("seed", range(3))
def test_second_order_comes_to_the_exact_gradient_as_epsilon_shrinks(seed: int) -> None:
    problem = Problem(seed)
    exact = problem.exact()
    errors = [error(problem.gradient(epsilon), exact) for epsilon in (1e-1, 1e-2, 1e-3, 1e-4)]
    # Central differences: a tenth of epsilon has a hundredth of the error.
    assert all(after < before / 50 for before, after in itertools.pairwise(errors[:3]))
    assert errors[3] < 1e-8


@pytest.mark.parametrize(
    "other",
    [
        Unrolling(RATE, MOMENTUM, DECAY, {}),
        Unrolling(RATE, 0.0, DECAY, Problem().buffers),
        Unrolling(RATE, MOMENTUM, 0.0, Problem().buffers),
        Unrolling(RATE / 2, MOMENTUM, DECAY, Problem().buffers),
    ],
    ids=["no buffers", "no momentum", "no weight decay", "half the rate"],
)
def test_every_part_of_the_unrolled_step_counts(other: Unrolling) -> None:
    problem = Problem()
    assert error(problem.gradient(1e-4, other), problem.exact()) > 1e-3


def test_a_weight_that_was_never_updated_has_no_momentum_yet() -> None:
    problem = Problem()
    some = {name: buffer for name, buffer in problem.buffers.items() if name != "first"}
    gradients = problem.gradient(1e-4, Unrolling(RATE, MOMENTUM, DECAY, some))
    assert error(gradients, problem.exact(some)) < 1e-8


def test_the_unrolled_step_is_the_one_that_pytorchs_sgd_would_take() -> None:
    weight = torch.randn(5, dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([weight], lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    for _ in range(3):
        gradient = torch.randn(5, dtype=torch.float64)
        buffer = sgd.state[weight].get("momentum_buffer")
        buffers = {} if buffer is None else {"weight": buffer.clone()}
        expected = Unrolling(RATE, MOMENTUM, DECAY, buffers).step("weight", weight, gradient)
        weight.grad = gradient.clone()
        expected = expected.detach().clone()
        sgd.step()
        torch.testing.assert_close(weight.detach(), expected)


def test_the_finite_difference_is_a_hundredth_of_the_gradients_length_by_default() -> None:
    problem = Problem()
    moves: list[float] = []
    before = torch.cat([weight.flatten() for weight in problem.weights.values()])

    def spied(weights: Weights, batch: Batch) -> tuple[Tensor, Tensor]:
        here = torch.cat([weights[name].detach().flatten() for name in problem.weights])
        moves.append((here - before).norm().item())
        return problem.loss_and_logits(weights, batch)

    alpha_gradient(
        spied,
        problem.weights,
        problem.alphas,
        problem.train,
        problem.validation,
        unrolling=problem.unrolling,
    )
    assert len(moves) == 4, "at w, at w', and on both sides of w"
    assert moves[0] == 0
    assert moves[2:] == pytest.approx([0.01, 0.01])


def test_nothing_that_goes_in_is_changed() -> None:
    problem = Problem()
    everything = {
        **problem.weights,
        **{f"buffer {name}": buffer for name, buffer in problem.buffers.items()},
        **{f"alpha {number}": alpha for number, alpha in enumerate(problem.alphas)},
    }
    before = copied(everything)
    problem.gradient(0.01)
    assert unchanged(before, everything)
    assert all(alpha.grad is None for alpha in problem.alphas)


def test_a_loss_that_is_flat_in_the_weights_has_no_correction() -> None:
    problem = Problem()
    weights = {"only": torch.ones(3, dtype=torch.float64)}

    def flat(_: Weights, __: Batch) -> tuple[Tensor, Tensor]:
        return problem.alphas[0].square().sum(), torch.zeros(8, 2)

    gradients, _, _ = alpha_gradient(
        flat,
        weights,
        problem.alphas[:1],
        problem.train,
        problem.validation,
        unrolling=Unrolling(RATE, MOMENTUM, DECAY, {}),
    )
    torch.testing.assert_close(gradients, [2 * problem.alphas[0].detach()])


@pytest.mark.parametrize("models", [1, 2])
def test_a_gradient_too_long_for_a_number_has_no_correction(models: int) -> None:
    steepness = torch.tensor([1e200, 1.0][:models], dtype=torch.float64)
    weights = {str(k): torch.ones(3, dtype=torch.float64) for k in range(models)}
    alphas = [torch.full((2,), 0.5, dtype=torch.float64, requires_grad=True) for _ in weights]

    def steep(weights: Weights, _: Batch) -> tuple[Tensor, Tensor]:
        each = zip(steepness, weights.values(), alphas, strict=True)
        losses = [factor * w.sum() + alpha.square().sum() for factor, w, alpha in each]
        return torch.stack(losses), torch.zeros(models, 8, 2)

    batch = Problem().train
    unrolling = Unrolling(RATE, MOMENTUM, DECAY, {})
    gradients, _, _ = alpha_gradient(steep, weights, alphas, batch, batch, unrolling=unrolling)
    torch.testing.assert_close(gradients, [torch.ones(2, dtype=torch.float64)] * models)


def test_a_gpu_need_not_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Tensor] = []
    for name in ("__bool__", "__float__", "item", "tolist"):
        read = getattr(Tensor, name)

        def counted(tensor: Tensor, read: Any = read) -> Any:
            reads.append(tensor)
            return read(tensor)

        monkeypatch.setattr(Tensor, name, counted)
    Problem().gradient(0.01)
    assert not reads, "each read waits for a GPU"


def test_models_side_by_side_have_the_gradients_of_each_alone() -> None:
    problems = [Problem(0), Problem(1), Problem(2)]
    problems[1].weights["last"][0, 0] = torch.inf
    single = [problem.gradient(0.01) for problem in problems]

    def together(weights: Weights, batch: Batch) -> tuple[Tensor, Tensor]:
        results = [
            problem.loss_and_logits({n: weights[f"{k} {n}"] for n in problem.weights}, (x, y))
            for k, (problem, x, y) in enumerate(zip(problems, *batch, strict=True))
        ]
        losses, logits = zip(*results, strict=True)
        return torch.stack(losses), torch.stack(logits)

    def named(parts: str) -> dict[str, Tensor]:
        each = (getattr(problem, parts).items() for problem in problems)
        return {f"{k} {name}": t for k, items in enumerate(each) for name, t in items}

    def stacked(batches: Sequence[Batch]) -> Batch:
        images, labels = zip(*batches, strict=True)
        return torch.stack(images), torch.stack(labels)

    gradients, losses, _ = alpha_gradient(
        together,
        named("weights"),
        [alpha for problem in problems for alpha in problem.alphas],
        stacked([problem.train for problem in problems]),
        stacked([problem.validation for problem in problems]),
        unrolling=Unrolling(RATE, MOMENTUM, DECAY, named("buffers")),
        epsilon=0.01,
    )

    assert losses.isfinite().tolist() == [True, False, True]
    for number in (0, 2):
        torch.testing.assert_close(gradients[2 * number : 2 * number + 2], single[number])


def after_an_epoch(protocol: SearchProtocol) -> tuple[Search, Draws, Draws]:
    """Return a search with momentum in its weights, and the draws of its next alpha step."""
    search = started(protocol)
    stopped_after(1, search)
    draws, alpha_draws = next(search.steps(1))
    assert alpha_draws is not None
    search.network.train()
    return search, draws, alpha_draws


@pytest.mark.parametrize("protocol", [FIRST, BOTH], ids=["first order", "second order"])
def test_an_alpha_step_leaves_everything_but_alphas_bit_identical(protocol: SearchProtocol) -> None:
    search, draws, alpha_draws = after_an_epoch(protocol)
    before = copied(search.tensors())
    SideBySide([search]).alpha_step([draws], [alpha_draws], [None])
    after = search.tensors()

    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("alpha")} == moved
    assert {"alphas.normal", "alphas.reduction", "alpha_mean.normal"} < moved
    statistics = [name for name in before if name.endswith(("running_mean", "running_var"))]
    assert statistics
    assert any(name.startswith("momentum.") for name in before)
    assert all(norm.track_running_stats for norm in search.network.batch_norms)


def test_a_first_order_step_of_a_search_has_autograds_gradient() -> None:
    search, draws, alpha_draws = after_an_epoch(FIRST)
    network, alphas = copy.deepcopy(search.network), copy.deepcopy(search.alphas)
    images, labels = search.batch(search.split.alphas, alpha_draws)
    loss = cross_entropy(network(images, alphas.mixing()), labels)
    expected = torch.autograd.grad(loss, list(alphas.tensors.values()))

    SideBySide([search]).alpha_step([draws], [alpha_draws], [None])
    assert all(gradient.abs().max() > 0 for gradient in expected)
    gradients = [alpha.grad for alpha in search.alphas.tensors.values()]
    torch.testing.assert_close(gradients, list(expected))


def test_a_second_order_step_of_a_search_has_the_exact_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # ReLUs are only piecewise smooth, so that a step as long as DARTS' says little here.
    precise = functools.partial(alpha_gradient, epsilon=1e-6)
    monkeypatch.setattr(search_steps, "alpha_gradient", precise)
    search, draws, alpha_draws = after_an_epoch(BOTH)
    network, alphas = copy.deepcopy(search.network), copy.deepcopy(search.alphas)
    batches = (
        search.batch(search.split.weights, draws),
        search.batch(search.split.alphas, alpha_draws),
    )

    def loss_and_logits(weights: Weights, batch: Batch) -> tuple[Tensor, Tensor]:
        named = {f"network.{name}": weight for name, weight in weights.items()}
        arguments = (batch[0], alphas.mixing())
        logits = torch.func.functional_call(plain.Network(network), named, arguments)
        return cross_entropy(logits, batch[1]), logits

    exact = exact_second_order(
        loss_and_logits,
        dict(network.named_parameters()),
        list(alphas.tensors.values()),
        batches,
        Unrolling(
            search.optimizer.learning_rate,
            BOTH.momentum,
            BOTH.weight_decay,
            search.optimizer.momentum_buffers,
        ),
    )
    loss = loss_and_logits(dict(network.named_parameters()), batches[1])[0]
    first = torch.autograd.grad(loss, list(alphas.tensors.values()))

    SideBySide([search]).alpha_step([draws], [alpha_draws], [None])
    gradients = [alpha.grad for alpha in search.alphas.tensors.values()]
    assert error([g for g in gradients if g is not None], exact) < 1e-6
    assert error(first, exact) > 1e-3, "first and second order are told apart"

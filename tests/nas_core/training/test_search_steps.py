"""Steps of weights and alphas: when they come, on which images, and of several searches at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from nas_core.data.splits import Images
from nas_core.protocols.search import SearchProtocol
from nas_core.streams import Draws
from nas_core.training import search_steps
from nas_core.training.alpha_step import alpha_gradient
from nas_core.training.search_steps import SideBySide
from tests.nas_core.training.searches import FIRST, HALVES, TINY, searched, started

EXACT = FIRST.with_values({"precision": "float64", "gradient_clip": 0.1})


def test_once_an_epoch_is_before_its_last_weight_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert steps_of(FIRST.with_values({"alpha_every": "epoch"}), monkeypatch) == "wawwawwaw"


@pytest.mark.parametrize(
    ("batch_size", "expected"),
    [(5, "wwwaww"), (6, "wwwaw"), (16, "aww"), (24, "aw"), (25, "aw")],  # of 24 images
)
def test_once_an_epoch_can_be_on_the_last_whole_batch(
    batch_size: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"alpha_every": "epoch", "alpha_at": "last_full", "batch_size": batch_size}
    assert steps_of(FIRST.with_values({**values, "epochs": 1}), monkeypatch) == expected


def test_each_step_is_before_its_weight_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert steps_of(FIRST, monkeypatch) == "awaw" * 3


def steps_of(protocol: SearchProtocol, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the order of (a)lpha and (w)eight steps."""
    taken: list[str] = []
    for letter, name in (("a", "alpha_step"), ("w", "weight_step")):
        original = getattr(SideBySide, name)

        def spy(*arguments: Any, act: Any = original, kind: str = letter) -> Any:
            taken.append(kind)
            return act(*arguments)

        monkeypatch.setattr(SideBySide, name, spy)
    searched(protocol)
    return "".join(taken)


def test_alphas_learn_on_their_own_half_and_weights_on_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, set[int]] = {"train": set(), "alphas": set()}

    def spy(*arguments: Any, **options: Any) -> Any:
        for name, batch in zip(seen, arguments[3:5], strict=True):
            seen[name] |= {hash(image.numpy().tobytes()) for image in batch[0][0]}
        return alpha_gradient(*arguments, **options)

    monkeypatch.setattr(search_steps, "alpha_gradient", spy)
    plain = TINY.with_values({"crop_padding": 0, "flip": False, "epochs": 1})
    search = searched(plain)

    def batch(images: Images) -> Tensor:
        draws = Draws.draw(plain, seed=9, epoch=0, images=len(images), image_size=(8, 8))
        whole = dataclasses.replace(draws, batch_size=len(images))
        return search.batch(images, next(whole.steps()))[0]

    for name, half in (("train", HALVES.weights), ("alphas", HALVES.alphas)):
        assert seen[name] == {hash(image.numpy().tobytes()) for image in batch(half)}
    assert not seen["train"] & seen["alphas"]


@pytest.mark.parametrize("order", [1, 2])
def test_steps_side_by_side_are_those_of_each_alone(order: int) -> None:
    protocol = EXACT.with_values({"alpha_order": order})
    together, alone = ([started(protocol, seed) for seed in (0, 4)] for _ in range(2))
    pair = SideBySide(together)
    each = [SideBySide([search]) for search in alone]
    steps = [list(search.steps(0)) for search in together]
    for step, drawn in enumerate(zip(*steps, strict=True)):
        draws = [of_weights for of_weights, _ in drawn]
        alpha_draws = [of_alphas for _, of_alphas in drawn if of_alphas is not None]
        nothing = [None, None]
        chosen = pair.alpha_step(draws, alpha_draws, nothing)
        learnt = pair.weight_step(draws, nothing)
        for number, (search, steps_of_one) in enumerate(zip(alone, each, strict=True)):
            one = [draws[number]], [alpha_draws[number]]
            expected = (
                steps_of_one.alpha_step(*one, [None]),
                steps_of_one.weight_step(one[0], [None]),
            )
            for ours, theirs in zip((chosen, learnt), expected, strict=True):
                for part, other in zip(ours, theirs, strict=True):
                    torch.testing.assert_close(part[number], other[0], rtol=1e-9, atol=1e-12)
            for name, tensor in search.tensors().items():
                same = together[number].tensors()[name]
                torch.testing.assert_close(
                    same, tensor, rtol=1e-9, atol=1e-12, msg=f"{step} {name}"
                )

"""What one epoch gave, of a training or a search, and when a search ends early. No torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from nas_core.cells.discretisation import EdgeWeights
from nas_core.cells.spaces import LEARNABLE
from nas_core.protocols.search import SearchProtocol


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What any epoch gave, counted from 0; accuracies are fractions 0..1.

    `train_*` are means over the images that weights learn on, as seen before each step.
    `seconds` are wall clock and cover steps and evaluation.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_accuracy: float | None
    seconds: float

    @property
    def diverged(self) -> bool:
        """Whether the loss is no longer finite, which ends the loop."""
        return not math.isfinite(self.train_loss)


@dataclass(frozen=True, kw_only=True)
class EpochMetrics(Epoch):
    """What one epoch of a training gave.

    Both accuracies are None where the epoch was not measured, see `Training`; `val_accuracy` is
    None too where there is no hold-out.
    """

    test_accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How far an epoch is, as a `share` 0..1 of its work, and the seconds it will take in all."""

    share: float
    epoch_seconds: float


@dataclass(frozen=True, kw_only=True)
class SearchEpoch(Epoch):
    """What one epoch (counted over all stages) of a search gave.

    `alpha_*` are means over the images of the alpha steps, as seen before each step, and None
    where no alpha step was taken. `val_accuracy` is that of the whole half of the alphas in
    evaluation mode, in the last epoch only. `alphas` holds the weights after softmax as
    `EdgeWeights.to_json_value` gives them, for 'normal' and 'reduction'. `genotype` (canonical
    text) and `skips_*` are those of now; None and 0 where the alphas are not finite.
    """

    stage: int
    alpha_loss: float | None
    alpha_accuracy: float | None
    genotype: str | None
    skips_normal: int
    skips_reduction: int
    alphas: dict[str, list[dict[str, Any]]]
    weight_steps: int
    alpha_steps: int
    weight_seconds: float
    alpha_seconds: float

    @property
    def diverged(self) -> bool:
        """Whether loss or alphas are no longer finite, which ends the search."""
        return super().diverged or self.genotype is None

    def edge_weights(self, cell_type: str) -> list[EdgeWeights]:
        """Return the weights of 'normal' or 'reduction' cells."""
        return [EdgeWeights.from_json_value(edge) for edge in self.alphas[cell_type]]


M = TypeVar("M", bound=Epoch | None)


@dataclass(frozen=True)
class _Together(Generic[M]):
    """What one epoch of several that run as one gave, a member each; None of what had ended."""

    members: tuple[M, ...]
    _kind: ClassVar[type[Epoch]]

    def __post_init__(self) -> None:
        """Take members also as a checkpoint's JSON has them."""
        members: Iterable[Any] = self.members
        read = [self._kind(**each) if isinstance(each, dict) else each for each in members]
        object.__setattr__(self, "members", tuple(read))

    @property
    def diverged(self) -> bool:
        """Whether all that ran have diverged, which ends the loop."""
        return all(member is None or member.diverged for member in self.members)


class PackEpoch(_Together[EpochMetrics]):
    """What one epoch of trainings that run as one gave."""

    _kind = EpochMetrics


class SearchPackEpoch(_Together[SearchEpoch | None]):
    """What one epoch of searches that run as one gave."""

    _kind = SearchEpoch


def stop_reason(protocol: SearchProtocol, history: list[SearchEpoch]) -> str | None:
    """Return why DARTS+ would stop after these epochs, in words; None to go on.

    As the eDARTS paper has it (section III-C): its first criterion is two (`stop_skips`) or more
    skip connections in one cell, normal or reduction, its second a ranking of the learnable
    operations of every edge that has not changed for ten (`stop_stable_epochs`) epochs. Warm-up
    epochs do not count.
    """
    searched = [epoch for epoch in history if epoch.alpha_steps]
    if protocol.stop == "skips" and searched:
        last = searched[-1]
        for cell, skips in (("normal", last.skips_normal), ("reduction", last.skips_reduction)):
            if skips >= protocol.stop_skips:
                return f"{skips} skip connections in the {cell} cell"
    if protocol.stop == "ranking":
        rankings = [_learnable_ranking(epoch) for epoch in searched]
        stable = sum(1 for _ in itertools.takewhile(lambda r: r == rankings[-1], rankings[::-1]))
        if stable > protocol.stop_stable_epochs:
            return f"the ranking of learnable operations was stable for {stable - 1} epochs"
    return None


def _learnable_ranking(epoch: SearchEpoch) -> list[list[str]]:
    return [
        sorted((n for n in edge.weights if n in LEARNABLE), key=lambda n: -edge.weights[n])
        for cell_type in epoch.alphas
        for edge in epoch.edge_weights(cell_type)
    ]

"""What an adaptive sweep asks for: how many of the best, how surely, and what it was given so far.

Which class gets the next seed is decided from results, in `analysis/adaptive/rule.py`. No
torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from topo_sweep.spec.int_sets import format_int_set, members

FIRST_SEEDS: Final = 3
"""Seeds that every class begins with where the sweep itself asks for one."""

More = tuple[tuple[int, tuple[int, ...]], ...]
"""Seeds beyond the first, each with the topologies that were given it."""


def _more(value: object) -> More:
    pairs: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise ValueError("write pairs of a seed and topologies, as in [[3, 0-5]]")
    return tuple((members(seed, None)[0], members(topologies, None)) for seed, topologies in pairs)


def _more_as_text(more: More) -> list[tuple[int, str]]:
    return [(seed, format_int_set(topologies)) for seed, topologies in more]


_More = Annotated[More, BeforeValidator(_more), PlainSerializer(_more_as_text, when_used="json")]


class Adaptive(BaseModel):
    """A race of classes: seeds go where they tell most, until the best are told from the rest.

    Args:
        top: how many of the best are wanted; 1 is the best.
        confidence: that none outside is better than one of them by more than the delta.
        delta_points: the difference in percentage points of accuracy that does not matter. Without
            one, classes that are equal would race for ever.
        batch: trainings that a round has at least, so that packs and workers are full; with few
            classes in the race each gets several seeds at once.
        more: which topologies were given which seeds beyond the first; a run fills it in.

    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    top: Annotated[int, Field(ge=1)] = 20
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    delta_points: Annotated[float, Field(ge=0, lt=100)] = 0.25
    batch: Annotated[int, Field(ge=1)] = 1
    more: _More = ()

    @property
    def delta(self) -> float:
        """The difference that does not matter, as a fraction."""
        return self.delta_points / 100

    @property
    def goal(self) -> str:
        """What is looked for, in words."""
        return "the best class" if self.top == 1 else f"the {self.top} best classes"

    @property
    def settings(self) -> dict[str, Any]:
        """The values that decide who runs, without what was decided so far."""
        return self.model_dump(exclude={"more"})

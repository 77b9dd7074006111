"""The options of an adaptive sweep, and how its race is run and told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas_core.errors import InputError
from topo_sweep.cli.shared.options import MANY_TRIALS, option

if TYPE_CHECKING:
    from topo_sweep.runs.adaptive import Budget


@dataclass(frozen=True, kw_only=True)
class RaceChoice:
    """Whether seeds go where they tell most, and until when; by default all classes get as many."""

    adaptive: str | None = option(
        metavar="top=N|best",
        help="Race one topology of each class for the N best: after a few seeds for all, more for "
        "those that are in doubt.",
    )
    confidence: float | None = option(type=float, help="Of the race's statement.  [default: 0.95]")
    delta: float | None = option(
        type=float,
        metavar="POINTS",
        help="A difference that does not matter, in points of accuracy.  [default: 0.25]",
    )
    budget: str | None = option(
        metavar="RUNS|HOURS",
        help="What the race may take in all, earlier runs included: 500, or 6h of training, all "
        f"workers together.  [default: {MANY_TRIALS} runs]",
    )
    batch: int | None = option(
        metavar="RUNS", type=int, help="What a round has at least, to fill packs and workers."
    )

    @property
    def settings(self) -> dict[str, Any]:
        """What was given of the settings of a race, by their names in a sweep's file.

        Raises:
            InputError: `--adaptive` is neither top=N nor best.

        """
        given = {
            "top": None if self.adaptive is None else parse_goal(self.adaptive),
            "confidence": self.confidence,
            "delta_points": self.delta,
            "batch": self.batch,
        }
        return {name: value for name, value in given.items() if value is not None}


def parse_goal(text: str) -> int:
    """Return how many of the best are wanted, of 'best' or 'top=20'.

    Raises:
        InputError: it is neither.

    """
    name, _, count = text.partition("=")
    if text == "best":
        return 1
    if name == "top" and re.fullmatch("[1-9][0-9]{0,8}", count):
        return int(count)
    raise InputError(f"--adaptive {text}: write top=20, with any number from 1, or best")


def parse_budget(text: str | None, *, first_runs: int, yes: bool) -> Budget:
    """Return the budget of a race, of '500' runs or '6h'.

    Args:
        text: what was given; None is the most that runs without `--yes`.
        first_runs: those of the first seeds.
        yes: whether more than `MANY_TRIALS` runs are meant.

    Raises:
        InputError: it is neither, too small for the first seeds, or too large without `--yes`.

    """
    from topo_sweep.runs.adaptive import Budget

    most = None if yes else MANY_TRIALS
    if text is None:
        return Budget(runs=most)
    if hours := re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)h", text):
        return Budget(runs=most, hours=float(hours[1]))
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InputError(f"--budget {text}: write runs, such as 500, or hours, such as 6h")
    runs = int(text)
    if runs < first_runs:
        raise InputError(
            f"--budget {text}: the first seeds of all classes alone are {first_runs:,} runs: allow "
            "more, or name fewer --topologies or --seeds"
        )
    if runs > MANY_TRIALS and not yes:
        raise InputError(f"--budget {text}: that may be many trials: add --yes if that is meant")
    return Budget(runs=runs)

"""What the paper claims, as contrasts of our searches, and when such a claim is decided.

A contrast is a weighted sum of the accuracies that searches of one seed reached in several
spaces and at several numbers of cells, so that whatever a seed has in common cancels. A claim is
one or more contrasts that must all be positive:

- supported: the 95% t interval of every contrast, over search seeds, lies wholly above zero. All
  must hold at once, so no correction is needed (an intersection of tests).
- contradicted: at least one contrast is below zero with p < 5% after Holm's correction over the
  contrasts of the claim. With a single contrast: its interval lies wholly below zero.
- undecided: anything else, also where a contrast has no rows or a single seed.

A contrast of which the paper claims no sign is reported beside them and not judged. Which contrasts
a claim means is in `figure_2.py` and `depth.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from topo_sweep.analysis.accuracy import Estimate, estimate
from topo_sweep.analysis.statistics.corrections import holm
from topo_sweep.paper.evidence import groups
from topo_sweep.paper.records import Entry, entry

if TYPE_CHECKING:
    import pandas as pd

LEVEL: Final = 0.05

NOT_JUDGED: Final = "not judged"
"""The verdict on a contrast of which the paper claims no sign."""

HOW_TO_READ: Final = (
    "Claims: percentage points, paired by search seed; the paper claims that each is above 0, but "
    "for those that are not judged. Supported: every interval is above 0. Contradicted: one is "
    "below 0 after Holm's correction within the claim. Undecided: else, which is no evidence of "
    "equality. Verdicts are on our setting."
)

Point = tuple[str, int]
"""A space and the number of cells of the search network."""

Accuracy = Mapping[Point, "pd.Series[float]"]
"""Test accuracy in percent at each point, by search seed."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Accuracies to be added, each with its weight; a claim says that the sum is positive.

    Where it is not `judged` the paper claims no sign of it.
    """

    label: str
    weights: Mapping[Point, float]
    judged: bool = True

    def seeds(self, accuracy: Accuracy) -> list[float]:
        """Return the sum of each seed that has every term; none where a point has no rows."""
        if not set(self.weights) <= set(accuracy):
            return []
        terms = [accuracy[point] * weight for point, weight in self.weights.items()]
        total: pd.Series[float] = sum(terms[1:], start=terms[0])
        # Equal accuracies leave a rounding error, which must not pass for an effect.
        return [round(points, 9) for points in total.dropna()]


def verdict(contrasts: Sequence[Estimate | None]) -> str:
    """Return 'supported', 'contradicted' or 'undecided'; see the module's docstring."""
    known = [ours for ours in contrasts if ours is not None and ours.p_value is not None]
    if len(known) == len(contrasts) and all((ours.low or 0) > 0 for ours in known):
        return "supported"
    adjusted = holm([ours.p_value for ours in known if ours.p_value is not None])
    below = (ours.mean < 0 and p < LEVEL for ours, p in zip(known, adjusted, strict=True))
    return "contradicted" if any(below) else "undecided"


def claim_entries(claim: str, contrasts: Sequence[Contrast], accuracy: Accuracy) -> Iterator[Entry]:
    """Yield an entry a contrast, those that are judged with the verdict on the claim."""
    estimates = [estimate(contrast.seeds(accuracy)) for contrast in contrasts]
    pairs = list(zip(contrasts, estimates, strict=True))
    said = verdict([ours for contrast, ours in pairs if contrast.judged])
    for contrast, ours in pairs:
        yield entry(
            claim,
            contrast.label,
            ours,
            theirs="> 0" if contrast.judged else "",
            verdict=said if contrast.judged else NOT_JUDGED,
            note=_reading(ours, judged=contrast.judged),
        )


def _reading(ours: Estimate | None, *, judged: bool) -> str:
    if ours is None:
        reading = "no rows"
    elif ours.low is None or ours.high is None:
        reading = "one seed: no interval" if ours.n == 1 else ""  # `entry` tells of equal ones
    else:
        reading = "above 0" if ours.low > 0 else "below 0" if ours.high < 0 else ""
    return "; ".join(part for part in (reading, "" if judged else NOT_JUDGED) if part)


def by_seed(searches: pd.DataFrame) -> tuple[Accuracy, list[str]]:
    """Return the accuracies at each point, and sentences on the points left out."""
    accuracy: dict[Point, pd.Series[float]] = {}
    left_out = []
    for group in groups(searches[searches["accuracy"].notna()], ("space", "cells")):
        first = group.iloc[0]
        space, cells = str(first["space"]), int(first["cells"])
        hashes = sorted(set(group["protocol_hash"]))
        if len(hashes) > 1 or group["seed"].duplicated().any():
            left_out.append(
                f"Left out: {space} at {cells} cells, of which {first['source']} holds "
                f"searches by several settings ({' and '.join(hashes)}); one is compared, "
                "so run each as a sweep of its own."
            )
        else:
            accuracy[space, cells] = group.set_index("seed")["accuracy"]
    return accuracy, left_out

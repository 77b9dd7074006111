"""Figure 2 of the paper: what it claims of sub-spaces and depths, tested on our searches.

A contrast is a weighted sum of the accuracies that searches of one seed reached in several
spaces and at several numbers of cells, so that whatever a seed has in common cancels. A claim is
one or more contrasts that must all be positive:

- supported: the 95% t interval of every contrast, over search seeds, lies wholly above zero. All
  must hold at once, so no correction is needed (an intersection of tests).
- contradicted: at least one contrast is below zero with p < 5% after Holm's correction over the
  contrasts of the claim. With a single contrast: its interval lies wholly below zero.
- undecided: anything else, also where a contrast has no rows or a single seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations, product
from typing import TYPE_CHECKING, Final

import numpy as np

from nas_core.cells.spaces import LEARNABLE, SPACES
from topo_sweep.analysis.accuracy import Estimate, estimate
from topo_sweep.paper.differences import described
from topo_sweep.paper.evidence import Evaluated, Evidence, groups
from topo_sweep.paper.published import printed, rows_of
from topo_sweep.paper.records import ComparedTable, Entry, entry

if TYPE_CHECKING:
    import pandas as pd

DEPTHS: Final = (5, 16)
"""Cells of the search network at which the paper has all spaces."""

SHORT: Final[Mapping[str, str]] = dict(
    zip(LEARNABLE, ("sep3", "sep5", "dil3", "dil5"), strict=True)
)

CONVOLUTIONS: Final[Mapping[str, frozenset[str]]] = {
    space: frozenset(SHORT[name] for name in operations if name in SHORT)
    for space, operations in SPACES.items()
}
"""The learnable operations of each space, in short."""

LEVEL: Final = 0.05

_HOW_TO_READ: Final = (
    "Claims: percentage points, paired by search seed, mean over depths where none is named; the "
    "paper claims that each is above 0. Supported: every interval is above 0. Contradicted: one "
    "is below 0 after Holm's correction within the claim. Undecided: else, which is no evidence "
    "of equality. Verdicts are on our setting. The paper's own means are in a picture, not printed."
)

_FIGURE: Final = ("source", "method", "attention", "pooling")
"""Searches that differ in one of these are in figures of their own."""

Point = tuple[str, int]
"""A space and the number of cells of the search network."""

Accuracy = Mapping[Point, "pd.Series[float]"]
"""Test accuracy in percent at each point, by search seed."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Accuracies to be added, each with its weight; a claim says that the sum is positive."""

    label: str
    weights: Mapping[Point, float]

    def seeds(self, accuracy: Accuracy) -> list[float]:
        """Return the sum of each seed that has every term; none where a point has no rows."""
        if not set(self.weights) <= set(accuracy):
            return []
        terms = [accuracy[point] * weight for point, weight in self.weights.items()]
        total: pd.Series[float] = sum(terms[1:], start=terms[0])
        # Equal accuracies leave a rounding error, which must not pass for an effect.
        return [round(points, 9) for points in total.dropna()]


def replacements() -> list[tuple[str, str, str, str]]:
    """Return space, space, operation, operation: the second is the first with one exchanged."""
    exchanges = []
    for first, second in permutations(CONVOLUTIONS, 2):
        gone = CONVOLUTIONS[first] - CONVOLUTIONS[second]
        new = CONVOLUTIONS[second] - CONVOLUTIONS[first]
        if len(gone) == len(new) == 1:
            exchanges.append((first, second, next(iter(gone)), next(iter(new))))
    return exchanges


def best_and_worst(depths: Sequence[int]) -> list[Contrast]:
    """Claim 1: SS3 is best on average, SS4 worst.

    SS3 minus each other space and each other space minus SS4, every one the mean over depths:
    13 contrasts.
    """
    others = [space for space in CONVOLUTIONS if space not in {"SS3", "SS4"}]
    above = [("SS3", space) for space in (*others, "SS4")]
    below = [(space, "SS4") for space in others]
    return [_difference([pair], depths) for pair in (*above, *below)]


def deeper_is_better(_: Sequence[int]) -> list[Contrast]:
    """Claim 2: searching at 16 cells is marginally better than at 5, SS3 excepted.

    Two contrasts: the mean over the seven other spaces of (16 cells minus 5), and that mean minus
    the same difference in SS3. How small 'marginally' is can be read, and is not tested.
    """
    shallow, deep = DEPTHS
    others = [space for space in CONVOLUTIONS if space != "SS3"]
    gain = {(space, deep): 1 / len(others) for space in others}
    gain |= {(space, shallow): -1 / len(others) for space in others}
    return [
        Contrast(label=f"{deep} - {shallow} cells, mean of all but SS3", weights=gain),
        Contrast(
            label="that - the same in SS3",
            weights=gain | {("SS3", deep): -1.0, ("SS3", shallow): 1.0},
        ),
    ]


def dilation_hurts(depths: Sequence[int]) -> list[Contrast]:
    """Claim 3: replacing a separable by a dilated convolution always hurts.

    Each pair of spaces that differ by just such a replacement, mean over depths: 8 contrasts.
    """
    return [
        _difference([(first, second)], depths, f" ({gone} -> {new})")
        for first, second, gone, new in replacements()
        if gone.startswith("sep") and new.startswith("dil")
    ]


def order_of_operations(depths: Sequence[int]) -> list[Contrast]:
    """Claim 4: sep3x3 > sep5x5 > dil3x3 > dil5x5.

    A contrast for each sign: the mean, over depths and over all pairs of spaces that differ by
    having the left instead of the right operation, of the difference.
    """
    return [
        _difference(
            [(first, second) for first, second, *pair in replacements() if pair == [left, right]],
            depths,
            f" ({left} > {right})",
        )
        for left, right in pairwise(SHORT.values())
    ]


CLAIMS: Final = (best_and_worst, deeper_is_better, dilation_hurts, order_of_operations)
"""In the order of the paper's claims 1 to 4."""


def _difference(
    pairs: Sequence[tuple[str, str]], depths: Sequence[int], reason: str = ""
) -> Contrast:
    """Return the mean over pairs and depths of first minus second space."""
    share = 1 / (len(pairs) * len(depths))
    weights: defaultdict[Point, float] = defaultdict(float)
    for (first, second), cells in product(pairs, depths):
        weights[first, cells] += share
        weights[second, cells] -= share
    label = ", ".join(f"{first} - {second}" for first, second in pairs)
    return Contrast(label=f"{label}{reason}", weights=weights)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number after Holm (1979), in the order given."""
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    multiplied = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(multiplied), 1.0)
    return [float(value) for value in adjusted]


def verdict(contrasts: Sequence[Estimate | None]) -> str:
    """Return 'supported', 'contradicted' or 'undecided'; see the module's docstring."""
    known = [ours for ours in contrasts if ours is not None and ours.p_value is not None]
    if len(known) == len(contrasts) and all((ours.low or 0) > 0 for ours in known):
        return "supported"
    adjusted = holm([ours.p_value for ours in known if ours.p_value is not None])
    below = (ours.mean < 0 and p < LEVEL for ours, p in zip(known, adjusted, strict=True))
    return "contradicted" if any(below) else "undecided"


def figure_2(evidence: Evidence) -> list[ComparedTable]:
    """Compare spaces and depths and test the four claims; one sweep, method and attention a time.

    Where searches at a point still differ in another setting, the point is left out.
    """
    searches = evidence.searches
    grid = searches[
        searches["space"].isin(CONVOLUTIONS)
        & searches["cells"].isin(DEPTHS)
        & searches["topology"].isna()
    ]
    spaces = grid.groupby(list(_FIGURE), dropna=False)["space"].transform("nunique")
    figures = evidence.evaluated(grid[spaces > 1], _FIGURE)
    return [_figure_2(evidence, ours) for ours in figures if len(ours.counted)]


def _figure_2(evidence: Evidence, ours: Evaluated) -> ComparedTable:
    setting, differs = described(
        evidence, ours.searches, ours.counted, free=("cells", "operations")
    )
    accuracy, left_out = _by_seed(ours.searches)
    notes = list(ours.search_notes)
    depths = [depth for depth in DEPTHS if any(cells == depth for _, cells in accuracy)]
    if len(depths) == 1:
        notes.append(f"All is at {depths[0]} cells alone: claim 2 has no rows.")
    entries = [
        entry(
            f"test accuracy of the cells found at {cells} cells, %",
            f"{space} ({' '.join(name for name in SHORT.values() if name in operations)})",
            estimate(accuracy[space, cells]),
        )
        for cells in depths
        for space, operations in CONVOLUTIONS.items()
        if (space, cells) in accuracy
    ]
    for row, claim in zip(rows_of("fig2"), CLAIMS, strict=True):
        text = printed("fig2", row, "claim").value
        entries += _claim_entries(text, claim(depths or DEPTHS), accuracy)
    return ComparedTable(
        table="fig2",
        title="Figure 2: sub-spaces and depths, and what the paper claims of them",
        setting=f"{setting}; spaces with {ours.searches['pooling'].iloc[0]} pooling; "
        "n counts search seeds, whose evaluations are averaged",
        differs=differs,
        entries=tuple(entries),
        notes=(*notes, *ours.trial_notes, *left_out, _HOW_TO_READ),
    )


def _by_seed(searches: pd.DataFrame) -> tuple[Accuracy, list[str]]:
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
                f"searches by several settings ({' and '.join(hashes)}); figure 2 compares one, "
                "so run each as a sweep of its own."
            )
        else:
            accuracy[space, cells] = group.set_index("seed")["accuracy"]
    return accuracy, left_out


def _claim_entries(
    claim: str, contrasts: Sequence[Contrast], accuracy: Accuracy
) -> Iterator[Entry]:
    estimates = [estimate(contrast.seeds(accuracy)) for contrast in contrasts]
    said = verdict(estimates)
    for contrast, ours in zip(contrasts, estimates, strict=True):
        yield entry(claim, contrast.label, ours, theirs="> 0", verdict=said, note=_reading(ours))


def _reading(ours: Estimate | None) -> str:
    if ours is None:
        return "no rows"
    if ours.low is None or ours.high is None:
        return "one seed: no interval"
    return "above 0" if ours.low > 0 else "below 0" if ours.high < 0 else ""

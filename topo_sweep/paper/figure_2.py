"""Figure 2 of the paper: what it claims of sub-spaces and depths, tested on our searches.

Here is which contrasts each claim means; when one is decided is in `claims.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise, permutations, product
from typing import Final

from nas_core.cells.spaces import LEARNABLE, SPACES
from topo_sweep.analysis.accuracy import PERCENT, estimate
from topo_sweep.paper.claims import HOW_TO_READ, Contrast, Point, by_seed, claim_entries
from topo_sweep.paper.differences import described
from topo_sweep.paper.evidence import Evaluated, Evidence
from topo_sweep.paper.published import printed, rows_of
from topo_sweep.paper.records import ComparedTable, entry

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

_HOW_TO_READ: Final = (
    f"{HOW_TO_READ} Contrasts are means over depths where none is named. The paper's own means are "
    "in a picture, not printed."
)

_TWO_READINGS: Final = (
    "Claim 2 excepts SS3, which has two readings: depth gains more there than elsewhere, so not "
    "only marginally; or it gains less, or nothing. So the difference of the gains is reported "
    "with its sign and not judged."
)

_FIGURE: Final = ("source", "method", "attention", "pooling")
"""Searches that differ in one of these are in figures of their own."""


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

    The mean over the seven other spaces of (16 cells minus 5). How small 'marginally' is can be
    read, and is not tested. Beside it, not judged, the gain in SS3 minus that mean: the paper may
    mean that depth gains more in SS3, or less.
    """
    shallow, deep = DEPTHS
    others = [space for space in CONVOLUTIONS if space != "SS3"]
    gain = {(space, deep): 1 / len(others) for space in others}
    gain |= {(space, shallow): -1 / len(others) for space in others}
    more = {point: -weight for point, weight in gain.items()}
    return [
        Contrast(label=f"{deep} - {shallow} cells, mean of all but SS3", weights=gain),
        Contrast(
            label="the same in SS3 - that",
            weights=more | {("SS3", deep): 1.0, ("SS3", shallow): -1.0},
            judged=False,
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
    accuracy, left_out = by_seed(ours.searches)
    notes = list(ours.search_notes)
    depths = [depth for depth in DEPTHS if any(cells == depth for _, cells in accuracy)]
    if len(depths) == 1:
        notes.append(f"All is at {depths[0]} cells alone: claim 2 has no rows.")
    entries = [
        entry(
            f"test accuracy of the cells found at {cells} cells, %",
            f"{space} ({' '.join(name for name in SHORT.values() if name in operations)})",
            estimate(accuracy[space, cells], within=PERCENT),
        )
        for cells in depths
        for space, operations in CONVOLUTIONS.items()
        if (space, cells) in accuracy
    ]
    for row, claim in zip(rows_of("fig2"), CLAIMS, strict=True):
        text = printed("fig2", row, "claim").value
        entries += claim_entries(text, claim(depths or DEPTHS), accuracy)
    return ComparedTable(
        table="fig2",
        title="Figure 2: sub-spaces and depths, and what the paper claims of them",
        setting=f"{setting}; spaces with {ours.searches['pooling'].iloc[0]} pooling; "
        "n counts search seeds, whose evaluations are averaged",
        differs=differs,
        entries=tuple(entries),
        notes=(*notes, *ours.trial_notes, *left_out, _TWO_READINGS, _HOW_TO_READ),
    )

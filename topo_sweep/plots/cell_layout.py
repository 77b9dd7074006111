"""Places for the parts of a cell: a layered layout of a small directed acyclic graph.

Layers go from left to right. A link that passes layers has a height of its own in each of them, so
no link runs through a part and no two parts overlap. Nothing is drawn here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import accumulate, combinations, pairwise
from typing import Final, NamedTuple

Key = Hashable
Link = tuple[Key, Key]

_SWEEPS: Final = 24
_STRAIGHTENINGS: Final = 300
_THROUGH_WEIGHT: Final = 40.0  # how much straighter an edge is between two layers that it passes

_Columns = Sequence[Sequence[Key]]
"""The parts of each layer and the links that pass it, the highest first."""

_Beside = Mapping[Key, Sequence[Key]]
"""Of each part and each `_Through` what is linked with it in the layer before or after its own."""


class _Through(NamedTuple):
    """Where a link passes a layer: it has a height of its own there."""

    link: Link
    layer: int


def layered(
    layers: Mapping[Key, int],
    links: Sequence[Link],
    heights: Mapping[Key, float],
    *,
    through: float,
    gap: float,
) -> tuple[dict[Key, float], dict[Link, tuple[float, ...]]]:
    """Lay out a cell with few crossings and straight links; equal input gives equal output.

    Args:
        layers: of each part its layer, 0, 1, ...; its order breaks ties, the first on top. Links
            lead to all parts but those of the first layer, from all but those of the last.
        links: from a part to one in a later layer.
        heights: of each part.
        through: height that a link takes where it passes a layer.
        gap: least distance between neighbours in a layer.

    Returns:
        Of each part the height of its centre, and of each link its height in every layer from its
        source's to its target's, in the unit of the sizes; larger is higher.

    """
    columns: list[list[Key]] = [[] for _ in range(max(layers.values()) + 1)]
    for part, layer in layers.items():
        columns[layer].append(part)
    routes: dict[Link, list[Key]] = {}
    before, after = defaultdict(list), defaultdict(list)
    for link in links:
        source, target = link
        passed = [_Through(link, layer) for layer in range(layers[source] + 1, layers[target])]
        for passing in passed:
            columns[passing.layer].append(passing)
        routes[link] = [source, *passed, target]
        for left, right in pairwise(routes[link]):
            after[left].append(right)
            before[right].append(left)
    columns = _ordered(columns, before, after)
    sizes = {key: heights.get(key, through) for column in columns for key in column}
    y = _straightened(columns, {key: before[key] + after[key] for key in sizes}, sizes, gap)
    return (
        {part: y[part] for part in layers},
        {link: tuple(y[key] for key in route) for link, route in routes.items()},
    )


# The order in each layer


def _ordered(columns: _Columns, before: _Beside, after: _Beside) -> list[list[Key]]:
    """Return the layers in an order with few crossings: barycentres, then swaps of neighbours."""
    order = [list(column) for column in columns]
    best, fewest = order, _crossings(order, after)
    for sweep in range(_SWEEPS):
        order = [list(column) for column in order]
        forward = sweep % 2 == 0
        beside = before if forward else after
        for fixed, column in pairwise(order if forward else reversed(order)):
            column.sort(key=lambda key: _mean([fixed.index(other) for other in beside[key]]))
        _swap(order, before, after)
        if (count := _crossings(order, after)) < fewest:
            best, fewest = order, count
    return best


def _swap(order: Sequence[list[Key]], before: _Beside, after: _Beside) -> None:
    """Swap neighbours in a layer as long as that takes crossings away."""
    ranks = _ranks(order)
    better = True
    while better:
        better = False
        for column in order:
            for rank, (upper, lower) in enumerate(pairwise(list(column))):
                if column[rank] is not upper or column[rank + 1] is not lower:
                    continue
                now = sum(_crossed(upper, lower, beside, ranks) for beside in (before, after))
                then = sum(_crossed(lower, upper, beside, ranks) for beside in (before, after))
                if then < now:
                    column[rank], column[rank + 1] = lower, upper
                    ranks[upper], ranks[lower] = rank + 1, rank
                    better = True


def _crossings(order: _Columns, after: _Beside) -> int:
    ranks = _ranks(order)
    neighbours = (pair for column in order for pair in combinations(column, 2))
    return sum(_crossed(upper, lower, after, ranks) for upper, lower in neighbours)


def _ranks(order: _Columns) -> dict[Key, int]:
    return {key: rank for column in order for rank, key in enumerate(column)}


def _crossed(upper: Key, lower: Key, beside: _Beside, ranks: Mapping[Key, int]) -> int:
    """Count the crossings of the links of two in a layer with one of the layers beside it."""
    return sum(ranks[one] > ranks[other] for one in beside[upper] for other in beside[lower])


# The heights


def _straightened(
    columns: _Columns, beside: _Beside, sizes: Mapping[Key, float], gap: float
) -> dict[Key, float]:
    """Return heights that keep the order and the distances and make links straight."""
    spaced = []
    y: dict[Key, float] = {}
    for column in columns:
        distances = [(sizes[upper] + sizes[lower]) / 2 + gap for upper, lower in pairwise(column)]
        depths = list(accumulate(distances, initial=0.0))  # below the first, at least
        spaced.append((column, depths))
        y |= {key: depths[-1] / 2 - depth for key, depth in zip(column, depths, strict=True)}
    for turn in range(_STRAIGHTENINGS):
        for column, depths in spaced if turn % 2 == 0 else reversed(spaced):
            wanted = [_wanted(key, beside[key], y) for key in column]
            y.update(zip(column, _apart(wanted, depths), strict=True))
    return y


def _wanted(key: Key, beside: Sequence[Key], y: Mapping[Key, float]) -> float:
    """Return the weighted mean height of what this is linked with."""
    inside = isinstance(key, _Through)
    weights = [_THROUGH_WEIGHT if inside and isinstance(o, _Through) else 1.0 for o in beside]
    return sum(w * y[other] for w, other in zip(weights, beside, strict=True)) / sum(weights)


def _apart(wanted: Sequence[float], depths: Sequence[float]) -> list[float]:
    """Return the descending heights nearest to those wanted (least squares) that keep distances.

    Without the distances the heights only have to descend: pooling of adjacent violators.
    """
    blocks: list[list[float]] = []
    for height, depth in zip(wanted, depths, strict=True):
        blocks.append([height + depth])
        while len(blocks) > 1 and _mean(blocks[-1]) > _mean(blocks[-2]):
            last = blocks.pop()
            blocks[-1] += last
    levels = [_mean(block) for block in blocks for _ in block]
    return [level - depth for level, depth in zip(levels, depths, strict=True)]


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)

"""Places for the parts of a cell: a layered layout of a small directed acyclic graph.

Layers go from left to right. A link that passes layers has a height of its own in each of them, so
no link runs through a part and no two parts overlap. Nothing is drawn here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, combinations, pairwise
from typing import Final

Key = Hashable
Link = tuple[Key, Key]

_SWEEPS: Final = 24
_STRAIGHTENINGS: Final = 300
_THROUGH_WEIGHT: Final = 40.0  # how much straighter an edge is between two layers that it passes


@dataclass(frozen=True)
class Layout:
    """Heights of everything, in the unit of the sizes that were given; larger is higher.

    Args:
        y: of each part its centre.
        routes: of each link its height in every layer from its source's to its target's.

    """

    y: Mapping[Key, float]
    routes: Mapping[Link, tuple[float, ...]]


@dataclass(frozen=True)
class _Through:
    """Where a link passes a layer: it has a height of its own there."""

    link: Link
    layer: int


@dataclass(frozen=True)
class _Neighbours:
    """Of each part and each `_Through` what is linked with it in the layers beside its own."""

    before: Mapping[Key, Sequence[Key]]
    after: Mapping[Key, Sequence[Key]]

    @classmethod
    def of(cls, steps: Iterable[Link]) -> _Neighbours:
        before, after = defaultdict(list), defaultdict(list)
        for source, target in steps:
            after[source].append(target)
            before[target].append(source)
        return cls(before, after)


def layered(
    layers: Mapping[Key, int],
    links: Sequence[Link],
    heights: Mapping[Key, float],
    *,
    through: float,
    gap: float,
) -> Layout:
    """Return a layout with few crossings and straight links; equal input gives equal output.

    Args:
        layers: of each part its layer, 0, 1, ...; its order breaks ties, the first on top.
        links: from a part to one in a later layer.
        heights: of each part.
        through: height that a link takes where it passes a layer.
        gap: least distance between neighbours in a layer.

    """
    passed = {
        link: [_Through(link, layer) for layer in range(layers[link[0]] + 1, layers[link[1]])]
        for link in links
    }
    chains = {link: (link[0], *between, link[1]) for link, between in passed.items()}
    columns: list[list[Key]] = [[] for _ in range(max(layers.values()) + 1)]
    for part, layer in layers.items():
        columns[layer].append(part)
    sizes = dict(heights)
    for passing in chain.from_iterable(passed.values()):
        columns[passing.layer].append(passing)
        sizes[passing] = through
    neighbours = _Neighbours.of(chain.from_iterable(map(pairwise, chains.values())))
    y = _straightened(_ordered(columns, neighbours), neighbours, sizes, gap)
    return Layout(
        y={part: y[part] for part in layers},
        routes={link: tuple(y[key] for key in keys) for link, keys in chains.items()},
    )


# The order in each layer


def _ordered(columns: Sequence[Sequence[Key]], neighbours: _Neighbours) -> list[list[Key]]:
    """Return the layers in an order with few crossings: barycentres, then swaps of neighbours."""
    order = [list(column) for column in columns]
    best, fewest = order, _crossings(order, neighbours)
    for sweep in range(_SWEEPS):
        order = [list(column) for column in order]
        if sweep % 2 == 0:
            for fixed, column in pairwise(order):
                _sort_by_barycentre(column, fixed, neighbours.before)
        else:
            for fixed, column in pairwise(reversed(order)):
                _sort_by_barycentre(column, fixed, neighbours.after)
        _swap(order, neighbours)
        if (count := _crossings(order, neighbours)) < fewest:
            best, fewest = order, count
    return best


def _sort_by_barycentre(
    column: list[Key], fixed: Sequence[Key], beside: Mapping[Key, Sequence[Key]]
) -> None:
    """Sort a layer by the mean rank of what each is linked with in the fixed layer beside it."""
    centres = {}
    for rank, key in enumerate(column):
        ranks = [fixed.index(other) for other in beside[key]]
        centres[key] = sum(ranks) / len(ranks) if ranks else float(rank)
    column.sort(key=centres.__getitem__)


def _swap(order: Sequence[list[Key]], neighbours: _Neighbours) -> None:
    """Swap neighbours in a layer as long as that takes crossings away."""
    ranks = {key: rank for column in order for rank, key in enumerate(column)}
    better = True
    while better:
        better = False
        for column in order:
            for rank, (upper, lower) in enumerate(pairwise(list(column))):
                if column[rank] is not upper or column[rank + 1] is not lower:
                    continue
                now, then = 0, 0
                for beside in (neighbours.before, neighbours.after):
                    above = [ranks[key] for key in beside[upper]]
                    below = [ranks[key] for key in beside[lower]]
                    now += _crossed(above, below)
                    then += _crossed(below, above)
                if then < now:
                    column[rank], column[rank + 1] = lower, upper
                    ranks[upper], ranks[lower] = rank + 1, rank
                    better = True


def _crossings(order: Sequence[Sequence[Key]], neighbours: _Neighbours) -> int:
    count = 0
    for column, following in pairwise(order):
        ends = [[following.index(other) for other in neighbours.after[key]] for key in column]
        count += sum(_crossed(upper, lower) for upper, lower in combinations(ends, 2))
    return count


def _crossed(upper: Sequence[int], lower: Sequence[int]) -> int:
    """Count the crossings of links that end at these ranks, where one part is above another."""
    return sum(one > other for one in upper for other in lower)


# The heights


def _straightened(
    columns: Sequence[Sequence[Key]],
    neighbours: _Neighbours,
    sizes: Mapping[Key, float],
    gap: float,
) -> dict[Key, float]:
    """Return heights that keep the order and the distances and make links straight."""
    distances = [
        [(sizes[upper] + sizes[lower]) / 2 + gap for upper, lower in pairwise(column)]
        for column in columns
    ]
    spaced = list(zip(columns, distances, strict=True))
    y: dict[Key, float] = {}
    for column, least in spaced:
        for key, depth in zip(column, _depths(least), strict=True):
            y[key] = sum(least) / 2 - depth
    for turn in range(_STRAIGHTENINGS):
        for column, least in spaced if turn % 2 == 0 else reversed(spaced):
            wanted = [_wanted(key, y, neighbours) for key in column]
            y.update(zip(column, _apart(wanted, least), strict=True))
    return y


def _depths(distances: Sequence[float]) -> list[float]:
    """Return how far below the first each in a layer is at least."""
    return list(accumulate(distances, initial=0.0))


def _wanted(key: Key, y: Mapping[Key, float], neighbours: _Neighbours) -> float:
    """Return the weighted mean height of what this is linked with, else its present height."""
    others = [*neighbours.before[key], *neighbours.after[key]]
    if not others:
        return y[key]
    inside = isinstance(key, _Through)
    weights = [_THROUGH_WEIGHT if inside and isinstance(o, _Through) else 1.0 for o in others]
    return sum(w * y[other] for w, other in zip(weights, others, strict=True)) / sum(weights)


def _apart(wanted: Sequence[float], distances: Sequence[float]) -> list[float]:
    """Return the descending heights nearest to those wanted (least squares) that keep distances.

    Without the distances the heights only have to descend: pooling of adjacent violators.
    """
    depths = _depths(distances)
    blocks: list[list[float]] = []
    for height, depth in zip(wanted, depths, strict=True):
        blocks.append([height + depth])
        while len(blocks) > 1 and _mean(blocks[-1]) > _mean(blocks[-2]):
            last = blocks.pop()
            blocks[-1] += last
    levels = [_mean(block) for block in blocks for _ in block]
    return [level - depth for level, depth in zip(levels, depths, strict=True)]


def _mean(heights: Sequence[float]) -> float:
    return sum(heights) / len(heights)

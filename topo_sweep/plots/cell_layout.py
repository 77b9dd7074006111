"""Places for the parts of a cell: a layered layout of a small directed acyclic graph.

Layers go from left to right. An edge that passes layers has a place of its own in each of them,
so no edge runs through a part and no two parts overlap. Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

Key = Hashable
Link = tuple[Key, Key]

_SWEEPS: Final = 24
_STRAIGHTENINGS: Final = 300
_THROUGH_WEIGHT: Final = 40.0  # how much straighter an edge is between two places of its own


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
    """The place of a link in a layer that it passes."""

    link: Link
    layer: int


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
    chains = {link: _chain(link, layers) for link in links}
    sizes = dict(heights) | {place: through for chain in chains.values() for place in chain[1:-1]}
    columns: list[list[Key]] = [[] for _ in range(max(layers.values()) + 1)]
    for part, layer in layers.items():
        columns[layer].append(part)
    for chain in chains.values():
        for place in chain[1:-1]:
            columns[_layer(place, layers)].append(place)
    steps = [step for chain in chains.values() for step in pairwise(chain)]
    columns = _ordered(columns, steps)
    y = _straightened(columns, steps, sizes, gap)
    return Layout(
        y={part: y[part] for part in layers},
        routes={link: tuple(y[place] for place in chain) for link, chain in chains.items()},
    )


def _layer(place: Key, layers: Mapping[Key, int]) -> int:
    return place.layer if isinstance(place, _Through) else layers[place]


def _chain(link: Link, layers: Mapping[Key, int]) -> tuple[Key, ...]:
    source, target = link
    between = range(layers[source] + 1, layers[target])
    return (source, *(_Through(link, layer) for layer in between), target)


def _neighbours(steps: Sequence[Link]) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
    before: dict[Key, list[Key]] = {}
    after: dict[Key, list[Key]] = {}
    for source, target in steps:
        after.setdefault(source, []).append(target)
        before.setdefault(target, []).append(source)
    return before, after


def _ordered(columns: Sequence[Sequence[Key]], steps: Sequence[Link]) -> list[list[Key]]:
    """Return the layers in an order with few crossings: barycentres, then swaps of neighbours."""
    before, after = _neighbours(steps)
    order = [list(column) for column in columns]
    best, fewest = order, _crossings(order, after)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        beside = before if forward else after
        order = [list(column) for column in order]
        for layer in range(len(order)) if forward else reversed(range(len(order))):
            other = layer - 1 if forward else layer + 1
            if 0 <= other < len(order):
                place = {key: i for i, key in enumerate(order[other])}
                _sort_by_barycentre(order[layer], place, beside)
        _swap(order, before, after)
        if (count := _crossings(order, after)) < fewest:
            best, fewest = order, count
    return best


def _sort_by_barycentre(
    column: list[Key], place: Mapping[Key, int], beside: Mapping[Key, Sequence[Key]]
) -> None:
    centre = {}
    for i, key in enumerate(column):
        places = [place[other] for other in beside.get(key, ())]
        centre[key] = sum(places) / len(places) if places else float(i)
    column.sort(key=centre.__getitem__)


def _swap(
    order: Sequence[list[Key]],
    before: Mapping[Key, Sequence[Key]],
    after: Mapping[Key, Sequence[Key]],
) -> None:
    """Swap neighbours in a layer as long as that takes crossings away."""
    places = {key: i for column in order for i, key in enumerate(column)}
    better = True
    while better:
        better = False
        for column in order:
            for i, (upper, lower) in enumerate(pairwise(list(column))):
                if column[i] is not upper or column[i + 1] is not lower:
                    continue
                now, then = 0, 0
                for beside in (before, after):
                    above = [places[key] for key in beside.get(upper, ())]
                    below = [places[key] for key in beside.get(lower, ())]
                    now += sum(a > b for a in above for b in below)
                    then += sum(a < b for a in above for b in below)
                if then < now:
                    column[i], column[i + 1] = lower, upper
                    places[upper], places[lower] = i + 1, i
                    better = True


def _crossings(order: Sequence[Sequence[Key]], after: Mapping[Key, Sequence[Key]]) -> int:
    count = 0
    for column, following in pairwise(order):
        place = {key: i for i, key in enumerate(following)}
        ends = [[place[other] for other in after.get(key, ())] for key in column]
        count += sum(
            one > other
            for upper, lower in combinations(ends, 2)
            for one in upper
            for other in lower
        )
    return count


def _straightened(
    columns: Sequence[Sequence[Key]],
    steps: Sequence[Link],
    sizes: Mapping[Key, float],
    gap: float,
) -> dict[Key, float]:
    """Return heights that keep the order and the distances and make links straight."""
    before, after = _neighbours(steps)
    y: dict[Key, float] = {}
    for column in columns:
        total = sum(_distances(column, sizes, gap))
        for key, depth in zip(column, _running(_distances(column, sizes, gap)), strict=True):
            y[key] = total / 2 - depth
    for turn in range(_STRAIGHTENINGS):
        for column in columns if turn % 2 == 0 else reversed(columns):
            wanted = [_wanted(key, y, before, after) for key in column]
            y.update(zip(column, _apart(wanted, _distances(column, sizes, gap)), strict=True))
    return y


def _distances(column: Sequence[Key], sizes: Mapping[Key, float], gap: float) -> list[float]:
    """Return the least distances between the centres of neighbours."""
    return [(sizes[a] + sizes[b]) / 2 + gap for a, b in pairwise(column)]


def _running(distances: Sequence[float]) -> Iterator[float]:
    depth = 0.0
    yield depth
    for distance in distances:
        depth += distance
        yield depth


def _wanted(
    key: Key,
    y: Mapping[Key, float],
    before: Mapping[Key, Sequence[Key]],
    after: Mapping[Key, Sequence[Key]],
) -> float:
    """Return the weighted mean height of what a part or place is linked with."""
    others = [*before.get(key, ()), *after.get(key, ())]
    weights = [
        _THROUGH_WEIGHT if isinstance(key, _Through) and isinstance(other, _Through) else 1.0
        for other in others
    ]
    if not others:
        return y[key]
    return sum(w * y[other] for w, other in zip(weights, others, strict=True)) / sum(weights)


def _apart(wanted: Sequence[float], distances: Sequence[float]) -> list[float]:
    """Return the descending heights nearest to those wanted (least squares) that keep distances.

    Without the distances the heights only have to descend: pooling of adjacent violators.
    """
    depths = list(_running(distances))
    blocks: list[list[float]] = []
    for height, depth in zip(wanted, depths, strict=True):
        blocks.append([height + depth])
        while len(blocks) > 1 and _mean(blocks[-1]) > _mean(blocks[-2]):
            last = blocks.pop()
            blocks[-1] += last
    levels = [_mean(block) for block in blocks for _ in block]
    return [level - depth for level, depth in zip(levels, depths, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

"""Which trainings, and which searches, a worker takes together, as one network."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard, TypeVar

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.protocols.training import stable_hash
from topo_sweep.spec.trials import Evaluation, Planned, Runnable, SearchTrial, Trial

_MIXED: Final = 1.1
"""How much longer a pack takes whose members see other images: measured on digits, about."""
_SLACK: Final = 20
"""A pack may be smaller or larger by this part of it, so as not to tear a class apart."""


@dataclass(frozen=True)
class Pack:
    """Trainings of one protocol whose networks have one shape, or searches that differ in seed."""

    members: tuple[Runnable, ...]

    @property
    def pack_id(self) -> str:
        """Sixteen hexadecimal digits that name its members."""
        return pack_id(self.trial_ids)

    @property
    def trial_ids(self) -> tuple[str, ...]:
        """Ids of its members, in order."""
        return tuple(trial.trial_id for trial in self.members)

    @property
    def halves(self) -> tuple[Pack, Pack]:
        """Its members as two packs, of which the first is smaller by one where they are odd."""
        middle = len(self.members) // 2
        return Pack(self.members[:middle]), Pack(self.members[middle:])


@dataclass(frozen=True)
class WaitingPack:
    """Evaluations of one search, which has not ended yet."""

    members: tuple[Evaluation, ...]

    @property
    def waits_for(self) -> str:
        """The id of the search."""
        return self.members[0].waits_for

    def of(self, genotype: Genotype) -> list[Trial | Pack]:
        """Return the trainings of what the search found: one pack, unless it has a none."""
        trials = [evaluation.of(genotype) for evaluation in self.members]
        return [Pack(tuple(trials))] if _fits(trials[0]) else list(trials)


def pack_id(trial_ids: Iterable[str]) -> str:
    """Return sixteen hexadecimal digits that name the pack of these trials."""
    return stable_hash("pack", *trial_ids)


def key_of(trial: Runnable | Pack) -> str:
    """Return the id of a trial or of a pack."""
    return trial.pack_id if isinstance(trial, Pack) else trial.trial_id


def members_of(unit: Planned | Pack | WaitingPack) -> Sequence[Planned]:
    """Return the trials of a pack, or the one that goes alone."""
    return unit.members if isinstance(unit, Pack | WaitingPack) else (unit,)


def cell_of(trial: Trial | Evaluation) -> Genotype:
    """Return the cell of a training; where it is still to be found, a known one stands for it.

    Any cell of a search has four nodes; what else of it matters beforehand, the protocol says.
    """
    return trial.genotype if isinstance(trial, Trial) else KNOWN_CELLS["DARTS_V2"]


Packs = tuple[tuple[str, ...], ...]
"""Ids of the trials of each pack, as `sweep.json` has them."""


def begun_packs(packs: Packs, left: Mapping[str, Planned], saved: Collection[str]) -> Packs:
    """Return the packs of which something was done.

    Args:
        packs: that were planned.
        left: what has no row yet.
        saved: the ids of what has a checkpoint.

    """
    return tuple(
        pack for pack in packs if pack_id(pack) in saved or any(key not in left for key in pack)
    )


def _guessed_seconds(size: int) -> float:
    """Return what a pack takes, in trainings, where that is not measured.

    Three more than it has, which fits what docs/performance.md has of small networks.
    """
    return size + 3.0


def planned_packs(
    left: Mapping[str, Planned],
    trials: Mapping[str, Planned],
    known: Packs,
    size: int | None,
    *,
    workers: int = 1,
    seconds: Callable[[int], float] | None = None,
    searches: bool = False,
    saved: Collection[str] = (),
) -> Packs:
    """Return the packs of a run: those that were planned before and have work left, then new ones.

    A pack that was begun is run whole again, with the members that have ended: what they compute
    depends, in the last digits, on who is beside them. Larger packs than are asked for are planned
    anew, unless a checkpoint of theirs is there.

    Args:
        left: what has no row yet.
        trials: all of the request, in running order.
        known: packs that were planned before and stay.
        size: trainings that go together at most; None trains what is new by the network of one.
        workers: that train at the same time and should finish together.
        seconds: of a pack by its size, in any unit; by default a guess.
        searches: whether searches that differ in seed go together too.
        saved: the ids of what has a checkpoint. What was begun alone joins no new pack, where it
            would start over.

    """
    kept = [
        pack
        for pack in known
        if (len(pack) <= (size or 0) or pack_id(pack) in saved)
        and trials.keys() >= set(pack)
        and not left.keys().isdisjoint(pack)
    ]
    if size is None:
        return tuple(kept)
    taken = {key for pack in kept for key in pack}
    rest = {key: trial for key, trial in left.items() if key not in taken and key not in saved}
    new = _new_packs(packable(rest), size, workers, seconds or _guessed_seconds)
    if searches:
        # In stages, each seed comes to operations of its own, and so to another network.
        of_one_stage = [
            trial
            for trial in rest.values()
            if isinstance(trial, SearchTrial) and not trial.protocol.stages
        ]
        cut = _cut_for(_grouped(of_one_stage, fitting), size, workers, _guessed_seconds)
        new += [tuple(trial.trial_id for trial in pack) for pack in cut if len(pack) > 1]
    return (*kept, *new)


def packable(trials: Mapping[str, Planned]) -> list[Trial | Evaluation]:
    """Return the trainings that may go together with others."""
    return [trial for trial in trials.values() if _fits(trial)]


def alike(trials: list[Trial | Evaluation]) -> list[list[Trial | Evaluation]]:
    """Return trainings that fit each other beside each other."""
    return _grouped(trials, fitting)


def with_packs(
    left: Mapping[str, Planned], trials: Mapping[str, Planned], packs: Packs
) -> Iterator[Planned | Pack | WaitingPack]:
    """Yield what a run hands out, a pack in the place of its first member that is left."""
    by_member = {key: pack for pack in packs for key in pack}
    for key, trial in left.items():
        if key not in by_member:
            yield trial
            continue
        pack = by_member[key]
        if key == next(member for member in pack if member in left):
            members = [trials[member] for member in pack]
            if isinstance(trial, Evaluation):
                yield WaitingPack(tuple(t for t in members if isinstance(t, Evaluation)))
            else:
                yield Pack(tuple(t for t in members if not isinstance(t, Evaluation)))


_T = TypeVar("_T", bound=Planned)
_Group = list[_T]
"""Trials that may go together, trainings of one seed and class beside each other."""


def _new_packs(
    trials: _Group[Trial | Evaluation], size: int, workers: int, seconds: Callable[[int], float]
) -> list[tuple[str, ...]]:
    """Return packs of one seed each or, where workers finish earlier with them, of several.

    Members of one seed share every batch of images.
    """
    of_one_seed = _grouped(trials, lambda trial: (fitting(trial), trial.seed))
    plans = [_cut_for(groups, size, workers, seconds) for groups in (of_one_seed, alike(trials))]
    chosen = min(plans, key=lambda packs: _span(packs, workers, seconds))
    return [tuple(trial.trial_id for trial in pack) for pack in chosen]


def _grouped(trials: _Group[_T], key: Callable[[_T], object]) -> list[_Group[_T]]:
    """Return trials of equal keys, classes of a seed in the order of their first members."""
    groups: dict[object, dict[object, _Group[_T]]] = {}
    for trial in trials:
        groups.setdefault(key(trial), {}).setdefault(_class(trial), []).append(trial)
    return [[t for members in classes.values() for t in members] for classes in groups.values()]


def _cut_for(
    groups: list[_Group[_T]], size: int, workers: int, seconds: Callable[[int], float]
) -> list[_Group[_T]]:
    """Cut groups into as few packs as can be, or a multiple of the workers if that is faster."""
    few = [-(-len(group) // size) for group in groups]
    many = list(few)
    while sum(many) % workers:
        largest = max(range(len(groups)), key=lambda n: -(-len(groups[n]) // many[n]))
        if many[largest] == len(groups[largest]):
            break
        many[largest] += 1
    plans = []
    for counts in (few, many):
        cut = (_cut(*each, size) for each in zip(groups, counts, strict=True))
        plans.append([pack for packs in cut for pack in packs])
    return min(plans, key=lambda packs: _span(packs, workers, seconds))


def _cut(group: _Group[_T], count: int, size: int) -> list[_Group[_T]]:
    """Cut a group into packs of about one size, where a class ends if that is near."""
    even = [len(group) * number // count for number in range(count + 1)]
    slack = len(group) // count // _SLACK
    ends = [0]
    for end in even[1:-1]:
        near = sorted(range(end - slack, end + slack + 1), key=lambda place: abs(place - end))
        borders = (n for n in near if _class(group[n - 1]) != _class(group[n]))
        ends.append(next(borders, end))
    ends.append(len(group))
    if any(end - start > size for start, end in itertools.pairwise(ends)):
        ends = even
    return [group[start:end] for start, end in itertools.pairwise(ends)]


def _span(packs: list[_Group[_T]], workers: int, seconds: Callable[[int], float]) -> float:
    """Return when the last worker finishes, were each to take the longest pack that is left."""
    lengths = (
        seconds(len(pack)) * (_MIXED if len({trial.seed for trial in pack}) > 1 else 1.0)
        for pack in packs
    )
    free = [0.0] * workers
    for length in sorted(lengths, reverse=True):
        heapq.heapreplace(free, free[0] + length)
    return max(free)


def fitting(trial: Planned) -> object:
    """Return what trials have in common that may go together."""
    match trial:
        case Trial():
            return trial.genotype.shape
        case SearchTrial():
            return trial.workload
        case Evaluation():
            return trial.waits_for


def _class(trial: Planned) -> object:
    topology = trial.genotype.topology if isinstance(trial, Trial) else None
    return trial.seed, topology.class_id if topology else None


def _fits(trial: Planned) -> TypeGuard[Trial | Evaluation]:
    """Whether a packed network has all operations of a trial's; of what is not known, yes."""
    if isinstance(trial, Trial):
        return all(operation != "none" for operation, _ in trial.genotype.shape)
    return isinstance(trial, Evaluation)

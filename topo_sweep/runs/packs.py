"""Which trainings a worker trains together, as one network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from nas_core.protocols.training import stable_hash
from topo_sweep.spec.trials import Planned, Trial


@dataclass(frozen=True)
class Pack:
    """Trainings of one protocol whose networks have the same shape."""

    members: tuple[Trial, ...]

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


def pack_id(trial_ids: Iterable[str]) -> str:
    """Return sixteen hexadecimal digits that name the pack of these trials."""
    return stable_hash("pack", *trial_ids)


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


def planned_packs(
    left: Mapping[str, Planned], trials: Mapping[str, Planned], known: Packs, size: int | None
) -> Packs:
    """Return the packs of a run: those that were planned before and have work left, then new ones.

    A pack that was begun is run whole again, with the members that have ended: what they compute
    depends, in the last digits, on who is beside them. Packs of another size are planned anew.

    Args:
        left: what has no row yet.
        trials: all of the request, in running order.
        known: packs that were planned before and of which something was done.
        size: trainings that go together at most; None trains each by the network of one.

    """
    if size is None:
        return ()
    begun = [
        pack
        for pack in known
        if len(pack) <= size and trials.keys() >= set(pack) and not left.keys().isdisjoint(pack)
    ]
    taken = {key for pack in begun for key in pack}
    rest = [
        trial
        for key, trial in left.items()
        if key not in taken and isinstance(trial, Trial) and _fits(trial)
    ]
    return (*begun, *_chunks(rest, size))


def with_packs(
    left: Mapping[str, Planned], trials: Mapping[str, Planned], packs: Packs
) -> Iterator[Planned | Pack]:
    """Yield what a run hands out, a pack in the place of its first member that is left."""
    by_member = {key: pack for pack in packs for key in pack}
    for key, trial in left.items():
        if key not in by_member:
            yield trial
            continue
        pack = by_member[key]
        if key == next(member for member in pack if member in left):
            yield Pack(tuple(trial for k in pack if isinstance(trial := trials[k], Trial)))


def _chunks(trials: Iterable[Trial], size: int) -> Iterator[tuple[str, ...]]:
    """Yield packs of trainings that have one seed and the same shape.

    One seed, since its members then share every batch of images.
    """
    groups: dict[object, list[str]] = {}
    for trial in trials:
        groups.setdefault((trial.seed, trial.genotype.shape), []).append(trial.trial_id)
    for alike in groups.values():
        # As equal in size as they can be: the last one would be slow if it were small.
        count = -(-len(alike) // size)
        for number in range(count):
            start, end = (len(alike) * n // count for n in (number, number + 1))
            yield tuple(alike[start:end])


def _fits(trial: Trial) -> bool:
    """Whether a packed network has all operations of a trial's."""
    return all(operation != "none" for operation, _ in trial.genotype.shape)

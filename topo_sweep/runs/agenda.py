"""What is left to run, handed out as it becomes possible: an evaluation waits for its search.

What failed waits for its next try.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping

from nas_core.cells.genotype import Genotype
from topo_sweep.runs.packing.packs import Pack, WaitingPack
from topo_sweep.spec.trials import Evaluation, Planned, Runnable, Trial


class Agenda:
    """The work of one run: evaluations join it as their searches end.

    Args:
        left: what has no row yet, in running order.
        cells: what searches of earlier runs found, by search id.
        packs: the same with trainings that go together; None where each goes alone.

    """

    def __init__(
        self,
        left: Mapping[str, Planned],
        cells: Mapping[str, Genotype],
        packs: Iterable[Planned | Pack | WaitingPack] | None = None,
    ) -> None:
        self._ready: deque[Runnable | Pack] = deque()
        self._waiting: dict[str, list[Evaluation | WaitingPack]] = {}
        self._later: list[tuple[float, Runnable | Pack]] = []
        """What failed and is tried again from a time on."""
        self._out: set[str] = set()
        """Packs that run and may come back as their halves."""
        for trial in left.values() if packs is None else packs:
            if not isinstance(trial, Evaluation | WaitingPack):
                self._ready.append(trial)
            elif trial.waits_for in cells:
                # Of a pack that no network can be made of, some may have a row already.
                found = _found(trial, cells[trial.waits_for])
                self._ready += (t for t in found if isinstance(t, Pack) or t.trial_id in left)
            elif trial.waits_for in left:
                self._waiting.setdefault(trial.waits_for, []).append(trial)

    def next(self) -> Runnable | Pack | None:
        """Take what can start now; None where everything waits or nothing is left."""
        now = time.monotonic()
        self._ready += (trial for due, trial in self._later if due <= now)
        self._later = [each for each in self._later if each[0] > now]
        trial = self._ready.popleft() if self._ready else None
        if isinstance(trial, Pack) and len(trial.members) > 1:
            self._out.add(trial.pack_id)
        return trial

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing will ever be ready again."""
        return not (self._ready or self._waiting or self._later or self._out)

    def again(self, trial: Runnable | Pack, *, after: float) -> None:
        """Hand out what failed once more, at the earliest after so many seconds."""
        self._later.append((time.monotonic() + after, trial))
        if isinstance(trial, Pack):
            self._out.discard(trial.pack_id)

    def pack_ended(self, pack: Pack, *halves: Pack) -> None:
        """Note that a pack runs no longer; its halves, if it has to be split, come first."""
        self._out.discard(pack.pack_id)
        self._ready.extendleft(reversed(halves))

    def search_ended(self, search_id: str, genotype: Genotype | None) -> list[str]:
        """Make the evaluations of what a search found ready, before all else.

        Returns:
            The ids of evaluations that will not run, because nothing was found.

        """
        waiting = self._waiting.pop(search_id, [])
        if genotype is None:
            return [key for each in waiting for key in _ids(each)]
        ready = [trial for each in waiting for trial in _found(each, genotype)]
        self._ready.extendleft(reversed(ready))
        return []


def _found(waiting: Evaluation | WaitingPack, genotype: Genotype) -> list[Trial | Pack]:
    """Return the trainings of what a search found."""
    found = waiting.of(genotype)
    return found if isinstance(found, list) else [found]


def _ids(waiting: Evaluation | WaitingPack) -> list[str]:
    members = waiting.members if isinstance(waiting, WaitingPack) else (waiting,)
    return [trial.trial_id for trial in members]

"""One trial after another in this process: what every executor does around `nas_core.training`.

Here a trial becomes a `Training` or a `Search`; executors treat both alike.
"""

from __future__ import annotations

import gc
import json
import logging
import platform
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch

from nas_core.data.splits import Split, search_split
from nas_core.protocols.training import NetworkTraining
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import EpochMetrics, SearchEpoch, Steps
from nas_core.training.pack import Member, PackTraining
from nas_core.training.search import Search
from nas_core.training.search_pack import PackSearch
from nas_core.training.search_state import check_searchable
from nas_core.training.training import Training, check_trainable
from topo_sweep.runs.device import become_worker, check_device, device_name
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.packing.packs import Pack, cell_of
from topo_sweep.spec.trials import Evaluation, Planned, Runnable, SearchTrial, Trial
from topo_sweep.store.files import fetch, write_by_worker
from topo_sweep.store.paths import StorePaths

_LOGGER = logging.getLogger(__name__)

AnyEpoch = EpochMetrics | SearchEpoch


@dataclass(frozen=True)
class Resumed:
    """The epochs that a checkpoint held; they were trained before this run."""

    epochs: tuple[AnyEpoch, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one trial ended.

    `facts` are columns of its row that its epochs do not tell, such as `parameters`;
    `peak_memory_bytes` among them is that of the GPU, else the greatest that the process has had
    so far, so a search on the CPU is charged with what ran there before. `failure` says of a failed
    one what went wrong: something in it, memory, or nothing but that its machine was lost.
    """

    status: str
    error: str | None = None
    failure: Literal["error", "memory", "machine"] = "error"
    facts: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    node: str | None = None
    execution: str | None = None


Report = Resumed | Steps | AnyEpoch | Outcome
"""What a running trial yields: what its checkpoint held, if any, its epochs, then its outcome.

Once, in the first epoch that runs, it may tell how far that is: this is for the progress alone."""


@dataclass(frozen=True)
class Together:
    """What members of a pack report at the same time, by their number; `is_last` of all.

    `failure` is how all that had not ended failed together.
    """

    reports: tuple[tuple[int, Report], ...]
    is_last: bool = False
    failure: Outcome | None = None


class TrialRunner:
    """Runs trainings and searches on one device, where the images stay.

    Args:
        split: the images, anywhere.
        execution: threads, device (settled), and how often to save and to measure accuracies.
        paths: of the store, for states of unfinished trials; where this machine does not see
            their folder, nothing is saved.

    Raises:
        InputError: the device is not there.

    """

    def __init__(
        self, split: Split, *, execution: Execution, paths: StorePaths | None = None
    ) -> None:
        check_device(execution.device)
        become_worker(execution.cpus)
        self._execution = execution
        self._outcome = partial(
            Outcome,
            device=device_name(execution.device),
            node=platform.node(),
        )
        self._compiled = execution.compile == "on"
        self._split = split.to(torch.device(execution.device))
        self._paths = paths

    def run(self, trial: Runnable | Pack) -> Iterator[Report | Together]:
        """Train or search; yield what `Report` says, of a pack what members say together.

        A trial that raises ends with a `failed` outcome: one bad trial is a row, not the end
        of a sweep.
        """
        if isinstance(trial, Pack):
            yield from self._run_pack(trial)
            return
        outcome = self._outcome_of(trial)
        try:
            if self._execution.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            running = self._begun(trial)
            if running.history:
                yield Resumed(tuple(running.history))
            yield from running.reports()
            facts = running.facts() | {"peak_memory_bytes": self._peak_memory_bytes()}
            facts |= _one_hot(trial, running)
            yield outcome(status="diverged" if running.diverged else "ok", facts=facts)
        except Exception as error:  # noqa: BLE001 - the boundary at which an error becomes a row
            yield outcome(**_failure(error, is_alone=True))

    def _outcome_of(self, trial: Runnable, members: int | None = None) -> Callable[..., Outcome]:
        """Return what makes the outcome of a trial, or of each of so many in a pack with it."""
        compiled = self._compiled and not trial.finds_cell
        execution = self._execution.to_json(members, compiled=compiled)
        return partial(self._outcome, execution=execution)

    def _run_pack(self, pack: Pack) -> Iterator[Together]:
        """Train as one network; yield what members report at the same time.

        Those that do not fit into memory have let go of it when this is told.
        """
        going_on = list(range(len(pack.members)))
        outcome = self._outcome_of(pack.members[0], members=len(going_on))
        try:
            yield from self._together(pack, going_on, outcome)
        except Exception as error:  # noqa: BLE001 - the boundary at which an error becomes a row
            failure = outcome(**_failure(error, is_alone=len(pack.members) == 1))
        else:
            return
        if failure.failure == "memory":
            gc.collect()
            torch.cuda.empty_cache()
        yield Together((), is_last=True, failure=failure)

    def _together(
        self, pack: Pack, going_on: list[int], outcome: Callable[..., Outcome]
    ) -> Iterator[Together]:
        """Train to the end; those that have ended leave `going_on`."""

        def ended(numbers: Iterable[int], status: str) -> tuple[tuple[int, Report], ...]:
            outcomes = []
            for number in tuple(numbers):
                going_on.remove(number)
                facts = running.facts(number) | {"peak_memory_bytes": self._peak_memory_bytes()}
                facts |= _one_hot(pack.members[number], running.members[number])
                outcomes.append((number, outcome(status=status, facts=facts)))
            return tuple(outcomes)

        def ends() -> tuple[tuple[int, Report], ...]:
            diverged = ended(filter(running.has_diverged, going_on), "diverged")
            return (*diverged, *ended(filter(running.has_stopped, going_on), "ok"))

        if self._execution.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        running = self._pack(pack)
        if running.history:
            yield Together(
                tuple((number, Resumed(running.history_of(number))) for number in going_on)
            )
            yield Together(ends())
        for report in running.reports():
            if isinstance(report, Steps):
                yield Together(tuple((number, report) for number in going_on))
                continue
            epochs = tuple(
                (number, epoch)
                for number in going_on
                if (epoch := report.members[number]) is not None
            )
            yield Together((*epochs, *ends()))
        yield Together(ended(going_on, "ok"), is_last=True)

    def _pack(self, pack: Pack) -> PackTraining | PackSearch:
        checkpoint = self._checkpoint(pack.pack_id)
        first = pack.members[0]
        if isinstance(first, SearchTrial):
            halves = search_split(self._split, first.protocol.images)
            seeds = [trial.seed for trial in pack.members]
            return PackSearch(seeds, first.protocol, halves, checkpoint=checkpoint)
        return PackTraining(
            [Member(t.genotype, t.seed) for t in pack.members if isinstance(t, Trial)],
            first.protocol,
            self._split,
            checkpoint=checkpoint,
            test_every=self._execution.test_every,
            compiled=self._compiled,
        )

    def _begun(self, trial: Runnable) -> Training | Search:
        checkpoint = self._checkpoint(trial.trial_id)
        if isinstance(trial, SearchTrial):
            halves = search_split(self._split, trial.protocol.images)
            return Search(trial.protocol, halves, seed=trial.seed, checkpoint=checkpoint)
        return Training(
            trial.genotype,
            trial.protocol,
            self._split,
            seed=trial.seed,
            checkpoint=checkpoint,
            test_every=self._execution.test_every,
            compiled=self._compiled,
        )

    def _checkpoint(self, key: str) -> Checkpoint | None:
        if self._paths is None:
            return None
        checkpoint = fetched_checkpoint(self._paths, key, self._execution.checkpoint_seconds)
        return checkpoint if self._paths.checkpoints.is_dir() else None

    def _peak_memory_bytes(self) -> int:
        if self._execution.device == "cuda":
            return torch.cuda.max_memory_allocated()
        kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return kibibytes * 1024


def _one_hot(trial: Runnable, running: object) -> dict[str, str]:
    """Return what a search's shared weights give its random cells, if any are asked for."""
    if not (isinstance(trial, SearchTrial) and isinstance(running, Search)):
        return {}
    if running.diverged or not trial.one_hot_cells:
        return {}
    cells = trial.one_hot_genotypes
    measured = [[str(cell), running.one_hot_accuracy(cell)] for cell in cells]
    return {"one_hot": json.dumps(measured)}


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: a GPU's, or this machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and says_out_of_memory(str(error))


def says_out_of_memory(text: str) -> bool:
    """Return whether what PyTorch said is that memory ran out."""
    texts = ("out of memory", "not enough memory", "can't allocate memory", "_ALLOC_FAILED")
    return any(each in text for each in texts)


def _failure(error: BaseException, *, is_alone: bool) -> dict[str, Any]:
    """Return what an outcome says of an error; where memory ran out, for whom."""
    text = f"{type(error).__name__}: {error}"
    if not is_out_of_memory(error):
        return {"status": "failed", "error": text}
    if is_alone:
        text = f"one network alone does not fit into the memory of its worker: {text}"
    return {"status": "failed", "error": text, "failure": "memory"}


def check_trials(trials: Iterable[Planned], images: Split) -> None:
    """Refuse what would fail in the middle of a trial; builds no network.

    Raises:
        InputError: see `check_trainable` and `check_searchable`.

    """
    checked: set[NetworkTraining] = set()
    for trial in trials:
        match trial:
            case SearchTrial(protocol=searching) if searching not in checked:
                check_searchable(searching, search_split(images, searching.images))
                checked.add(searching)
            case Evaluation(protocol=training) if training not in checked:
                check_trainable(cell_of(trial), training, images)
                checked.add(training)
            case Trial(genotype=genotype, protocol=training):
                check_trainable(genotype, training, images)


def saved_epochs(paths: StorePaths, key: str) -> int:
    """Return how many epochs of an unfinished trial or pack are saved; 0 where there are none."""
    saved = fetched_checkpoint(paths, key, tries=2).load()
    return 0 if saved is None else len(saved[1])


def fetched_checkpoint(
    paths: StorePaths, key: str, every_seconds: float = 0.0, *, tries: int = 3
) -> Checkpoint:
    """Return the checkpoint of a trial or pack; of a sweep elsewhere, what is saved there.

    Where that cannot be read now, a warning says so, and what is here counts.
    """
    path = paths.checkpoint(key)
    try:
        fetch(path, tries=tries)
    except OSError as error:
        _LOGGER.warning("checkpoint %s cannot be read: %s", path, error.strerror or error)
    return Checkpoint(path, key=key, every_seconds=every_seconds, write=write_by_worker)

"""The trials of a sweep on Ray Tune: fed lazily, run by reused actors, reported to the recorder.

Ray's experiment state goes to a temporary folder and is never read back: the store alone says
what is done.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from nas_core.data.splits import Split
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.on_ray.worker import TrialTrainable
from topo_sweep.runs.packs import Pack
from topo_sweep.runs.recorder import Recorder, failed
from topo_sweep.runs.runner import Outcome, Together
from topo_sweep.store.paths import StorePaths

_SCRATCH: Final = "topo-sweep-tune-"
_LOCK: Final = "driver.lock"
_ONE_DAY: Final = 24 * 3600.0


def run_on_ray(
    agenda: Agenda,
    recorder: Recorder,
    interrupts: Interrupts,
    *,
    execution: Execution,
    images: Split,
    paths: StorePaths,
    trainable: type[tune.Trainable] = TrialTrainable,
) -> None:
    """Run what is on the agenda on the connected cluster and record what comes of it.

    Args:
        agenda: what is left; it grows as searches end.
        recorder: is told everything.
        interrupts: checked after every event.
        execution: of every trial, settled.
        images: put into Ray's object store once.
        paths: of the store.
        trainable: what an actor runs.

    Raises:
        KeyboardInterrupt: Ctrl-C; what had finished is recorded.

    """
    with scratch_folder() as scratch:
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(
                    trainable,
                    execution=execution,
                    paths=StorePaths(paths.folder.absolute()),
                    arrays=images.to_arrays(),
                ),
                {"cpu": execution.cpus, "gpu": execution.gpus or 0},
            ),
            tune_config=tune.TuneConfig(
                search_alg=_Queue(agenda), num_samples=-1, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(scratch),
                callbacks=[_Reports(recorder, interrupts)],
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_frequency=0, checkpoint_at_end=False
                ),
            ),
        )
        tuner.fit()


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for Ray's state and remove it, and those of drivers that were killed.

    A driver that lives holds a lock in its own; those of earlier versions had none, and theirs go
    where nothing was written for a day.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        # Locked by its driver, being made right now, or another user's: not ours to remove.
        with contextlib.suppress(OSError):
            _remove_if_left(folder)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH) as name, Path(name, _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(name)


def _remove_if_left(folder: Path) -> None:
    """Remove a driver's folder unless the driver may be alive.

    Raises:
        OSError: it is alive, or the folder is not ours.

    """
    if (folder / _LOCK).exists():
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
    elif folder.lstat().st_uid == os.getuid():
        newest = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
        if time.time() - newest > _ONE_DAY:
            shutil.rmtree(folder)


class _Queue(Searcher):
    """Hands out trials one by one as workers become free and searches end."""

    def __init__(self, agenda: Agenda) -> None:
        super().__init__(metric=None, mode=None)
        self._agenda = agenda

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401 - Tune's signature
        """Return the next trial's config, None to be asked later, or that there is none."""
        trial = self._agenda.next()
        if trial is not None:
            return {"trial": trial}
        return Searcher.FINISHED if self._agenda.is_exhausted else None

    def on_trial_complete(self, *_: object, **__: object) -> None:
        """Do nothing: what was found does not change what comes next."""

    def __getstate__(self) -> dict[str, Any]:
        """Give Tune nothing to pickle: its saved state is never read back."""
        return {}


class _Reports(tune.Callback):
    """Passes what Tune hears from the workers on to the recorder."""

    def __init__(self, recorder: Recorder, interrupts: Interrupts) -> None:
        self._recorder = recorder
        self._interrupts = interrupts

    def on_trial_start(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object
    ) -> None:
        """Note that a worker has the trial."""
        self._recorder.start(trial.config["trial"])

    def on_trial_result(
        self,
        iteration: int,
        trials: list[TuneTrial],
        trial: TuneTrial,
        result: dict[str, Any],
        **info: object,
    ) -> None:
        """Record an epoch or the outcome; Tune's own results at the end hold none."""
        if "report" in result:
            self._recorder.take(trial.config["trial"], result["report"])

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object
    ) -> None:
        """Record a trial whose worker died or raised."""
        self._recorder.take(trial.config["trial"], _ended(trial))

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: object) -> None:
        """Write rows that are due; stop here, between two events, if Ctrl-C was pressed."""
        self._recorder.tick()
        self._interrupts.check()

    def __getstate__(self) -> dict[str, Any]:
        """Give Tune nothing to pickle: its saved state is never read back."""
        return {}


_KILLED_FOR_MEMORY: Final = "running low on memory"
"""In Ray's words, of a worker that it killed before the machine would run out."""


def _ended(trial: TuneTrial) -> Outcome | Together:
    """Return how a trial ended whose worker died: for lack of memory a pack is halved."""
    cause, pack = _cause(trial), trial.config["trial"]
    if isinstance(pack, Pack) and len(pack.members) > 1 and _KILLED_FOR_MEMORY in cause:
        return Together((), is_last=True, out_of_memory=failed(cause).error)
    return failed(cause)


def _cause(trial: TuneTrial) -> str:
    error = trial.get_pickled_error()
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {cause}" if cause is not None else "the worker died"

"""The trials of a sweep on Ray Tune: fed lazily, run by reused actors, reported to the recorder.

Ray's experiment state goes to a temporary folder and is never read back: the store alone says
what is done. So Tune's part in a run ends with the last trial, and what ended is forgotten: a run
of many thousand trials costs as much a trial at its end as at its begin.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from nas_core.data.splits import Split
from nas_core.errors import TopoSweepError
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.images import ImagesByPath
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.on_ray.cluster import workers_that_fit
from topo_sweep.runs.on_ray.failures import failure_of
from topo_sweep.runs.on_ray.watch import Watch, checked, places_but
from topo_sweep.runs.on_ray.worker import TrialTrainable
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Report, Together
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.paths import StorePaths

_SCRATCH: Final = "topo-sweep-tune-"
_LOCK: Final = "driver.lock"
_ONE_DAY: Final = 24 * 3600.0
_LOOK_SECONDS: Final = 2.0
"""Between two looks at the nodes of the cluster."""


class _AllEnded(Exception):  # noqa: N818 - no error
    """Ends Tune's part: on its own it would first write a state of every trial, in minutes."""


def run_on_ray(
    agenda: Agenda,
    recorder: Recorder,
    interrupts: Interrupts,
    *,
    execution: Execution,
    images: Split | ImagesByPath,
    paths: StorePaths,
    trainable: type[tune.Trainable] = TrialTrainable,
) -> None:
    """Run what is on the agenda on the connected cluster and record what comes of it.

    Args:
        agenda: what is left; it grows as searches end.
        recorder: is told everything.
        interrupts: checked after every event.
        execution: of every trial, settled.
        images: put into Ray's object store once, or read by each worker.
        paths: of the store.
        trainable: what an actor runs.

    Raises:
        KeyboardInterrupt: Ctrl-C; what had finished is recorded.

    """
    by_path = images if isinstance(images, ImagesByPath) else None
    watch = Watch(execution, paths.manifest, by_path) if execution.cluster else None
    share = recorder.share

    def workers() -> int:
        if watch is not None:
            watch.look()
        now = replace(execution, gpus=share.gpus(execution))
        count = workers_that_fit(now, None if watch is None else watch.passed)
        recorder.waits_for_machines(count == 0)
        return count

    def gpus(trial: Runnable | Pack) -> float:
        share.begins(trial)
        return share.gpus(execution)

    queue = _Queue(agenda, workers, interrupts.check, watch, gpus)
    with scratch_folder() as scratch, contextlib.suppress(_AllEnded):
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(
                    trainable if watch is None else checked(trainable),
                    execution=execution,
                    paths=StorePaths(paths.folder.absolute()),
                    arrays=images.to_arrays() if isinstance(images, Split) else images,
                ),
                partial(places_but, execution.cpus),
            ),
            tune_config=tune.TuneConfig(
                search_alg=queue,
                scheduler=_AsHandedOut(),  # type: ignore[no-untyped-call] # Tune's
                num_samples=-1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(scratch),
                callbacks=[_Reports(recorder, interrupts, queue, paths)],
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
    with tempfile.TemporaryDirectory(prefix=_SCRATCH) as name:
        folder = Path(name)
        new = folder / f"{_LOCK}.new"
        with new.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            new.rename(folder / _LOCK)  # where another driver sees it, it is locked
            yield folder


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
    """Hands out a trial for each worker that the cluster can hold, and more as they end.

    So whatever Tune holds has a worker, or one that starts: the worker of a trial that ended gets
    the next one, and none that starts is given up.

    Args:
        agenda: what is left.
        workers: says how many workers the cluster can hold now.
        check: raises on Ctrl-C; called here because Tune waits here where nothing runs.
        watch: knows the nodes that get no trial, where there may be any.
        gpus: says what one gets that is handed out now.

    """

    def __init__(
        self,
        agenda: Agenda,
        workers: Callable[[], int],
        check: Callable[[], None] = lambda: None,
        watch: Watch | None = None,
        gpus: Callable[[Runnable | Pack], float] = lambda _: 0.0,
    ) -> None:
        super().__init__(metric=None, mode=None)
        self._gpus = gpus
        self._agenda = agenda
        self._check = check
        self._watch = watch
        self._count_workers = workers
        self._workers = 0
        self._looked_at = -float("inf")
        self._under_way: set[str] = set()
        """Tune's ids of trials that were handed out and have not ended."""

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401 - Tune's signature
        """Return the next trial's config, None to be asked later, or that there is none.

        While any runs there may be one: what fails is handed out again.

        Raises:
            KeyboardInterrupt: Ctrl-C.

        """
        self._check()
        if self.all_ended:
            return Searcher.FINISHED
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
            self._workers = self._count_workers()
            self._looked_at = time.monotonic()
        trial = self._agenda.next() if len(self._under_way) < self._workers else None
        if trial is None:
            return None
        self._under_way.add(trial_id)
        refused = [] if self._watch is None else sorted(self._watch.refused)
        return {"trial": trial, "gpus": self._gpus(trial), "not_on": refused}

    def on_trial_complete(self, trial_id: str, *_: object, **__: object) -> None:
        """Note that a trial has ended, well or not."""
        self._under_way.discard(trial_id)

    @property
    def all_ended(self) -> bool:
        """Whether all trials were handed out and have ended."""
        return self._agenda.is_exhausted and not self._under_way

    def __getstate__(self) -> dict[str, Any]:
        """Give Tune nothing to pickle: its saved state is never read back."""
        return {}


class _AsHandedOut(FIFOScheduler):
    """Leaves the order to the queue: Tune starts what is pending without being told which."""

    def choose_trial_to_run(self, tune_controller: object) -> TuneTrial | None:
        """Choose none: Tune's own choice scans all trials at every event, those that ended too.

        And it gives a worker that is free to the oldest trial that waits, whose own one starts.
        """
        return None


class _Reports(tune.Callback):
    """Passes what Tune hears from the workers on to the recorder."""

    def __init__(
        self, recorder: Recorder, interrupts: Interrupts, queue: _Queue, paths: StorePaths
    ) -> None:
        self._recorder = recorder
        self._paths = paths
        self._interrupts = interrupts
        self._queue = queue
        self._error: TopoSweepError | None = None
        """What ends the run at the end of this step."""

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
            self._take(trial, result["report"])

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object
    ) -> None:
        """Take note of a trial whose worker died or raised: it may be tried again."""
        self._take(trial, failure_of(trial, self._paths))
        trial.config.clear()

    def on_trial_complete(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object
    ) -> None:
        """Empty what Tune keeps of a trial until the run ends: its config and its results."""
        trial.config.clear()
        trial.run_metadata = type(trial.run_metadata)()

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: object) -> None:
        """Write rows that are due; stop here, between two events, if all ended or on Ctrl-C.

        Raises:
            TopoSweepError: the recorder cannot go on.

        """
        if self._error is not None:
            raise self._error
        self._recorder.tick()
        self._interrupts.check()
        if self._queue.all_ended:
            raise _AllEnded

    def _take(self, trial: TuneTrial, report: Report | Together) -> None:
        """Let the recorder take a report; keep an error, of which Tune would make a traceback."""
        try:
            self._recorder.take(trial.config["trial"], report)
        except TopoSweepError as error:
            self._error = error

    def __getstate__(self) -> dict[str, Any]:
        """Give Tune nothing to pickle: its saved state is never read back."""
        return {}

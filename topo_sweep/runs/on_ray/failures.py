"""Why a trial failed whose worker raised or died, from what Ray and the worker left behind."""

from __future__ import annotations

import contextlib
import faulthandler
import re
from pathlib import Path
from typing import IO, Final

import ray
from ray import cloudpickle
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    RayTaskError,
)
from ray.tune.experiment import Trial as TuneTrial

from nas_core.files import remove
from topo_sweep.runs.device import NoGpuError
from topo_sweep.runs.images import OtherImagesError
from topo_sweep.runs.on_ray.watch import OtherVersionsError
from topo_sweep.runs.recorder import failed
from topo_sweep.runs.runner import Outcome, says_out_of_memory
from topo_sweep.store.paths import StorePaths

_KILLED_FOR_MEMORY: Final = "running low on memory"
"""In Ray's words, of a worker that it killed before the machine would run out."""
_NODE_DIED: Final = "node has died"
_FAULT: Final = "Fatal Python error: "
"""As `faulthandler` begins."""
_KILLED: Final = "killed from outside, as where the machine runs out of memory"
_UNSEEN: Final = "killed or crashed, this driver sees no word of it in the results folder"
_LACKS: Final = {
    OtherImagesError: "does not find the driver's images",
    NoGpuError: "finds no GPU",
}
"""What a machine lacks on which a worker does not begin."""


def failure_of(trial: TuneTrial, paths: StorePaths) -> Outcome:
    """Return how a trial of Tune failed."""
    # Not Tune's own `get_pickled_error`, which looks where this file is not.
    file = trial.pickled_error_file
    try:
        error = None if file is None else cloudpickle.loads(Path(file).read_bytes())  # ours
    except OSError:
        error = None
    return failure_from(error, paths)


def failure_from(error: BaseException | None, paths: StorePaths) -> Outcome:
    """Return what one of Ray's errors says, without its advice and its traceback."""
    text = str(error)
    if error is None:
        return failed("its worker died")
    if isinstance(error, OutOfMemoryError) or _KILLED_FOR_MEMORY in text:
        return failed(text, failure="memory")
    if OtherVersionsError.__name__ in text:
        return failed(
            "its worker started on a node that had just joined, with other versions than the "
            "driver's",
            failure="machine",
        )
    for kind, lacks in _LACKS.items():
        if kind.__name__ in text:
            why = text.rpartition(f"{kind.__name__}: ")[2].partition("\n")[0]
            return failed(f"its worker {lacks}: {why}", failure="machine")
    if isinstance(error, ActorUnavailableError | NodeDiedError) or _NODE_DIED in text:
        return failed("the machine of its worker was lost", failure="machine")
    raised = ""
    if isinstance(error, RayTaskError):
        raised = f"{type(error.cause).__name__}: {error.cause}"
    elif isinstance(error, ActorDiedError) and error.actor_init_failed:
        # What fails in a worker's first task, such as moving the images, has its traceback here.
        raised = text.strip().splitlines()[-1]
    elif isinstance(error, ActorDiedError):
        text = _how_it_died(error, paths)
    return failed(raised or text, failure="memory" if says_out_of_memory(raised) else "error")


class Faults:
    """Lets a fatal signal of this worker leave its name where the driver can read it.

    It does nothing where this process is no worker, or cannot write to the sweep's folder.
    """

    def __init__(self, paths: StorePaths) -> None:
        # Asked elsewhere, Ray would join whatever cluster it finds.
        is_worker = ray.is_initialized()
        worker = ray.get_runtime_context().get_actor_id() if is_worker else None
        self._file: IO[str] | None = None
        if worker is not None and paths.folder.is_dir():
            with contextlib.suppress(OSError):  # as on a full disk: the worker can train
                self._file = paths.fault(worker).open("w", encoding="utf-8")
                faulthandler.enable(self._file)

    def close(self) -> None:
        """Note that this worker ended well."""
        if self._file is not None:
            faulthandler.disable()
            self._file.close()
            remove(Path(self._file.name))


def _how_it_died(error: ActorDiedError, paths: StorePaths) -> str:
    text = str(error)
    process = re.search(r"^\s*pid: (\d+)$", text, re.MULTILINE)
    machine = re.search(r"^\s*ip: (\S+)$", text, re.MULTILINE)
    where = f" {process[1]}" if process else ""
    where += f" on {machine[1]}" if machine else ""
    if code := re.search(r"exit code (\d+)", text):
        return f"its worker, process{where}, ended with exit code {code[1]}"
    left = paths.fault(str(error.actor_id))
    try:
        fault = left.read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return f"its worker, process{where}, died: {_UNSEEN}"
    with contextlib.suppress(OSError):
        left.unlink()
    return f"its worker, process{where}, died: {fault.removeprefix(_FAULT) or _KILLED}"

"""What a row says of a trial whose worker raised or died, and whether that was its own doing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ray import cloudpickle
from ray.core.generated import common_pb2
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    RayTaskError,
)
from ray.tune.experiment import Trial as TuneTrial

from tests.disk import full_disk
from topo_sweep.runs.on_ray.failures import Faults, failure_from, failure_of
from topo_sweep.store.paths import StorePaths

PROCESS_DIED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker "
    "exit detail: Worker unexpectedly exits with a connection error code 2. End of file. Some "
    "common causes include: (1) the process was killed by the OOM killer due to high memory usage"
)
EXITED = "Worker exit detail: Worker exits unexpectedly. Worker exits with an exit code 4."
NODE_DIED = "The actor died because its node has died. Node Id: 0123."
LOW_MEMORY = "1 worker(s) were killed due to the node running low on memory.\nMemory on the node"
"""As Ray 2.60 says it."""
KILLED = "killed from outside, as where the machine runs out of memory"
DIED = "its worker, process 4711 on 192.0.2.7, died:"


def died(message: str) -> ActorDiedError:
    """Return the error of an actor that died, as Ray makes it."""
    context = getattr(common_pb2, "ActorDiedErrorContext")(  # noqa: B009 - made by protobuf
        actor_id=bytes(range(16)),
        error_message=message,
        pid=4711,
        node_ip_address="192.0.2.7",
    )
    return ActorDiedError(context)


NO_ROOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
JOINED = "its worker started on a node that had just joined, with other versions than the driver's"


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    return StorePaths(tmp_path)


@pytest.mark.parametrize(
    ("error", "failure", "text"),
    [
        (None, "error", "its worker died"),
        (RayTaskError("step", "a traceback", ValueError("bad")), "error", "ValueError: bad"),
        (
            died(PROCESS_DIED),
            "error",
            f"{DIED} killed or crashed, this driver sees no word of it in the results folder",
        ),
        (
            died(EXITED),
            "error",
            "its worker, process 4711 on 192.0.2.7, ended with exit code 4",
        ),
        (died(NODE_DIED), "machine", "the machine of its worker was lost"),
        (NodeDiedError("gone"), "machine", "the machine of its worker was lost"),
        (
            ActorUnavailableError("RpcError: Socket closed", bytes(16)),
            "machine",
            "the machine of its worker was lost",
        ),
        (OutOfMemoryError(LOW_MEMORY), "memory", LOW_MEMORY.replace("\n", " ")),
        (RayTaskError("step", "a traceback", NO_ROOM), "memory", f"OutOfMemoryError: {NO_ROOM}"),
        (
            ActorDiedError(
                RayTaskError("__init__", f"Traceback:\ntorch.OutOfMemoryError: {NO_ROOM}", NO_ROOM)
            ),
            "memory",
            f"torch.OutOfMemoryError: {NO_ROOM}",
        ),
        (
            ActorDiedError(RayTaskError("__init__", "Traceback:\nValueError: no", ValueError())),
            "error",
            "ValueError: no",
        ),
        (
            ActorDiedError(
                RayTaskError("__init__", "Traceback:\nOtherVersionsError: torch 0.1", ValueError())
            ),
            "machine",
            JOINED,
        ),
        (
            ActorDiedError(
                RayTaskError(
                    "__init__",
                    "Traceback:\ntopo_sweep.runs.images.OtherImagesError: no cifar10 in data",
                    ValueError(),
                )
            ),
            "machine",
            "its worker does not find the driver's images: no cifar10 in data",
        ),
        (
            ActorDiedError(
                RayTaskError(
                    "__init__",
                    "Traceback:\ntopo_sweep.runs.device.NoGpuError: a GPU was asked for",
                    ValueError(),
                )
            ),
            "machine",
            "its worker finds no GPU: a GPU was asked for",
        ),
    ],
)
def test_a_row_names_the_cause_without_rays_advice(
    error: Exception | None, failure: str, text: str, paths: StorePaths
) -> None:
    outcome = failure_from(error, paths)

    assert (outcome.status, outcome.failure, outcome.error) == ("failed", failure, text)


def test_a_worker_that_ray_killed_for_memory_did_not_fit(paths: StorePaths) -> None:
    assert failure_from(died(LOW_MEMORY), paths).failure == "memory"


def test_a_fatal_signal_is_named_where_the_worker_left_it(paths: StorePaths) -> None:
    error = died(PROCESS_DIED)
    assert error.actor_id is not None
    program = (
        "import faulthandler, sys\n"
        "faulthandler.enable(open(sys.argv[1], 'w'))\n"
        "faulthandler._sigsegv()"
    )
    command = [sys.executable, "-c", program, str(paths.fault(error.actor_id))]
    assert subprocess.run(command, check=False).returncode < 0

    text = failure_from(error, paths).error
    assert text == f"{DIED} Segmentation fault"
    assert not paths.fault(error.actor_id).exists()


def test_only_where_a_worker_could_have_left_a_word_was_it_killed_for_sure(
    paths: StorePaths,
) -> None:
    error = died(PROCESS_DIED)
    paths.fault(str(error.actor_id)).touch()
    assert failure_from(error, paths).error == f"{DIED} {KILLED}"
    assert "killed or crashed" in str(failure_from(error, paths).error), "that word was taken away"


class OnRay(TuneTrial):
    """A trial as Tune's callbacks get it, with the file of what it died of."""

    pickled_error_file: str | None = None

    def __init__(self, file: Path | None) -> None:
        self.pickled_error_file = None if file is None else str(file)


def test_the_error_is_read_from_the_file_that_tune_wrote(paths: StorePaths, tmp_path: Path) -> None:
    file = tmp_path / "error.pkl"
    assert failure_of(OnRay(None), paths).error == "its worker died"
    assert failure_of(OnRay(file), paths).error == "its worker died"

    file.write_bytes(cloudpickle.dumps(RayTaskError("step", "a traceback", ValueError("bad"))))
    assert failure_of(OnRay(file), paths).error == "ValueError: bad"


def test_a_worker_trains_where_it_can_leave_no_word_of_a_fatal_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.get_runtime_context", RuntimeContext)
    monkeypatch.setattr(Path, "open", full_disk)

    Faults(StorePaths(tmp_path)).close()


class RuntimeContext:
    """What Ray says of a worker."""

    def get_actor_id(self) -> str:
        return "worker"

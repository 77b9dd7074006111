"""What a run asks of its device and process, and what it says where a device is not there."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch

from nas_core.errors import InputError
from nas_core.training.loop import check_precision as precision_exists
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.processes import keep_freed_memory
from topo_sweep.spec.trials import Planned


class NoGpuError(InputError):
    """A GPU was asked for, and PyTorch finds none."""


def check_precision(trials: Iterable[Planned], device: str) -> None:
    """Refuse a precision that the device does not have.

    Raises:
        InputError: see `nas_core.training.loop.check_precision`.

    """
    for precision in {trial.protocol.precision for trial in trials}:
        precision_exists(precision, device)


def settled_here(execution: Execution) -> Execution:
    """Return how a run executes on this machine: each on a GPU of its own where there are any."""
    if execution.gpus not in {None, "auto"}:
        return execution
    return replace(execution, gpus=1.0 if torch.cuda.is_available() else 0.0)


def become_worker(threads: int) -> None:
    """Let this process compute with so many threads, and keep the memory that it frees."""
    torch.set_num_threads(threads)
    keep_freed_memory()


@contextlib.contextmanager
def as_worker(threads: int) -> Iterator[None]:
    """Compute until the block ends as a worker does; freed memory is kept from then on."""
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = torch.get_num_threads(), convolutions.allow_tf32, products.allow_tf32
    become_worker(threads)
    convolutions.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        convolutions.allow_tf32, products.allow_tf32 = before[1:]


def check_device(device: str) -> None:
    """Refuse a GPU that is not there: no run falls back to the CPU in silence.

    Raises:
        NoGpuError: it is not there.

    """
    if device == "cuda" and not torch.cuda.is_available():
        raise NoGpuError(
            f"a GPU was asked for, but PyTorch {torch.__version__} finds no CUDA device on "
            f"{platform.node()}: use --gpus-per-pack 0 to train on the CPU"
        )


def device_name(device: str) -> str:
    """Return 'cpu' or the name of the GPU."""
    return torch.cuda.get_device_name() if device == "cuda" else device

"""Joining or starting a Ray cluster, and the resources that a pack gets there."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import ray
from ray._private import services  # where `auto` is; there is no public way to ask

from nas_core.errors import InputError, first_line
from topo_sweep.analysis.text import counted
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.on_ray.quiet import quiet_ray

A = TypeVar("A")
R = TypeVar("R")

_ANSWER_SECONDS = 3.0
_HOW_TO_START = (
    "start one with `ray start --head --port=6379` (and `ray start --address=HOST:6379` on each "
    "further machine), or leave out --cluster to run on this machine alone"
)
_AUTH_HINT = "it may want a token, and then RAY_AUTH_MODE=token has to be set here"
_LOOK_SECONDS = 1.0
"""Between two looks for a first machine."""
_LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def connected(*, cluster: bool, address: str | None, verbose: bool) -> Iterator[str]:
    """Be connected to Ray inside the block; yield a sentence that says to what.

    Args:
        cluster: join a running cluster; otherwise start Ray on this machine.
        address: 'HOST:PORT'; otherwise `RAY_ADDRESS`, otherwise the cluster of this machine.
        verbose: let Ray print.

    Raises:
        InputError: no cluster answers, or it refuses this client.

    """
    level = logging.INFO if verbose else logging.CRITICAL
    printing: dict[str, Any] = {"log_to_driver": verbose, "logging_level": level}
    with quiet_ray(verbose=verbose):
        if cluster:
            _join(*_address(address), printing)
        else:
            ray.init(address="local", include_dashboard=False, **printing)
        try:
            yield _described(cluster=cluster)
        finally:
            ray.shutdown()


def settle(execution: Execution) -> tuple[Execution, str]:
    """Return the execution with `gpus` decided, and a sentence that says so.

    Where the cluster has no CPU, as a head alone may have none, it waits for a machine.

    Raises:
        InputError: more than any node has, or GPUs that PyTorch cannot use.

    """
    while not (most_cpus := _most("CPU")):  # a head that trains nothing
        _LOGGER.warning("no machine with a CPU has joined the cluster yet: waiting for one")
        while not _most("CPU"):
            time.sleep(_LOOK_SECONDS)
    most_gpus = _most("GPU")
    gpus = execution.gpus
    if gpus is None:
        gpus = 1.0 if most_gpus else 0.0
    if execution.cpus > most_cpus:
        raise InputError(
            f"--cpus-per-pack {execution.cpus} is more than any node has ({most_cpus:g})"
        )
    if gpus > most_gpus:
        raise InputError(
            f"--gpus-per-pack {gpus:g} is more than any node of Ray has ({most_gpus:g}): "
            "use --gpus-per-pack 0 to train on CPUs"
        )
    settled, cpus = replace(execution, gpus=gpus), counted(execution.cpus, "CPU")
    each = "trial" if execution.pack_size is None else "pack"
    if gpus:
        _check_cuda(gpus)
        return settled, f"{gpus:g} GPU and {cpus} a {each}"
    reason = "" if execution.gpus == 0 else " (the cluster has no GPU)"
    return settled, f"{cpus} a {each}, no GPU{reason}"


def _most(resource: str) -> float:
    """Return the most that a node of now has of a resource."""
    totals = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return max((total.get(resource, 0.0) for total in totals), default=0.0)


def workers_that_fit(execution: Execution) -> int:
    """Return how many workers of a settled execution all nodes of now can hold."""
    wanted = {"CPU": float(execution.cpus), "GPU": execution.gpus or 0.0}
    totals = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(
        min(_times(each, total.get(name, 0)) for name, each in wanted.items() if each)
        for total in totals
    )


def _times(each: float, total: float) -> int:
    """Return how often a node has this of one resource; a part of a GPU is of a single one."""
    # A tenth goes ten times into one, whatever floating point says.
    return int(total / each) if each >= 1 else int(total) * int(1 / each + 1e-6)


def _check_cuda(gpus: float) -> None:
    """Ask a worker that holds a GPU whether PyTorch sees it."""

    @ray.remote(num_cpus=0, num_gpus=gpus, max_retries=0)
    def cuda() -> tuple[bool, str, str]:
        import platform

        import torch

        return torch.cuda.is_available(), platform.node(), torch.__version__

    available, node, version = ray.get(cuda.remote())
    if not available:
        raise InputError(
            f"Ray says that {node} has GPUs, but PyTorch {version} finds no CUDA device there: "
            "use --gpus-per-pack 0 to train on CPUs"
        )


def on_worker(execution: Execution, function: Callable[[A], R], argument: A) -> R:
    """Call a function in a process that has what a worker of a settled execution has."""
    remote = ray.remote(
        num_cpus=execution.cpus, num_gpus=execution.gpus or 0, max_retries=0, max_calls=1
    )(function)
    return ray.get(remote.remote(argument))


def _address(address: str | None) -> tuple[str, str]:
    """Return where to look for the cluster and who said so."""
    if address:
        return address, "--address"
    if from_environment := os.environ.get("RAY_ADDRESS"):
        return from_environment, "RAY_ADDRESS"
    return "auto", "this machine, since neither --address nor RAY_ADDRESS is given"


def _join(where: str, origin: str, printing: Mapping[str, Any]) -> None:
    nothing = f"no Ray cluster answers at {where} ({origin}): {_HOW_TO_START}"
    if where == "auto":
        where = _address_here(nothing)
    _check_listening(where, nothing)
    try:
        ray.init(address=where, **printing)
    except ray.exceptions.AuthenticationError as error:
        raise InputError(
            f"the Ray cluster at {where} ({origin}) wants a token: set RAY_AUTH_MODE=token and "
            f"RAY_AUTH_TOKEN_PATH ({first_line(error)})"
        ) from None
    except (ConnectionError, ValueError, RuntimeError) as error:
        has_token = os.environ.get("RAY_AUTH_MODE") == "token"
        token = "its token is another than this one's" if has_token else _AUTH_HINT
        raise InputError(
            f"something listens at {where} ({origin}), but lets this client into no Ray cluster: "
            f"{token}, or it is none ({first_line(error)})"
        ) from None


def _address_here(nothing: str) -> str:
    """Return the address of this machine's cluster, of which a dead one may have left a record.

    Ray itself would try for minutes to reach what the record names.
    """
    try:
        return str(services.canonicalize_bootstrap_address("auto"))
    except ConnectionError:
        raise InputError(nothing) from None


def _check_listening(where: str, nothing: str) -> None:
    """Find out in seconds what Ray's own retries take half a minute for."""
    host, colon, port = where.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        raise InputError(f"a Ray address has the form HOST:PORT, got {where!r}")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"{nothing} ({error})") from None


def _described(*, cluster: bool) -> str:
    totals = ray.cluster_resources()
    nodes = counted(sum(node["Alive"] for node in ray.nodes()), "node")
    what = f"Ray cluster with {nodes}" if cluster else "Ray here"
    return f"{what}, {totals.get('CPU', 0):g} CPUs, {totals.get('GPU', 0):g} GPUs"

"""Joining or starting a Ray cluster, and the resources that a pack gets there."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import ray
from ray._private import ray_constants, services  # there is no public way to ask where `auto` is
from ray._raylet import Config  # type: ignore[attr-defined] # it is in C
from ray.exceptions import RayError, RayTaskError

from nas_core.errors import InputError, TopoSweepError, first_line
from topo_sweep.analysis.text import counted
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.on_ray.local_nodes import is_loopback_only
from topo_sweep.runs.on_ray.nodes import check_nodes
from topo_sweep.runs.on_ray.quiet import quiet_ray
from topo_sweep.runs.on_ray.room import places, remarks
from topo_sweep.runs.on_ray.tokens import MODE, ensure_token, mode_for, open_warning

if TYPE_CHECKING:
    from topo_sweep.runs.images import ImagesByPath

A = TypeVar("A")
R = TypeVar("R")

_ANSWER_SECONDS = 3.0
_HOW_TO_START = (
    "start one with `topo-sweep cluster start --head` (and `topo-sweep cluster start --join "
    "HOST:PORT` on each further machine), or leave out --cluster to run on this machine alone"
)
_LOOK_SECONDS = 1.0
"""Between two looks for a first machine."""
_MOST_WORKERS: Final = 3
"""That may be lost over one question."""
_LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def connected(
    *, cluster: bool, address: str | None, verbose: bool, insecure: bool = False
) -> Iterator[str]:
    """Be connected to Ray inside the block; yield a sentence that says to what.

    A cluster that asks for a token is shown this user's; of one that does not, a warning tells.

    Args:
        cluster: join a running cluster; otherwise start Ray on this machine.
        address: 'HOST:PORT'; otherwise `RAY_ADDRESS`, otherwise the cluster of this machine.
        verbose: let Ray print.
        insecure: do not warn of a cluster that lets anybody in.

    Raises:
        InputError: no cluster answers, it refuses this client, or no token can be made for that of
            this machine.

    """
    level = logging.INFO if verbose else logging.CRITICAL
    printing: dict[str, Any] = {"log_to_driver": verbose, "logging_level": level}
    with quiet_ray(verbose=verbose), contextlib.ExitStack() as left:
        if cluster:
            _join(*_address(address), printing, left, insecure=insecure)
        else:
            if os.environ.get(MODE, "token").lower() == "token":
                ensure_token()  # Ray would make it for all to read
                _ask_for_token()
            elif not insecure:
                _LOGGER.warning("%s", open_warning("Ray on this machine", f"unset {MODE}"))
            ray.init(address="local", include_dashboard=False, **printing)
        try:
            yield _described(cluster=cluster)
        finally:
            ray.shutdown()


def settle(execution: Execution, by_path: ImagesByPath | None = None) -> tuple[Execution, str]:
    """Return the execution with `gpus` decided, and a sentence that says so.

    Where there are GPUs, 'auto' stays: what packs take of one is measured by a worker.

    Where the cluster has no CPU, as a head alone may have none, it waits for a machine.

    Raises:
        InputError: more than any node has, GPUs that PyTorch cannot use, or nodes of a cluster that
            do not have this driver's versions, or images that they read `by_path`.

    """
    while not (most_cpus := _most("CPU")):  # a head that trains nothing
        _LOGGER.warning("no machine with a CPU has joined the cluster yet: waiting for one")
        while not _most("CPU"):
            time.sleep(_LOOK_SECONDS)
    most_gpus = _most("GPU")
    settled = execution
    if execution.gpus is None or (execution.gpus == "auto" and not most_gpus):
        settled = replace(execution, gpus=1.0 if most_gpus else 0.0)
    gpus = settled.gpus_of_each
    if execution.cpus > most_cpus:
        raise InputError(
            f"--cpus-per-pack {execution.cpus} is more than any node has ({most_cpus:g})"
        )
    if gpus > most_gpus:
        raise InputError(
            f"--gpus-per-pack {gpus:g} is more than any node of Ray has ({most_gpus:g}): "
            "use --gpus-per-pack 0 to train on CPUs"
        )
    cpus = counted(execution.cpus, "CPU")
    if execution.cluster:
        for remark in remarks(settled, ray.nodes()):
            _LOGGER.warning("%s", remark)
    if execution.cluster or gpus:  # else the only node is this machine, which has all of it
        check_nodes(settled, by_path)
    each = "trial" if execution.pack_size is None else "pack"
    if gpus:
        of_gpu = "a part of a GPU" if settled.gpus == "auto" else f"{gpus:g} GPU"
        return settled, f"{of_gpu} and {cpus} a {each}"
    reason = "" if execution.gpus == 0 else " (the cluster has no GPU)"
    return settled, f"{cpus} a {each}, no GPU{reason}"


def _most(resource: str) -> float:
    """Return the most that a node of now has of a resource."""
    totals = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return max((total.get(resource, 0.0) for total in totals), default=0.0)


def workers_that_fit(execution: Execution, only: Collection[str] | None = None) -> int:
    """Return how many workers of a settled execution the nodes of now can hold.

    `only` are the ids of the nodes that may train; None is all.
    """
    return sum(
        places(execution, node)
        for node in ray.nodes()
        if node["Alive"] and (only is None or node["NodeID"] in only)
    )


def most_on_a_gpu(execution: Execution) -> int:
    """Return for how many workers a GPU a node of now has CPUs, at most; 1 where none has any."""
    lent = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = (each.get("CPU", 0.0) / execution.cpus / each["GPU"] for each in lent if each.get("GPU"))
    return max(int(max(most, default=1.0)), 1)


def asks_for_token() -> bool:
    """Return whether the connected cluster was shown a token."""
    return os.environ.get(MODE) == "token"


def on_worker(execution: Execution, function: Callable[[A], R], argument: A) -> R:
    """Call a function in a process that has what a worker of a settled execution has.

    Where that process or its machine is lost, another one is asked. What the function raises is
    raised here.

    Raises:
        TopoSweepError: each of them was lost.

    """
    # Not by Ray's own retries: of what it ends for want of memory it makes no end.
    remote = ray.remote(
        num_cpus=execution.cpus, num_gpus=execution.gpus_of_each, max_retries=0, max_calls=1
    )(function)
    lost = ""
    for _ in range(_MOST_WORKERS):
        try:
            return ray.get(remote.remote(argument))
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            lost = first_line(error)
            _LOGGER.warning("a worker was lost that was to measure something (%s)", lost)
    raise TopoSweepError(
        f"{_MOST_WORKERS} workers were lost, one after another, that were to measure something "
        f"({lost}): look at the memory of their machines, or leave nothing to measure: numbers in "
        "the place of 'auto', and --compile off"
    )


def _address(address: str | None) -> tuple[str, str]:
    """Return where to look for the cluster and who said so."""
    if address:
        return address, "--address"
    if from_environment := os.environ.get("RAY_ADDRESS"):
        return from_environment, "RAY_ADDRESS"
    return "auto", "this machine, since neither --address nor RAY_ADDRESS is given"


def _join(
    where: str,
    origin: str,
    printing: Mapping[str, Any],
    left: contextlib.ExitStack,
    *,
    insecure: bool,
) -> None:
    """Join a cluster; what that changes of this process is undone when `left` is closed."""
    nothing = f"no Ray cluster answers at {where} ({origin}): {_HOW_TO_START}"
    if where == "auto":
        where = _address_here(nothing)
    _check_listening(where, nothing)
    if is_loopback_only(where):
        left.enter_context(_leaving_loopback())
    mode = mode_for(where)
    left.enter_context(_authenticated_as(mode[MODE]))
    try:
        ray.init(address=where, **printing)
    except (ConnectionError, ValueError, RuntimeError, RayError) as error:
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(
            f"the Ray cluster at {where} ({origin}) would let this client in, but: {why}"
        ) from None
    if mode[MODE] != "token" and not insecure:
        _LOGGER.warning("%s", open_warning(f"the cluster at {where}"))


def _ask_for_token() -> None:
    """Let Ray ask for the token in this process and its children, as it does itself since 2.59."""
    os.environ[MODE] = "token"
    Config.initialize("")


@contextlib.contextmanager
def _leaving_loopback() -> Iterator[None]:
    """Let Ray take 127.0.0.1 for itself inside the block, not for the address of a network card."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def _authenticated_as(mode: str) -> Iterator[None]:
    """Let Ray show the token inside the block, or show none."""
    before = os.environ.get(MODE)
    os.environ[MODE] = mode
    Config.initialize("")
    try:
        yield
    finally:
        del os.environ[MODE]
        os.environ.update({} if before is None else {MODE: before})
        Config.initialize("")


def _address_here(nothing: str) -> str:
    """Return the address of this machine's cluster, of which a dead one may have left a record.

    Ray itself would try for minutes to reach what the record names.
    """
    try:
        with _leaving_loopback():
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

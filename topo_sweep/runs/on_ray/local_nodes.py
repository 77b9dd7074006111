"""Ray nodes that this user starts and stops on this machine, by `ray start` and a note of them.

`ray stop` ends the nodes of everybody. So what a start leaves running is noted, each process with
its start time, in a file of this user, and only those are ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from nas_core.errors import InputError, TopoSweepError, unwritable
from nas_core.files import write_durably
from topo_sweep.runs.on_ray.tokens import MODE, ensure_token, mode_for
from topo_sweep.runs.processes import Process, adopt_orphans, below, boot_id, end

LOOPBACK: Final = "127.0.0.1"
KEEP_LOOPBACK: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Otherwise Ray turns 127.0.0.1 into a network card's address and listens on every interface."""
_ELSEWHERE: Final = "; XDG_STATE_HOME names another place"
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 4.0
"""Ray's own processes wait for each other longer than that, and hold nothing that is needed."""


@dataclass(frozen=True, kw_only=True)
class NodeRequest:
    """What a node is to be.

    Args:
        joins: HOST:PORT of the cluster; None starts the head of a new one.
        host: the address of an interface; None is the loopback of a head, and of a node that joins
            the interface that leads there.
        port: of a head; 0 is one that is free.
        cpus: None is those of the machine.
        gpus: None is those of the machine.
        insecure: start a head without a token.

    """

    joins: str | None = None
    host: str | None = None
    port: int = 6379
    cpus: int | None = None
    gpus: int | None = None
    insecure: bool = False


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that was started here.

    Args:
        address: HOST:PORT of its cluster.
        is_head: whether it is the head.
        token: where its token is, in words; None where it runs without.
        processes: all that were left running.

    """

    address: str
    is_head: bool
    token: str | None
    processes: tuple[Process, ...]


def start_node(request: NodeRequest) -> Node:
    """Start a node and note it; what it wants is checked before anything runs.

    Raises:
        InputError: something listens there already, no cluster answers or lets this user in, or the
            token or the note cannot be written.
        TopoSweepError: Ray could not start it; says what Ray said last.

    """
    if not Path("/proc/self/stat").exists():
        raise InputError("nodes are started and stopped on Linux alone: use `ray start` here")
    processes: set[Process] = set()
    try:
        with _noted() as nodes:
            plan = _head(request) if request.joins is None else _joined(request, request.joins)
            address, arguments, environment = plan
            token = ensure_token() if environment[MODE] == "token" else None
            for name, count in (("cpus", request.cpus), ("gpus", request.gpus)):
                arguments += [] if count is None else [f"--num-{name}={count}"]
            processes = _left_by(["start", *arguments], environment)
            node = Node(
                address=address,
                is_head=request.joins is None,
                token=token,
                processes=tuple(sorted(processes, key=lambda process: process.pid)),
            )
            nodes.append(node)
    except OSError as error:  # what is not noted could not be ended later
        end(processes, seconds=_STOP_SECONDS)
        raise unwritable(state_folder(), error, _ELSEWHERE) from None
    return node


def stop_nodes() -> list[Node]:
    """End the nodes that this user started here, the last one first; return those that ran.

    A process is ended only where its number and start time are those that were noted, with all
    that it has started since.
    """
    stopped = []
    with _noted() as nodes:
        while nodes:
            node = nodes[-1]
            running = {process for process in node.processes if process.is_running}
            running |= below([process.pid for process in running])
            end(running, seconds=_STOP_SECONDS)
            stopped.append(nodes.pop())
            if node.is_head:
                _forget_address(node.address)
    return stopped


def state_folder() -> Path:
    """Return the folder of this user in which nodes are noted."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "topo-sweep"


def is_loopback_only(address: str) -> bool:
    """Return whether a cluster listens on the loopback and not on this machine's network card."""
    from ray._private import services

    host, _, port = address.rpartition(":")
    return (
        host in (LOOPBACK, "localhost")
        and _listens(host, int(port))
        and not _listens(services.resolve_ip_for_localhost(host), int(port))
    )


def _head(request: NodeRequest) -> tuple[str, list[str], dict[str, str]]:
    """Return address, arguments and environment of a head."""
    host = request.host or LOOPBACK
    port = request.port or _free_port(host)
    if _listens(host, port):
        raise InputError(f"something listens at {host}:{port} already: choose another --port")
    arguments = ["--head", f"--node-ip-address={host}", f"--port={port}"]
    arguments += ["--include-dashboard=false", "--disable-usage-stats"]
    environment = {MODE: "disabled" if request.insecure else "token"}
    return f"{host}:{port}", arguments, environment | (KEEP_LOOPBACK if host == LOOPBACK else {})


def _joined(request: NodeRequest, address: str) -> tuple[str, list[str], dict[str, str]]:
    """Return address, arguments and environment of a node that joins a cluster."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"--join has the form HOST:PORT, got {address!r}")
    if not _listens(host, int(port)):
        raise InputError(f"nothing listens at {address}: give the address of a cluster's head")
    if is_loopback_only(address):
        raise InputError(
            f"the head at {address} listens on the loopback alone, where no other node can join: "
            "start it with --host and the address of a network card"
        )
    own = [] if request.host is None else [f"--node-ip-address={request.host}"]
    return address, [f"--address={address}", *own], dict(mode_for(address))


def _left_by(arguments: list[str], environment: dict[str, str]) -> set[Process]:
    """Run a command of Ray; return the processes that it leaves running.

    Raises:
        TopoSweepError: it failed; what it had started is ended.

    """
    inherited = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    adopt_orphans()
    before = below([os.getpid()])
    why, is_up = "", False
    try:
        with tempfile.TemporaryFile() as said:
            code = subprocess.run(  # noqa: S603 - Ray's own program
                [sys.executable, "-m", "ray.scripts.scripts", *arguments],
                env=inherited | {"RAY_USAGE_STATS_ENABLED": "0"} | environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                timeout=_START_SECONDS,
                check=False,
            ).returncode
            why, is_up = _last_line(said), code == 0
    except subprocess.TimeoutExpired:
        why = f"it did not come up in {_START_SECONDS:.0f} s"
    finally:  # also on Ctrl-C
        processes = below([os.getpid()]) - before
        if not is_up:
            end(processes, seconds=_STOP_SECONDS)
    if not is_up:
        raise TopoSweepError(f"Ray could not start a node: {why}")
    return processes


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1][-300:] if lines else "it did not say why"


@contextlib.contextmanager
def _noted() -> Iterator[list[Node]]:
    """Yield the noted nodes, held by this process alone; note what is left of them at the end.

    Raises:
        InputError: the note cannot be written.

    """
    folder = state_folder()
    file = folder / "nodes.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        lock = (folder / "nodes.lock").open("w")
    except OSError as error:
        raise unwritable(folder, error, _ELSEWHERE) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        nodes = _read(file)
        try:
            yield nodes
        finally:
            record = {"boot": boot_id(), "nodes": [asdict(node) for node in nodes]}
            write_durably(file, json.dumps(record, indent=1).encode())


def _read(file: Path) -> list[Node]:
    """Return what is noted and runs; nothing does where the machine has started since.

    Raises:
        InputError: the note is damaged.

    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["boot"] != boot_id():
            return []
        nodes = [
            Node(**(node | {"processes": tuple(Process(**each) for each in node["processes"])}))
            for node in record["nodes"]
        ]
        return [node for node in nodes if any(each.is_running for each in node.processes)]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{file} is damaged, so what was started here is not known: end Ray's processes "
            "yourself, then remove the file"
        ) from None


def _forget_address(address: str) -> None:
    """Remove Ray's record of its latest cluster of this machine where it is this one."""
    from ray._common import utils

    record = Path(utils.get_ray_address_file(None))
    with contextlib.suppress(OSError):
        if record.read_text(encoding="utf-8").strip() == address:
            record.unlink()


def _free_port(host: str) -> int:
    try:
        with socket.create_server((host, 0)) as listener:
            port: int = listener.getsockname()[1]
            return port
    except OSError as error:
        raise InputError(f"--host {host} is no address of this machine ({error})") from None


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=3.0).close()
    except (OSError, OverflowError):
        return False
    return True

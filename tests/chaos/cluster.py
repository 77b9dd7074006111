"""A Ray cluster of a head and two worker nodes on this machine, which lose parts and get new ones.

Where root may, worker nodes are in network namespaces of their own, so that they can be cut off;
elsewhere they have addresses of the loopback device.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.integration.processes import children, is_running, kill, named

TOKEN: Final = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "7" * 64}
_OF_NODES: Final = {
    # One that does not answer is dead after five seconds.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    # A worker starts when there is something to do.
    "RAY_enable_worker_prestart": "0",
}
_ME: Final = os.getpid()
_PORT: Final = 20000 + _ME % 10000
_BRIDGE: Final = f"ts{_ME}"
_NETWORK: Final = f"10.{64 + _ME % 64}.{_ME // 64 % 256}"
"""Of this process alone: campaigns may run beside each other."""
_START_SECONDS: Final = 60.0


def environment() -> dict[str, str]:
    """Return the variables of a process that knows this cluster and no other."""
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("RAY_")}
    return {**inherited, **TOKEN, "RAY_worker_niceness": "0"}


def may_cut() -> bool:
    """Return whether this process may make network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"ts{_ME}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        return False
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return True


@dataclass
class Node:
    """A place for a node, and the `ray start` that is there now."""

    address: str
    options: tuple[str, ...]
    log: Path
    """What the last `ray start` said."""
    namespace: str | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        """Whether its raylet computes."""
        return any(is_running(pid) for pid in self.pids("raylet/raylet"))

    def pids(self, name: str) -> set[int]:
        """Return the processes of this node whose name or arguments have this."""
        return set() if self.process is None else named(name, children(self.process.pid))

    @property
    def has_ended(self) -> bool:
        """Whether its `ray start` has, as it does a second after a part of it died."""
        return self.process is not None and self.process.poll() is not None

    @property
    def is_known(self) -> bool:
        """Whether its head has heard of it."""
        return self.process is not None and b"Ray runtime started" in self.log.read_bytes()

    def start(self) -> None:
        """Start it; it is known a few seconds later."""
        within = () if self.namespace is None else ("ip", "netns", "exec", self.namespace)
        command = [
            *within,
            *(sys.executable, "-u", "-m", "ray.scripts.scripts", "start", "--block"),
            *(f"--node-ip-address={self.address}", "--disable-usage-stats"),
            *("--object-store-memory=80000000", "--include-log-monitor=false", *self.options),
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env={**environment(), **_OF_NODES},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(self) -> None:
        """Kill all of it."""
        if self.process is not None:
            kill(*children(self.process.pid), self.process.pid)
            self.process.wait()
            self.process = None


@dataclass
class Cluster:
    """A head that trains nothing, and worker nodes of a CPU each."""

    head: Node
    workers: list[Node]
    can_cut: bool

    @property
    def address(self) -> str:
        """Where to join it."""
        return f"{self.head.address}:{_PORT}"

    def start(self) -> None:
        """Start what is not up, and wait until all nodes are known."""
        if not self.head.is_up or not self.head.pids("gcs_server"):
            self.end()
            self.head.start()
        for node in (self.head, *self.workers):  # of two that begin at once one gives up
            self._wait(node)

    def come_again(self) -> None:
        """Let worker nodes that died join again, where their head lives."""
        for node in self.workers:
            if node.has_ended and self.head.is_up and self.head.pids("gcs_server"):
                node.end()
                node.start()

    def end(self) -> None:
        """Kill every process of it."""
        for node in (*self.workers, self.head):
            node.end()

    def cut(self, node: Node) -> None:
        """Take a node off the network."""
        self._link(node, "down")

    def heal(self, node: Node) -> None:
        """Put it back."""
        self._link(node, "up")

    def _link(self, node: Node, state: str) -> None:
        assert node.namespace is not None, "nodes on the loopback device cannot be cut off"
        subprocess.run(["ip", "link", "set", f"v-{node.namespace}", state], check=True)

    def _wait(self, node: Node) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not node.is_known or node.has_ended:
            assert time.monotonic() < deadline, f"a node did not come up: {node.log.read_text()}"
            if node.process is None or node.has_ended:  # on a busy machine it may give up
                node.end()
                node.start()
            time.sleep(0.05)


@contextlib.contextmanager
def cluster(logs: Path) -> Iterator[Cluster]:
    """Run a cluster inside the block; nothing of it is left behind but logs in this folder."""
    can_cut = may_cut()
    with _network(2) if can_cut else contextlib.nullcontext(_loopback(2)) as places:
        (address, _), *workers = places
        as_head = ("--head", f"--port={_PORT}", "--num-cpus=0")
        joining = (f"--address={address}:{_PORT}", "--num-cpus=1")
        nodes = Cluster(
            Node(
                address,
                (*as_head, "--include-dashboard=false", "--no-monitor"),
                logs / "head.log",
            ),
            [
                Node(worker, joining, logs / f"node {number}.log", namespace)
                for number, (worker, namespace) in enumerate(workers, 1)
            ],
            can_cut,
        )
        try:
            nodes.start()
            yield nodes
        finally:
            nodes.end()


def _loopback(workers: int) -> list[tuple[str, str | None]]:
    return [(f"127.0.0.{number + 2}", None) for number in range(workers + 1)]


@contextlib.contextmanager
def _network(workers: int) -> Iterator[list[tuple[str, str | None]]]:
    """Make a bridge, and a namespace on it for each worker; yield addresses and namespaces."""
    names = [f"ts{_ME}-{number + 1}" for number in range(workers)]
    _remove(names)
    try:
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{_NETWORK}.1/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for number, name in enumerate(names):
            _ip("netns", "add", name)
            _ip("link", "add", f"v-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"v-{name}", "master", _BRIDGE, "up")
            _ip("-n", name, "addr", "add", f"{_NETWORK}.{number + 2}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        addresses = [f"{_NETWORK}.{number + 2}" for number in range(workers)]
        yield [(f"{_NETWORK}.1", None), *zip(addresses, names, strict=True)]
    finally:
        _remove(names)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _remove(names: list[str]) -> None:
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
    subprocess.run(["ip", "link", "delete", _BRIDGE], check=False, capture_output=True)

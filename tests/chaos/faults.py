"""What can go wrong around a sweep that runs, each as one function that makes it happen."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pyarrow.parquet as pq

from tests.chaos.cluster import Cluster
from tests.chaos.driver import Driver
from tests.integration.processes import kill
from tests.program import done
from tests.s3 import Fault as OfS3
from tests.s3 import Kind, Proxy

_CUT_SECONDS: Final = 7.0
_FULL_SECONDS: Final = 3.0
_HALFWAY_SECONDS: Final = 20.0
_STOPPED_SECONDS: Final = (0.5, 10.0)
"""Some so long that what was stopped is thought dead, and comes back."""
_S3_SECONDS: Final = (0.5, 10.0)


@dataclass
class Scene:
    """The sweep that runs, where it does, and what decides at random."""

    cluster: Cluster
    driver: Driver
    random: Random
    s3: Proxy | None = None
    """The way to the results, where they lie on S3."""

    def one_of(self, pids: Collection[int]) -> int | None:
        """Return one of these processes; None where there is none."""
        return self.random.choice(sorted(pids)) if pids else None

    def workers(self) -> set[int]:
        """Return the processes that train, or may: Ray calls some of them idle."""
        names = ("Trainable", "ray::IDLE")
        return {pid for node in self.cluster.workers for name in names for pid in node.pids(name)}

    def pause(self, pid: int | None) -> bool:
        """Stop a process for a moment."""
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.random.uniform(*_STOPPED_SECONDS))
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return False
        return True


Fault = Callable[[Scene], bool]
"""Makes something go wrong; returns whether there was anything to do it to."""


def worker_killed(scene: Scene) -> bool:
    pid = scene.one_of(scene.workers())
    kill(*([] if pid is None else [pid]))
    return pid is not None


def worker_stopped(scene: Scene) -> bool:
    return scene.pause(scene.one_of(scene.workers()))


def worker_out_of_memory(scene: Scene) -> bool:
    """Let a worker get no byte more than it has; what it trains next does not fit."""
    pid = scene.one_of(scene.workers())
    if pid is None:
        return False
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        has = next(int(line.split()[1]) for line in status.splitlines() if "VmSize" in line)
        _, most = resource.prlimit(pid, resource.RLIMIT_AS)
        resource.prlimit(pid, resource.RLIMIT_AS, (has * 1024, most))
        time.sleep(1.0)
        resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
    except (OSError, StopIteration):
        return False
    return True


def pack_killed_halfway(scene: Scene) -> bool:
    """Kill all that trains once some members of a pack have a row, and others have none."""
    deadline = time.monotonic() + _HALFWAY_SECONDS
    while _has_unequal_packs(scene.driver.results) and time.monotonic() < deadline:
        if is_halfway(scene.driver.results):
            pids = scene.workers()
            kill(*pids)
            return bool(pids)
        time.sleep(0.05)
    return False


def _has_unequal_packs(results: Path) -> bool:
    """Return whether members of a pack may end at different times, as those of searches do."""
    manifests = [json.loads(path.read_text("utf-8")) for path in results.glob("*/sweep.json")]
    return any(each["kind"] == "search" and each["packs"] for each in manifests)


def is_halfway(results: Path) -> bool:
    """Return whether some members of a pack have a row and others have none.

    False too where that cannot be read just now, since parts are being merged or written.
    """
    with contextlib.suppress(OSError, ValueError):
        for path in results.glob("*/sweep.json"):
            parts = path.parent.glob("searches/part-*.parquet")
            ended = {key for part in parts for key in pq.read_table(part)["search_id"].to_pylist()}
            packs = json.loads(path.read_text("utf-8"))["packs"]
            if any(ended.intersection(pack) and not ended.issuperset(pack) for pack in packs):
                return True
    return False


def node_killed(scene: Scene) -> bool:
    node = scene.random.choice(scene.cluster.workers)
    pids = node.pids("raylet/raylet")
    kill(*pids)
    return bool(pids)


def node_stopped(scene: Scene) -> bool:
    node = scene.random.choice(scene.cluster.workers)
    return scene.pause(scene.one_of(node.pids("raylet/raylet")))


def node_cut_off(scene: Scene) -> bool:
    """Cut a node off for so long that it is thought dead, and let it come back."""
    node = scene.random.choice(scene.cluster.workers)
    scene.cluster.cut(node)
    time.sleep(_CUT_SECONDS)
    scene.cluster.heal(node)
    return True


def head_killed(scene: Scene) -> bool:
    pids = scene.cluster.head.pids("gcs_server")
    kill(*pids)
    return bool(pids)


def head_raylet_killed(scene: Scene) -> bool:
    """Kill what ties the driver to the cluster, which ends both; the next start finds a new one."""
    pids = scene.cluster.head.pids("raylet/raylet")
    kill(*pids)
    return bool(pids)


def head_stopped(scene: Scene) -> bool:
    return scene.pause(scene.one_of(scene.cluster.head.pids("gcs_server")))


def driver_killed(scene: Scene) -> bool:
    return scene.driver.kill()


def driver_stopped(scene: Scene) -> bool:
    return scene.pause(scene.one_of(scene.driver.pids()))


def ctrl_c(scene: Scene) -> bool:
    return scene.driver.interrupt()


def clock_jumped(scene: Scene) -> bool:
    """Put the driver's clock an hour or a week ahead or back."""
    hours = scene.random.choice([1, 168]) * scene.random.choice([-1, 1])
    scene.driver.clock.write_text(str(3600 * hours), encoding="utf-8")
    return True


def disk_full(scene: Scene) -> bool:
    """Fill the disk of the results, and make room a few seconds later."""
    filler = scene.driver.results.parent / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for _ in range(2**10):  # more than a small disk has, and little of another
                file.write(bytes(2**16))
    except OSError:
        time.sleep(_FULL_SECONDS)
        return True
    finally:
        filler.unlink()
    return False


def s3_down(scene: Scene) -> bool:
    """Let S3 answer nothing but that it is overloaded."""
    return _of_s3(scene, "503")


def s3_answers_lost(scene: Scene) -> bool:
    """Let S3 do what it is asked for, and nobody hear of it."""
    return _of_s3(scene, "lose")


def s3_silent(scene: Scene) -> bool:
    """Let S3 never answer."""
    return _of_s3(scene, "hang")


def _of_s3(scene: Scene, kind: Kind) -> bool:
    if scene.s3 is None:
        return False
    scene.s3.faults.append(OfS3(kind, count=10**9))
    time.sleep(scene.random.uniform(*_S3_SECONDS))
    scene.s3.faults.clear()
    return True


def file_torn(scene: Scene) -> bool:
    """Kill the driver, cut off the end of one of its files, and let `check` move it aside."""
    return _damaged(scene, lambda content: content[: len(content) // 2])


def bit_flipped(scene: Scene) -> bool:
    """Kill the driver, change a bit of one of its files, and let `check` move it aside."""

    def flipped(content: bytes) -> bytes:
        bit = scene.random.randrange(8 * len(content))
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    return _damaged(scene, flipped)


def _damaged(scene: Scene, change: Callable[[bytes], bytes]) -> bool:
    results = scene.driver.results
    if scene.s3 is not None or not list(results.glob("*/sweep.json")):
        return False
    scene.driver.kill()
    patterns = ("*/trials/*.parquet", "*/epochs/*.parquet", "*/search*/*.parquet")
    files = sorted(
        path
        for pattern in (*patterns, "*/checkpoints/*.safetensors", "*/sweep.json")
        for path in results.glob(pattern)
    )
    file = scene.random.choice(files)
    file.write_bytes(change(file.read_bytes()))
    done(results.parent, "check", results.name, "--repair")
    return True


FAULTS: Final[dict[str, Fault]] = {
    each.__name__.replace("_", " "): each
    for each in (
        *(worker_killed, worker_stopped, worker_out_of_memory, pack_killed_halfway),
        *(node_killed, node_stopped, node_cut_off),
        *(head_killed, head_raylet_killed, head_stopped),
        *(driver_killed, driver_stopped, ctrl_c),
        *(clock_jumped, disk_full, file_torn, bit_flipped),
        *(s3_down, s3_answers_lost, s3_silent),
    )
}
"""Every fault by its name in a tally."""


def possible(
    kinds: Sequence[str], *, can_cut: bool, can_fill: bool, say: Callable[[str], None]
) -> list[str]:
    """Return the kinds of faults that can come here; say of each other one what it takes."""
    takes: dict[str, str] = {}
    if not can_cut:
        takes["node cut off"] = "network namespaces, which root makes with `ip`"
    if not can_fill:
        takes["disk full"] = "a small disk, which root mounts"
    for kind in kinds:
        if kind in takes:
            say(f"{kind}: left out, it takes {takes[kind]}")
    left = [kind for kind in kinds if kind not in takes]
    if not left:
        raise SystemExit("no kind of fault is left")
    return left

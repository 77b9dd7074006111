"""Whether this machine, or a cluster, is fit for a sweep: one finding a check, with what to do.

What a check rests on comes from a function or an argument, so that each can be told any machine.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.errors import InputError, first_line
from nas_core.protocols.data import dataset_info
from nas_core.protocols.training import PRESETS
from nas_core.training.pack import Member
from topo_sweep.analysis.text import aligned, counted
from topo_sweep.runs.timing.step_time import time_steps
from topo_sweep.store.files import is_elsewhere, try_out

_LEAST_BYTES: Final = 2**28
"""Less than that is soon full: a part of a store and a checkpoint are some megabytes each."""
_FEW_BYTES: Final = 2**31
_REACH_SECONDS: Final = 3.0


Level = Literal["ok", "warn", "fail"]
_LEVELS: Final[Sequence[Level]] = ("ok", "warn", "fail")
"""From the best to the worst."""


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    check: str
    level: Level
    found: str
    advice: str = ""
    """What to do, where something is wrong."""


@dataclass(frozen=True)
class Gpus:
    """The GPUs of a machine, as its driver and as PyTorch see them.

    Args:
        driver: the version of NVIDIA's driver; None where there is none.
        built_for: the CUDA that PyTorch was built for; None of a build for CPUs.
        seen: name and bytes of memory of each that PyTorch sees.

    """

    driver: str | None
    built_for: str | None
    seen: Sequence[tuple[str, int]]


def machine_findings(results: Path) -> Iterator[Finding]:
    """Check this machine; `results` is the folder of sweeps, which may not be there yet."""
    from topo_sweep.runs.on_ray.nodes import versions_here

    yield versions_finding(versions_here())
    yield from _device_findings()
    yield disk_finding(results)
    if is_elsewhere(results):
        yield place_finding(results)
    yield token_finding()


def cluster_findings(results: Path, address: str | None) -> list[Finding]:
    """Join a cluster and check it; that it cannot be joined is a finding."""
    from topo_sweep.runs.on_ray import cluster, nodes

    try:
        with cluster.connected(cluster=True, address=address, verbose=False, insecure=True) as what:
            found = nodes.nodes_of_now()
            alive = [node for node in found if node.is_alive]
            fit = [node for node in alive if nodes.fault_of(node) is None]
            folder = str(results.absolute())
            asked = {n.node_id: nodes.ask(n.node_id, findings_there, folder, n.gpus) for n in fit}
            answers = dict.fromkeys(asked, nodes.NOT_LOOKED)
            answers |= nodes.heard(asked, nodes.READ_SECONDS)
            return [
                Finding("cluster", "ok", what),
                open_finding(asks=cluster.asks_for_token()),
                nodes_finding({node.address: nodes.fault_of(node) for node in alive}),
                *(node_finding(node.address, answers[node.node_id]) for node in fit),
                ports_finding(nodes.ports_of_now()),
                folder_finding(results, nodes.read_each_others_files),
            ]
    except InputError as error:
        return [Finding("cluster", "fail", str(error))]


def text(findings: Sequence[Finding]) -> str:
    """Return a line a finding, with the advice behind."""
    said = [f"{each.found}{f': {each.advice}' if each.advice else ''}" for each in findings]
    rows = [(each.level, each.check, words) for each, words in zip(findings, said, strict=True)]
    return "\n".join(aligned(rows, left=range(3)))


def versions_finding(versions: Mapping[str, str]) -> Finding:
    """Tell what is installed."""
    words = ", ".join(f"{name} {version}" for name, version in versions.items())
    if missing := [name for name, version in versions.items() if version == "none"]:
        return Finding("versions", "fail", words, f"install {' and '.join(missing)}")
    return Finding("versions", "ok", f"{words}, {platform.system()} {platform.release()}")


def gpus_here() -> Gpus:
    """Ask NVIDIA's driver and PyTorch."""
    try:
        asked = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        driver = next(iter(asked.stdout.split()), None)
    except (OSError, subprocess.SubprocessError):
        driver = None
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = [torch.cuda.get_device_properties(number) for number in range(count)]
    seen = [(device.name, device.total_memory) for device in devices]
    return Gpus(driver, torch.version.cuda, seen)


def gpus_finding(gpus: Gpus) -> Finding:
    """Tell the GPUs; those that PyTorch does not see would lie idle."""
    if gpus.seen:
        words = ", ".join(f"{name} with {size / 2**30:.0f} GiB" for name, size in gpus.seen)
        return Finding("GPUs", "ok", f"{words}; driver {gpus.driver or 'of unknown version'}")
    if gpus.driver is None:
        return Finding("GPUs", "ok", "none: networks train on CPUs")
    if gpus.built_for is None:
        advice = "install a PyTorch that is built for CUDA, see pytorch.org"
        return Finding("GPUs", "fail", "there are some, and this PyTorch is for CPUs", advice)
    return Finding(
        "GPUs",
        "fail",
        f"driver {gpus.driver} has some, and PyTorch for CUDA {gpus.built_for} sees none",
        "renew the driver, and look at CUDA_VISIBLE_DEVICES",
    )


def kernel_finding(gpus: int, device: str = "cuda") -> Finding:
    """Multiply two matrices on each GPU and look at the result."""
    if not gpus:
        return Finding("CUDA", "ok", "none")
    try:
        for number in range(gpus):
            ones = torch.ones(64, 64, device=torch.device(device, number))
            if (ones @ ones).sum().item() != 64**3:
                return Finding("CUDA", "fail", f"GPU {number} computes wrongly", "do not use it")
    except RuntimeError as error:
        advice = "install a PyTorch that is built for this GPU, see pytorch.org"
        words = f"no kernel runs on GPU {number} ({first_line(error)})"
        return Finding("CUDA", "fail", words, advice)
    return Finding("CUDA", "ok", f"kernels run on {counted(gpus, 'GPU')}")


def step_finding(device: str) -> Finding:
    """Time a training step of the demo's network."""
    topology = Topology.from_index(0)
    cells = (CellEdges.uniform(topology, name) for name in ("sep_conv_3x3", "max_pool_3x3"))
    try:
        timed = time_steps(
            [Member(Genotype(*cells), seed=0)],
            PRESETS["demo"],
            dataset_info("digits"),
            device=device,
            threads=1,
            packed=False,
            at_most_seconds=1.0,
        )
    except RuntimeError as error:
        advice = "nothing can train here: reinstall PyTorch"
        return Finding("training step", "fail", first_line(error), advice)
    words = f"{1000 * timed.seconds:.1f} ms on the {device.upper()}, of the demo's network"
    return Finding("training step", "ok", words)


def disk_finding(results: Path) -> Finding:
    """Tell how much room is where results go, and whether this user can write there."""
    folder = results.absolute()
    while not folder.exists():
        folder = folder.parent
    elsewhere = "--results names another place"
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return Finding("disk", "fail", f"nothing can be written to {folder}", elsewhere)
    free = shutil.disk_usage(folder).free
    what = "the working copy of " * is_elsewhere(results)
    words = f"{free / 2**30:.1f} GiB free for {what}{results}"
    if free < _LEAST_BYTES:
        return Finding("disk", "fail", words, f"make room, or {elsewhere}")
    if free < _FEW_BYTES:
        return Finding("disk", "warn", words, f"checkpoints may fill it; {elsewhere}")
    return Finding("disk", "ok", words)


def place_finding(results: Path) -> Finding:
    """Tell whether this user can write and read where results lie, on S3 or the like."""
    try:
        try_out(results)
    except (InputError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        advice = "see whether bucket, endpoint, region and credentials are right"
        return Finding("results place", "fail", f"{results}: {why}", advice)
    return Finding("results place", "ok", f"{results} can be written and read")


def token_finding() -> Finding:
    """Tell where the token of clusters is, never what it is."""
    from topo_sweep.runs.on_ray.tokens import token_file, token_place

    place, path = token_place(), token_file()
    if place is None:
        words = "none yet: `topo-sweep cluster start --head` makes one"
        return Finding("token", "ok", words)
    if place == str(path) and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding("token", "warn", f"others can read {place}", f"chmod 600 {place}")
    return Finding("token", "ok", place)


def open_finding(*, asks: bool) -> Finding:
    """Tell whether a cluster lets anybody in."""
    if asks:
        return Finding("entry", "ok", "the cluster asks for a token")
    advice = "start it with `topo-sweep cluster start --head`"
    return Finding("entry", "warn", "anybody who reaches it can run any code as you", advice)


def nodes_finding(faults: Mapping[str, str | None]) -> Finding:
    """Tell which nodes cannot train as this driver would."""
    wrong = [f"{address} {why}" for address, why in faults.items() if why]
    if wrong:
        advice = "install there what is installed here, or stop those nodes"
        return Finding("nodes", "fail", "; ".join(wrong), advice)
    return Finding("nodes", "ok", f"{counted(len(faults), 'node')} with the versions of this one")


def findings_there(results: str, gpus: float) -> list[Finding]:
    """Check the machine of a node, on it.

    Args:
        results: an absolute path; its disk counts only where the node sees that folder.
        gpus: that the node lends.

    """
    from topo_sweep.runs.on_ray.questions import cuda_function

    found = list(_device_findings())
    if gpus and (why := cuda_function()()):
        advice = "start it with --num-gpus 0, or install a PyTorch and a driver that fit"
        found.append(Finding("CUDA", "fail", why, advice))
    return [*found, disk_finding(Path(results))] if Path(results).is_dir() else found


def node_finding(address: str, answer: Sequence[Finding] | Exception) -> Finding:
    """Tell in one line what a node found on its machine, and how bad the worst of it is."""
    if isinstance(answer, Exception):
        words = str(answer) if isinstance(answer, TimeoutError) else first_line(answer)
        return Finding(f"node {address}", "fail", words, "look at it there by `topo-sweep doctor`")
    return Finding(
        f"node {address}",
        max((each.level for each in answer), key=_LEVELS.index),
        "; ".join(f"{each.check} {each.found}" for each in answer),
        "; ".join(each.advice for each in answer if each.advice),
    )


def ports_finding(ports: Mapping[str, int]) -> Finding:
    """Tell which nodes cannot be reached from here; the ports are those of their raylets."""
    closed = [f"{host}:{port}" for host, port in ports.items() if not _reaches(host, port)]
    if closed:
        advice = "open all ports between the machines of the cluster: Ray chooses many at random"
        return Finding("ports", "fail", f"no way from here to {', '.join(closed)}", advice)
    return Finding("ports", "ok", f"{counted(len(ports), 'machine')} reached from here")


def folder_finding(
    results: Path, read_each_others_files: Callable[[Path], Sequence[str]]
) -> Finding:
    """Tell whether nodes see one results folder: without it, checkpoints are not kept there."""
    if is_elsewhere(results):
        return Finding("results folder", "ok", "each node reaches it with credentials of its own")
    if not results.is_dir():
        advice = "make it, and look again"
        return Finding("results folder", "warn", f"there is no folder {results} yet", advice)
    if wrong := read_each_others_files(results.absolute()):
        advice = "rows are kept all the same, but what is interrupted there starts over"
        return Finding("results folder", "warn", "; ".join(wrong), advice)
    return Finding("results folder", "ok", "each node reads what the others write there")


def _device_findings() -> Iterator[Finding]:
    gpus = gpus_here()
    yield gpus_finding(gpus)
    yield kernel_finding(len(gpus.seen))
    yield step_finding("cuda" if gpus.seen else "cpu")


def _reaches(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_REACH_SECONDS).close()
    except OSError:
        return False
    return True

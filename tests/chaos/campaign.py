"""Campaigns: sweeps run, faults come, and what is stored is compared with undisturbed runs.

Everything random comes from a seed, but for the instants, which depend on the machine.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

import pyarrow.fs as pafs

from tests.chaos.cluster import cluster
from tests.chaos.driver import Driver
from tests.chaos.faults import FAULTS, Scene, possible
from tests.chaos.outcome import Outcome, Tally, compared, is_over, is_told
from tests.program import done
from tests.s3 import ENVIRONMENT, Proxy, moto, proxy_of

_TINY: Final = (
    *("--dataset", "digits", "--train-limit", "64", "--epochs", "25"),
    *("--set", "init_channels=2", "--set", "cells=3"),
)
_SEARCHES: Final = """
name: searches
kind: search
methods: [search_subspace]
spaces: [SS3]
cells: [5]
search: {init_channels: 2, epochs: 8, images: 32, batch_size: 32, alpha_order: 1}
seeds: 20-23
protocol: {preset: demo, cells: 3, init_channels: 2, epochs: 4}
evaluation_seeds: 0-1
data: {dataset: digits, train_limit: 64}
"""
REQUESTS: Final = {
    "trainings": ("run", "demo", "--topologies", "0-11", *_TINY),
    "packs": ("run", "demo", "--topologies", "0-11", *_TINY, "--pack", "3"),
    "searches": ("run", "./searches.yaml", "--seeds", "20-22"),
    # Some of a pack stop before the others; as many packs, whatever workers there are.
    "packed searches": (
        *("run", "./searches.yaml", "--pack", "2"),
        *("--set", "search.stop=ranking", "--set", "search.stop_stable_epochs=2"),
    ),
    "trainings on S3": ("run", "demo", "--topologies", "0-11", *_TINY),
}
_EXECUTION: Final = ("--gpus-per-pack", "0", "--checkpoint-seconds", "0.2")
_BETWEEN_FAULTS: Final = (0.5, 5.0)
_AFTER_SAID: Final = {"": (0.5, 5.0), "results: ": (0.5, 15.0)}
"""Seconds to the first fault from a start of the driver, or from what it says as its run begins."""
_MOST_SECONDS: Final = 600.0
"""That a sweep may take, faults included."""
_DISK: Final = "size=64m"
_LOCAL: Final = pafs.LocalFileSystem()


def campaign(
    folder: Path,
    *,
    faults: int,
    seed: int,
    kinds: Sequence[str] = tuple(FAULTS),
    requests: Mapping[str, tuple[str, ...]] = REQUESTS,
    most_in_a_sweep: int = 10,
    say: Callable[[str], None] = print,
) -> Tally:
    """Run sweeps until so many faults have come, then let the last end; return the tally.

    Kinds that take rights which this process does not have are left out of the draw. A sweep that
    `most_in_a_sweep` have come to is left alone until it ends.
    """
    random = Random(seed)  # noqa: S311 - no secret
    tally, began = Tally(), time.monotonic()
    (folder / "searches.yaml").write_text(_SEARCHES, encoding="utf-8")
    different = enumerate(dict.fromkeys(requests.values()))
    whole = {each: _undisturbed(folder / f"undisturbed-{n}", each) for n, each in different}
    with (
        _variables(ENVIRONMENT),
        cluster(folder) as nodes,
        _disk(folder / "disk") as disk,
        _s3(nodes.head.address) as s3,
    ):
        kinds = possible(kinds, can_cut=nodes.can_cut, can_fill=disk.is_mount(), say=say)
        while tally.faults < faults:
            number = len(tally.sweeps)
            name = list(requests)[number % len(requests)]
            place = disk / f"{number}"
            place.mkdir()
            (place / "searches.yaml").write_text(_SEARCHES, encoding="utf-8")
            request = (*requests[name], *_EXECUTION, "--address", nodes.address)
            log = folder / f"{number} {name}.log"
            driver, way = Driver(request, place, log), None
            if name.endswith("on S3"):
                way, bucket = s3, f"bucket-{number}"
                direct = _made(bucket, s3.server)
                variables = {
                    "AWS_ENDPOINT_URL": f"http://{s3.endpoint}",
                    "XDG_CACHE_HOME": str(place),
                }
                driver = Driver((*request, "--results", f"s3://{bucket}"), place, log, variables)
            most = min(most_in_a_sweep, faults - tally.faults)
            hit, ends = disturbed(Scene(nodes, driver, random, way), tally, most, kinds, say)
            if way is not None:
                copied = {"source_filesystem": direct, "destination_filesystem": _LOCAL}
                pafs.copy_files(bucket, str(place / "results"), **copied)
            outcome = compared(place / "results", whole[requests[name]])
            tally.sweeps.append((log.stem, hit, outcome + ends))
            tally.starts += driver.starts
            subprocess.run(["rm", "-rf", str(place)], check=True)
    tally.seconds = time.monotonic() - began
    return tally


@contextlib.contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Have these variables inside the block: Ray's nodes pass them on to their workers."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _s3(host: str) -> Iterator[Proxy]:
    """Run an S3 server that all nodes reach, by a proxy at this address."""
    with moto() as server, proxy_of(server, host) as proxy:
        yield proxy


def _made(bucket: str, server: str) -> pafs.S3FileSystem:
    """Make a bucket; return the way to it that no fault meets."""
    direct = pafs.S3FileSystem(endpoint_override=server, scheme="http", allow_bucket_creation=True)
    direct.create_dir(bucket)
    return direct


def _undisturbed(place: Path, request: tuple[str, ...]) -> Path:
    place.mkdir()
    (place / "searches.yaml").write_text(_SEARCHES, encoding="utf-8")
    done(place, *request, "--executor", "inline")
    return place / "results"


def disturbed(
    scene: Scene, tally: Tally, most: int, kinds: Sequence[str], say: Callable[[str], None]
) -> tuple[list[str], Outcome]:
    """Run a sweep to its end under so many faults at most.

    Half of the starts are left alone until the run has begun, however busy the machine is.

    Returns:
        The kinds that came; the ends of its driver that were untold, and whether it did not end in
        time: then its driver and the cluster are killed.

    """
    hit: list[str] = []
    untold = 0
    awaited: str | None = None
    """What the driver has to say before the next fault is drawn."""
    next_fault = deadline = time.monotonic() + _MOST_SECONDS
    while time.monotonic() < deadline:
        ended = scene.driver.ended
        if ended is not None:
            untold += not is_told(ended, scene.driver.said)
            if is_over(ended, scene.driver.said):
                return hit, Outcome(untold=untold)
        if scene.driver.process is None or ended is not None:
            scene.cluster.start()
            scene.driver.start()
            awaited, next_fault = scene.random.choice(list(_AFTER_SAID)), deadline
        if awaited is not None and awaited in scene.driver.said:
            next_fault = time.monotonic() + scene.random.uniform(*_AFTER_SAID[awaited])
            awaited = None
        scene.cluster.come_again()
        if len(hit) < most and time.monotonic() > next_fault:
            kind = scene.random.choice(list(kinds))
            if FAULTS[kind](scene):
                hit.append(kind)
                say(f"{tally.faults + len(hit)}: {kind}")
            else:
                tally.in_vain[kind] += 1
            next_fault = time.monotonic() + scene.random.uniform(*_BETWEEN_FAULTS)
        time.sleep(0.05)
    say(f"the sweep does not end, after {hit}")
    scene.driver.kill()
    scene.cluster.end()
    return hit, Outcome(untold=untold, unended=1)


@contextlib.contextmanager
def _disk(place: Path) -> Iterator[Path]:
    """Mount a small disk where root may; else be a folder."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", _DISK, "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield place
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)

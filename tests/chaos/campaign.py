"""Campaigns: sweeps run, faults come, and what is stored is compared with undisturbed runs.

Everything random comes from a seed, but for the instants, which depend on the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import pandas as pd
import pyarrow.fs as pafs
from numpy.typing import NDArray

from tests.chaos.cluster import cluster
from tests.chaos.driver import Driver
from tests.chaos.faults import FAULTS, Scene
from tests.conftest import comparable
from tests.integration.small_searches import stored
from tests.program import comparable_alphas, comparable_searches, done
from tests.s3 import ENVIRONMENT, Proxy, moto, proxy_of
from topo_sweep.store.opened import OpenedSweep, sweeps_in

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
_EXECUTION: Final = ("--gpus-per-pack", "0", "--checkpoint-seconds", "0.2", "--retries", "99")
_BETWEEN_FAULTS: Final = (0.5, 5.0)
_MOST_SECONDS: Final = 600.0
"""That a sweep may take, faults included."""
_DISK: Final = "size=64m"
_LOCAL: Final = pafs.LocalFileSystem()


@dataclass
class Tally:
    """What a campaign did, and what came of it."""

    injected: Counter[str] = field(default_factory=Counter)
    in_vain: Counter[str] = field(default_factory=Counter)
    """Faults for which there was nothing to hit at their instant."""
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    split: int = 0
    """Trials of packs that were halved: their last digits may differ."""
    failed: int = 0
    starts: int = 0
    rounds: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled, changed or failed."""
        return not (self.lost or self.doubled or self.changed or self.failed)

    def text(self) -> str:
        """Return the tally for people."""
        lines = [f"{kind:22} {count:4}" for kind, count in sorted(self.injected.items())]
        lines.append(
            f"{sum(self.injected.values())} faults in {self.rounds} sweeps, {self.starts} starts "
            f"of a driver, {self.seconds / 60:.1f} minutes: {self.lost} lost, "
            f"{self.doubled} doubled, {self.changed} changed, {self.failed} failed; "
            f"{self.split} in packs that were halved"
        )
        return "\n".join([*lines, *self.notes])


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

    A sweep that `most_in_a_sweep` have come to is left alone until it ends.
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
        while sum(tally.injected.values()) < faults:
            name = list(requests)[tally.rounds % len(requests)]
            place = disk / f"{tally.rounds}"
            place.mkdir()
            (place / "searches.yaml").write_text(_SEARCHES, encoding="utf-8")
            request = (*requests[name], *_EXECUTION, "--address", nodes.address)
            log = folder / f"{tally.rounds} {name}.log"
            driver, way = Driver(request, place, log), None
            if name.endswith("on S3"):
                way, bucket = s3, f"bucket-{tally.rounds}"
                direct = _made(bucket, s3.server)
                variables = {
                    "AWS_ENDPOINT_URL": f"http://{s3.endpoint}",
                    "XDG_CACHE_HOME": str(place),
                }
                driver = Driver((*request, "--results", f"s3://{bucket}"), place, log, variables)
            most = min(most_in_a_sweep, faults - sum(tally.injected.values()))
            hit = _disturbed(Scene(nodes, driver, random, way), tally, most, kinds, say)
            if way is not None:
                copied = {"source_filesystem": direct, "destination_filesystem": _LOCAL}
                pafs.copy_files(bucket, str(place / "results"), **copied)
            what = f"round {tally.rounds}, {name}: {hit}"
            _compare(place / "results", whole[requests[name]], what, tally)
            tally.rounds += 1
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


def _disturbed(
    scene: Scene, tally: Tally, most: int, kinds: Sequence[str], say: Callable[[str], None]
) -> list[str]:
    """Run a sweep to its end under so many faults at most; return their kinds."""
    hit: list[str] = []
    deadline = time.monotonic() + _MOST_SECONDS
    next_fault = time.monotonic() + 8.0
    while True:
        assert time.monotonic() < deadline, f"the sweep does not end, after {hit}"
        if scene.driver.ended == 0:
            return hit
        if scene.driver.process is None or scene.driver.ended is not None:
            scene.cluster.start()
            scene.driver.start()
            next_fault = time.monotonic() + scene.random.uniform(*_BETWEEN_FAULTS)
        scene.cluster.come_again()
        if len(hit) < most and time.monotonic() > next_fault:
            kind = scene.random.choice(list(kinds))
            if FAULTS[kind](scene):
                hit.append(kind)
                tally.injected[kind] += 1
                say(f"{sum(tally.injected.values())}: {kind}")
            else:
                tally.in_vain[kind] += 1
            next_fault = time.monotonic() + scene.random.uniform(*_BETWEEN_FAULTS)
        time.sleep(0.05)


def _compare(results: Path, whole: Path, what: str, tally: Tally) -> None:
    """Count what a disturbed sweep lost, has twice or has otherwise than the undisturbed one."""
    (ours,) = sweeps_in(results)
    halved = _halved(ours)
    before = tally.lost, tally.doubled, tally.changed, tally.failed
    tables = ["trials"] if ours.manifest.kind != "search" else ["trials", "searches"]
    for table in tables:
        frame = comparable if table == "trials" else comparable_searches
        key = "trial_id" if table == "trials" else "search_id"
        got, expected = (frame(each).set_index(key) for each in (results, whole))
        lost = expected.index.difference(got.index)
        common = expected.index.intersection(got.index)
        columns = [c for c in expected if c not in ("attempt", "execution")]
        failed = got.loc[common, "status"] == "failed"
        same = _equal_rows(got.loc[common, columns], expected.loc[common, columns])
        exempt = common.isin(halved)
        tally.lost += len(lost)
        tally.failed += int(failed.sum())
        tally.changed += int((~same & ~failed.to_numpy() & ~exempt).sum())
        tally.split += int(exempt.sum())
        tally.doubled += stored(results, table) - len(got)
    if ours.manifest.kind == "search":
        same_alphas = comparable_alphas(results).equals(comparable_alphas(whole))
        tally.changed += not same_alphas and not halved
    if (tally.lost, tally.doubled, tally.changed, tally.failed) != before:
        tally.notes.append(what)


def _equal_rows(one: pd.DataFrame, other: pd.DataFrame) -> NDArray[np.bool_]:
    equal = (one == other) | (one.isna() & other.isna())
    return equal.all(axis=1).to_numpy(bool)


def _halved(sweep: OpenedSweep) -> set[str]:
    manifest = json.loads((sweep.folder / "sweep.json").read_text(encoding="utf-8"))
    return {trial_id for pack in manifest["split_packs"] for trial_id in pack}


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

"""What the tests of the instrument share: made-up sweeps and a clock that stands still."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_core.protocols.training import DataOptions, Protocol
from topo_sweep.spec.load import SweepSpec
from topo_sweep.spec.networks import TopologySweep
from topo_sweep.store.manifest import Manifest
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.paths import StorePaths

pytest.register_assert_rewrite(
    "tests.topo_sweep.store.store_contract", "tests.topo_sweep.store.store_rows"
)

FINGERPRINT = "fedcba9876543210"


class Clock:
    """A monotonic clock that moves only when told to, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace `time.monotonic`, and the clock that counts while a machine sleeps."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(time, "clock_gettime", lambda _: clock.now)
    return clock


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 256 KiB, where the tests may."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount")
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount_point)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield mount_point
    finally:
        subprocess.run(["umount", "--lazy", str(mount_point)], check=True)


def small_spec(**values: Any) -> TopologySweep:
    """Return a sweep of three networks and two seeds; `values` replace some of it."""
    defaults: dict[str, Any] = {
        "name": "small",
        "protocol": Protocol(cells=5, init_channels=4, epochs=5),
        "data": DataOptions(dataset="digits"),
        "topologies": (0, 1, 17),
        "seeds": (0, 1),
    }
    return TopologySweep(**(defaults | values))


def new_manifest(spec: SweepSpec) -> Manifest:
    """Return the manifest of a sweep of which nothing was asked yet."""
    return Manifest(
        sweep=spec.name,
        kind=spec.kind,
        protocol=spec.protocol,
        protocol_hash=spec.protocol.protocol_hash,
        data=spec.data,
        fingerprint=FINGERPRINT,
        layout="as made up",
    )


def make_sweep(results: Path, spec: SweepSpec, *more: SweepSpec) -> ResultStore:
    """Return the store of a sweep of which these requests were made; it holds no rows."""
    paths = StorePaths.of(
        results, sweep=spec.name, protocol=spec.protocol, data=spec.data, more=spec.store_key
    )
    store = ResultStore(paths)
    store.create_folders()
    manifest = new_manifest(spec)
    for request in (spec, *more):
        manifest = manifest.with_request(request)
    manifest.write(paths.manifest)
    return store

"""Runs the real program in a process of its own, as its users do."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

from tests.s3 import s3, s3_server  # noqa: F401 - fixtures for all tests
from topo_sweep import load_results

TINY = (
    *("--dataset", "digits", "--epochs", "2", "--train-limit", "64"),
    *("--set", "init_channels=2", "--set", "cells=3"),
)
"""Options that make a training take a fraction of a second."""

AS_FAST = {"RAY_worker_niceness": "0"}
"""By default Ray's workers let all others go first, such as the tests beside them."""

# A busy machine breaks no promise, so there is no deadline.
settings.register_profile("all", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples of each property in `make check`; let Ray's workers run as fast as any.

    What a shell in the background lets a process ignore is heard again: a run is told by signals.
    """
    os.environ.update(AS_FAST)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    settings.load_profile("quick" if "not slow" in config.option.markexpr else "all")


@pytest.hookimpl(trylast=True)  # of those that -m leaves
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each process begin with its share of slow tests, so that all finish together.

    pytest-xdist gives each as many tests, in this order, and those at the end to whoever is free.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = [item for item in items if _is_slow(item)]
    fast = [item for item in items if not _is_slow(item)]
    shares: list[pytest.Item] = []
    for number in range(processes):
        size = len(items) * (number + 1) // processes - len(shares)
        share = slow[number * len(slow) // processes : (number + 1) * len(slow) // processes]
        shares += [*share, *fast[: size - len(share)]]
        del fast[: size - len(share)]
    items[:] = shares


def _is_slow(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("slow", "long"))


Once = Callable[[str, Callable[[Path], object]], Path]
Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., subprocess.CompletedProcess[str]]


def comparable(results: Path) -> pd.DataFrame:
    """Return a sweep's rows without what may differ between equal runs: times and node."""
    rows = load_results(results).drop(columns=["train_seconds", "node", "finished_at"])
    return rows.sort_values("trial_id", ignore_index=True)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute with one thread: more cost more than they give where networks are tiny."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Return a folder of a name, which only the first of the tests' processes has filled."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def filled(name: str, fill: Callable[[Path], object]) -> Path:
        folder, made = shared / name, shared / f"{name} is made"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                folder.mkdir(exist_ok=True)
                fill(folder)
                made.touch()
        return folder

    return filled


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start `topo-sweep` in an empty folder."""

    def start_program(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TOPO_"))}
        command: Sequence[str] = (sys.executable, "-m", "topo_sweep", *arguments)
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env=inherited | AS_FAST | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start_program


@pytest.fixture
def run(start: Start) -> Run:
    """Run `topo-sweep` to its end."""

    def run_program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = start(*arguments, **environment)
        try:
            output, errors = process.communicate(timeout=300)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    return run_program

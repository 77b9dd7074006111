"""Processes that are told apart by their start, found by their parents, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from topo_sweep.runs.processes import Process, below, boot_id, children_of, end

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

DEAF = "trap '' TERM; echo ready; while :; do sleep 1; done"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[str]]:
    """A process that does nothing."""
    process = subprocess.Popen(["sleep", "60"], text=True)
    yield process
    process.kill()
    process.wait()


def test_a_process_is_this_one_only_with_its_start(sleeper: subprocess.Popen[str]) -> None:
    process = Process.of(sleeper.pid)
    assert process is not None
    another = replace(process, start=process.start + 1)

    assert process.is_running
    assert not another.is_running
    another.signal(signal.SIGKILL)
    assert sleeper.poll() is None
    process.signal(signal.SIGKILL)
    assert sleeper.wait() == -signal.SIGKILL


def test_what_has_ended_runs_no_more_also_where_nobody_has_waited_for_it() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert process.pid in children_of(os.getpid())
    assert Process.of(process.pid) is None
    process.wait()
    assert Process.of(process.pid) is None


def test_descendants_are_found_at_any_depth() -> None:
    program = "sh -c 'sleep 60 & echo $!; wait' & wait"
    process = subprocess.Popen(["sh", "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lowest = int(process.stdout.readline())

    found = below([process.pid])
    end({*found, *filter(None, [Process.of(process.pid)])}, seconds=5)
    process.wait()
    process.stdout.close()

    assert lowest in {each.pid for each in found}
    assert process.pid not in {each.pid for each in found}
    assert not any(each.is_running for each in found)


def test_what_is_deaf_to_being_asked_is_killed() -> None:
    process = subprocess.Popen(["sh", "-c", DEAF], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    running = Process.of(process.pid)
    assert running is not None

    end({running, *below([process.pid])}, seconds=0.1)

    process.stdout.close()
    assert process.wait() == -signal.SIGKILL


def test_the_start_of_the_machine_has_a_name() -> None:
    assert boot_id() == boot_id() != ""

"""A run in a process of its own: what is left to speak, to go on and to clean up when that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import is_running, kill, wait_until_gone
from topo_sweep.cli.shared.supervised import may_run_on_ray

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses prctl")

PROGRAM = """
import os, signal, subprocess, sys, time
from pathlib import Path
from topo_sweep.cli.shared import supervised
supervised._STOP_SECONDS = 2.0
runs = Path("runs")

def command():
    with runs.open("a") as file:
        print(os.getpid(), file=file)
    {body}

sys.exit(supervised.supervised(sys.argv[1:], command))
"""
DIES = "os._exit(1)  # as Ray's C++ does"
KILLED = "os.kill(os.getpid(), signal.{name})"
DIES_ONCE = "len(runs.read_text().split()) == 1 and os._exit(1); sys.exit(0)"
RAISES = "import ray; raise {error}"
SLEEPS = "time.sleep(60); sys.exit(0)"
SLEEPS_WELL = (
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130)); print('ready', flush=True); " + SLEEPS
)
DEAF = "signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); " + SLEEPS
LEAVES_ONE = (
    "print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True); sys.exit(7)"
)


def start(folder: Path, body: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program whose child does this."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return exit code and stderr."""
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def children(folder: Path) -> list[int]:
    """Return the processes that ran the command."""
    return [int(line) for line in (folder / "runs").read_text(encoding="utf-8").split()]


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_the_code_of_a_command_that_ends_by_itself_is_the_programs(
    code: int, tmp_path: Path
) -> None:
    assert ended(start(tmp_path, f"sys.exit({code})")) == (code, "")
    assert len(children(tmp_path)) == 1


def test_a_run_whose_ray_of_this_machine_died_goes_on(tmp_path: Path) -> None:
    code, errors = ended(start(tmp_path, DIES_ONCE, "run", "demo"))

    assert code == 0
    assert errors == "Ray died on this machine: what had ended is kept, starting it again\n"
    assert len(children(tmp_path)) == 2


def test_a_run_that_dies_each_time_ends_in_one_line_with_the_command(tmp_path: Path) -> None:
    code, errors = ended(start(tmp_path, DIES, "run", "a sweep"))

    assert code == 1
    *others, last = errors.splitlines()
    assert others == ["Ray died on this machine: what had ended is kept, starting it again"] * 4
    assert last.startswith("topo-sweep: Ray ended this run, it died 5 times on this machine: ")
    assert last.endswith("go on with `topo-sweep run 'a sweep'`")
    assert len(children(tmp_path)) == 5


@pytest.mark.parametrize("option", ["--yes", "--cluster"])
def test_a_run_that_is_killed_from_outside_is_told_so_and_not_started_again(
    option: str, tmp_path: Path
) -> None:
    code, errors = ended(start(tmp_path, KILLED.format(name="SIGKILL"), "run", "demo", option))

    assert code == 1
    assert errors == (
        "topo-sweep: this run was killed from outside (SIGKILL), as where the machine runs out of "
        f"memory: what had ended is kept, go on with `topo-sweep run demo {option}`\n"
    )
    assert len(children(tmp_path)) == 1


@pytest.mark.parametrize(("option", "starts"), [("--yes", 5), ("--cluster", 1)])
def test_of_a_run_that_crashes_the_signal_is_named(
    option: str, starts: int, tmp_path: Path
) -> None:
    code, errors = ended(start(tmp_path, KILLED.format(name="SIGSEGV"), "run", "demo", option))

    assert code == 1
    how = "this run crashed (Segmentation fault), in Ray or another library: what had ended is kept"
    *others, last = errors.splitlines()
    assert others == [f"{how}, starting it again"] * (starts - 1)
    assert last == f"topo-sweep: {how}, go on with `topo-sweep run demo {option}`"
    assert len(children(tmp_path)) == starts


@pytest.mark.parametrize("option", ["--yes", "--cluster"])
@pytest.mark.parametrize(
    "error", ["KeyError('bug')", "ray.exceptions.RayTaskError('f', 'KeyError: bug', KeyError())"]
)
def test_what_a_command_raises_is_told_once_as_its_own_fault(
    error: str, option: str, tmp_path: Path
) -> None:
    code, errors = ended(start(tmp_path, RAISES.format(error=error), "run", "demo", option))

    assert code == 1
    assert len(children(tmp_path)) == 1
    first, *traceback = errors.splitlines()
    assert first == "topo-sweep: an error in the program itself ended it; what had ended is kept"
    assert errors.count("Traceback (most recent call last)") == 1
    assert "bug" in traceback[-1]
    assert "Ray died" not in errors
    assert "is gone" not in errors


def test_what_ray_itself_raises_is_its_end_and_told_in_a_line(tmp_path: Path) -> None:
    raises = RAISES.format(error="ray.exceptions.RaySystemError('no answer')")
    code, errors = ended(start(tmp_path, raises, "run", "demo", "--cluster"))

    assert code == 1
    reason, last = errors.splitlines()
    assert reason == "topo-sweep: System error: no answer"
    assert last.startswith("topo-sweep: Ray ended this run, its node or the head of its cluster")


@pytest.mark.parametrize("option", ["--cluster", "--address=host:1"])
def test_a_run_that_joined_a_cluster_says_how_to_go_on(option: str, tmp_path: Path) -> None:
    code, errors = ended(start(tmp_path, DIES, "run", "demo", option))

    assert code == 1
    (line,) = errors.splitlines()
    assert line.endswith(f"go on with `topo-sweep run demo {option}`")
    assert len(children(tmp_path)) == 1


def test_a_signal_is_passed_on_once_and_the_child_ends_well(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPS_WELL, "run")
    ready(process)
    process.send_signal(signal.SIGTERM)

    assert ended(process) == (130, "")


def test_a_child_that_does_not_hear_is_ended_after_a_while(tmp_path: Path) -> None:
    process = start(tmp_path, DEAF, "run", "demo")
    ready(process)
    process.send_signal(signal.SIGINT)

    code, errors = ended(process)
    assert code == 130
    assert errors == "stopped: what had ended is kept, go on with `topo-sweep run demo`\n"
    assert len(children(tmp_path)) == 1


def test_what_a_child_leaves_behind_is_ended(tmp_path: Path) -> None:
    process = start(tmp_path, LEAVES_ONE, "run")
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 7
    assert not is_running(int(output))


def test_a_child_whose_parent_is_killed_is_asked_to_stop(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPS_WELL, "run")
    ready(process)
    kill(process.pid)
    process.communicate(timeout=60)

    wait_until_gone(set(children(tmp_path)))


@pytest.mark.parametrize(
    ("arguments", "may"),
    [
        (["run"], True),
        (["run", "demo", "--cluster"], True),
        (["promote", "results", "--top", "3"], True),
        (["run", "demo", "--executor", "inline"], False),
        (["run", "demo", "--executor=inline"], False),
        (["run", "demo", "--dry-run"], False),
        (["run", "--help"], False),
        (["rank", "run"], False),
        ([], False),
    ],
)
def test_only_commands_that_may_run_on_ray_get_a_process_of_their_own(
    arguments: list[str], may: bool
) -> None:
    assert may_run_on_ray(arguments) == may

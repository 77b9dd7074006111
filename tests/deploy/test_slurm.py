"""The script for SLURM: the token, what it starts, how it stops and what its exit code tells.

Ray and the program are scripts here; `test_slurm_nodes.py` runs the real ones on two nodes.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.slurm_stand_ins import SCRIPT, SWEEP_UNTIL_STOPPED, Slurm
from tests.integration.processes import wait_until

TEXT = SCRIPT.read_text(encoding="utf-8")


@pytest.fixture
def slurm(tmp_path: Path) -> Slurm:
    return Slurm(tmp_path)


def options() -> dict[str, str]:
    """Return what the script asks SLURM for."""
    asked = re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", TEXT, re.MULTILINE)
    assert len(asked) == TEXT.count("#SBATCH")
    return dict(asked)


def test_shellcheck_finds_nothing() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    found = subprocess.run(
        [shellcheck, "--shell=bash", SCRIPT], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_a_job_has_one_task_on_each_of_several_nodes_and_may_be_queued_again() -> None:
    asked = options()
    assert int(asked["nodes"]) > 1
    assert asked["ntasks-per-node"] == "1"
    assert int(asked["gpus-per-node"]) > 0
    assert re.fullmatch(r"B:USR1@\d+", asked["signal"]), "only the script hears it"
    assert {"requeue", "exclusive"} <= asked.keys()
    assert asked["open-mode"] == "append", "a job that is queued again goes on writing"


def test_all_lines_for_slurm_stand_before_the_first_command() -> None:
    first = next(n for n, line in enumerate(TEXT.splitlines()) if not re.match(r"#|$", line))
    assert all("#SBATCH" not in line for line in TEXT.splitlines()[first:])


def test_ray_starts_on_all_nodes_and_the_sweep_on_the_first(slurm: Slurm) -> None:
    ended = slurm.done("demo", "--results", "my results")

    assert ended.returncode == 0, ended.stderr
    step = slurm.lines("srun")
    assert {"--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=8"} <= set(step)
    ray = slurm.lines("ray")
    assert ray[: ray.index("--")] == [
        *("symmetric-run", "--address", "node1:6379", "--min-nodes", "2"),
        *("--num-cpus=8", "--num-gpus=4"),
    ]
    assert slurm.lines("topo-sweep") == [
        "node1:6379",
        *("run", "--cluster", "demo", "--results", "my results"),
    ]
    assert list(slurm.submitted.iterdir()) == [], "nothing is left beside the results"


def test_the_first_job_makes_a_token_that_only_its_user_may_read_and_all_others_use_it(
    slurm: Slurm,
) -> None:
    first = slurm.done("demo", RAY_AUTH_TOKEN="6" * 64)
    file = slurm.home / ".ray" / "auth_token"
    token = file.read_text(encoding="utf-8")
    second = slurm.done("demo", RAY_AUTH_TOKEN="6" * 64)

    assert re.fullmatch(r"[0-9a-f]{64}", token)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["auth_token"]
    assert file.read_text(encoding="utf-8") == token
    environment = slurm.lines("environment")
    assert {"RAY_AUTH_MODE=token", f"RAY_AUTH_TOKEN_PATH={file}"} <= set(environment)
    assert not [line for line in environment if line.startswith("RAY_AUTH_TOKEN=")]
    said = [first.stdout, first.stderr, second.stdout, second.stderr]
    said += [path.read_text(encoding="utf-8") for path in slurm.said.iterdir()]
    assert not [text for text in said if token in text]


def test_a_token_that_others_may_read_is_refused_before_anything_starts(
    slurm: Slurm, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("5" * 64, encoding="utf-8")
    token.chmod(0o640)

    ended = slurm.done("demo", RAY_AUTH_TOKEN_PATH=str(token))

    assert ended.returncode == 1
    assert ended.stderr == f"slurm.sbatch: others may read the token: chmod 600 {token}\n"
    assert list(slurm.said.iterdir()) == []


@pytest.mark.parametrize("code", [1, 2])
def test_a_job_ends_as_its_sweep_does(code: int, slurm: Slurm) -> None:
    slurm.stand_in("topo-sweep", f"exit {code}")
    assert slurm.done("demo").returncode == code


def test_a_job_whose_ray_did_not_start_fails_though_symmetric_run_does_not(slurm: Slurm) -> None:
    slurm.stand_in("ray", "exit 0")
    ended = slurm.done("demo")
    assert ended.returncode == 1
    assert ended.stderr.startswith("slurm.sbatch: the sweep did not start")


@pytest.mark.parametrize(
    ("number", "queued"), [(signal.SIGUSR1, ["requeue 77"]), (signal.SIGTERM, [])]
)
def test_before_its_time_is_over_a_job_stops_the_sweep_alone_and_goes_back_to_the_queue(
    number: signal.Signals, queued: list[str], slurm: Slurm
) -> None:
    slurm.stand_in("topo-sweep", SWEEP_UNTIL_STOPPED)
    process = slurm.job("demo")
    slurm.wait_until_it_trains(process)

    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]

    assert process.returncode == 130, errors
    asked = slurm.said / "scontrol"
    assert (asked.read_text().splitlines() if asked.exists() else []) == queued
    assert list(slurm.submitted.iterdir()) == []


def test_a_sweep_that_ends_in_time_is_not_queued_again(slurm: Slurm) -> None:
    slurm.stand_in("topo-sweep", SWEEP_UNTIL_STOPPED.replace("130", "0"))
    process = slurm.job("demo")
    slurm.wait_until_it_trains(process)
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not (slurm.said / "scontrol").exists()


def test_a_job_whose_time_is_over_before_ray_is_up_goes_back_to_the_queue(slurm: Slurm) -> None:
    slurm.stand_in("ray", 'touch "$SAID/ray"; exec sleep 60')
    process = slurm.job("demo")
    wait_until((slurm.said / "ray").exists, process)
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert slurm.lines("scontrol") == ["requeue 77"]

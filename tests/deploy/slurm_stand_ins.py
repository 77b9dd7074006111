"""What stands in for SLURM, and for Ray and the program where a test is about the script alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.integration.processes import wait_until
from tests.pages import ROOT

SCRIPT: Final = ROOT / "deploy" / "slurm.sbatch"

SRUN: Final = """
printf '%s\\n' "$@" >"$SAID/srun"
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""

SCONTROL: Final = 'echo "$@" >"$SAID/scontrol"'

RAY: Final = """
printf '%s\\n' "$@" >"$SAID/ray"
env | grep ^RAY_ >"$SAID/environment"
until [[ $1 == -- ]]; do shift; done
shift
"$@"
exit 0
"""
"""As symmetric-run, which may end with another code than what it ran."""

SWEEP: Final = """
printf '%s\\n' "$RAY_ADDRESS" "$@" >"$SAID/topo-sweep"
exit 0
"""

SWEEP_UNTIL_STOPPED: Final = """
trap 'exit 130' TERM
touch "$SAID/topo-sweep"
while :; do sleep 0.05; done
"""


class Slurm:
    """A node on which scripts stand in for commands, in a folder; the job sees no other SLURM."""

    def __init__(self, folder: Path) -> None:
        self.said = folder / "said"
        self.home = folder / "home"
        self.submitted = folder / "shared folder"
        self._commands = folder / "commands"
        for path in (self.said, self.home, self.submitted, self._commands):
            path.mkdir()
        for name, text in {
            "srun": SRUN,
            "scontrol": SCONTROL,
            "ray": RAY,
            "topo-sweep": SWEEP,
        }.items():
            self.stand_in(name, text)

    def stand_in(self, name: str, text: str) -> None:
        """Let a command do this."""
        command = self._commands / name
        command.write_text(f"#!/bin/bash\n{text}", encoding="utf-8")
        command.chmod(0o755)

    def lines(self, command: str) -> list[str]:
        """Return the arguments that a command was given, or the environment that Ray had."""
        return (self.said / command).read_text(encoding="utf-8").splitlines()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables of a job on two nodes with four GPUs each."""
        others = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "SLURM"))}
        slurm = {
            "SLURMD_NODENAME": "node1",
            "SLURM_JOB_ID": "77",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "8",
            "SLURM_GPUS_ON_NODE": "4",
        }
        path = f"{self._commands}{os.pathsep}{os.environ['PATH']}"
        return (
            others | slurm | {"HOME": str(self.home), "SAID": str(self.said), "PATH": path} | more
        )

    def job(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start a job that SLURM would start for `sbatch deploy/slurm.sbatch ARGUMENTS`."""
        return subprocess.Popen(
            ["bash", str(SCRIPT), *arguments],
            cwd=self.submitted,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def done(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a job to its end."""
        process = self.job(*arguments, **more)
        output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def wait_until_it_trains(self, process: subprocess.Popen[str]) -> None:
        """Wait until the sweep of a job runs and the job knows its process."""
        driver = self.submitted / ".topo-sweep-77.pid"
        wait_until((self.said / "topo-sweep").exists, process)
        wait_until(lambda: driver.exists() and driver.stat().st_size > 0, process)

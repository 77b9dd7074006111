"""Two machines in one: namespaces with a network, processes and a Ray folder of their own.

Needs root. All that runs on a node ends with its first process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.integration.processes import children, kill, wait_until, wait_until_gone

ADDRESSES: Final = ("10.83.0.1", "10.83.0.2")

# Runs what the stand-in for srun leaves in the node's folder, which is also Ray's.
NODE: Final = """
mount --bind "$1" /tmp/ray
touch "$1/up"
while :; do
    if mv "$1/task" "$1/taken" 2>/dev/null; then
        bash "$1/taken"
        echo $? >"$1/code.new"
        mv "$1/code.new" "$1/code"
    fi
    sleep 0.1
done
"""

SRUN: Final = """
while [[ $1 == --* ]]; do shift; done
{
    export -p
    printf 'cd %q\\n' "$PWD"
    printf '%q ' "$@"
} >"$SECOND/task.new"
mv "$SECOND/task.new" "$SECOND/task"
"$@"
code=$?
until [[ -e $SECOND/code ]]; do sleep 0.1; done
exit "$code"
"""
"""One task on this node and one on the second."""


def why_not() -> str:
    """Return why there can be no such nodes here; nothing where there can."""
    missing = [c for c in ("unshare", "nsenter", "ip", "mount") if not shutil.which(c)]
    if os.geteuid() != 0 or missing:
        return f"needs root and {', '.join(missing) or 'its rights'}"
    made = subprocess.run(
        ["unshare", "--net", "--pid", "--mount", "--mount-proc", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return made.stderr.strip()


@contextlib.contextmanager
def two_nodes(folder: Path) -> Iterator[list[str]]:
    """Have two nodes inside the block; yield the words that put a command onto the first.

    The folder of a node is `folder/1` or `folder/2`.
    """
    Path("/tmp/ray").mkdir(exist_ok=True)  # noqa: S108 - where Ray is, and a node's own is mounted
    started, firsts = [], []
    try:
        for number in (1, 2):
            own = folder / str(number)
            own.mkdir(parents=True)
            with (folder / f"{number}.out").open("w") as output:
                process = subprocess.Popen(
                    [
                        *("unshare", "--net", "--pid", "--mount", "--mount-proc", "--fork"),
                        *("--kill-child=KILL", "bash", "-c", NODE, "node", str(own)),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    text=True,
                )
            started.append(process)
            wait_until((own / "up").exists, process)
            (first,) = direct_children(process.pid)
            firsts.append(first)
        connect(*firsts)
        target = ("--target", str(firsts[0]), "--net", "--pid", "--mount")
        yield ["nsenter", *target, "--wd=."]
    finally:
        left = {pid for process in started for pid in children(process.pid)}
        kill(*firsts)  # the kernel ends all others of its namespace
        wait_until_gone(left)
        for process in started:
            process.wait(timeout=60)


def direct_children(pid: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in listing.stdout.split()]


def connect(first: int, second: int) -> None:
    """Lay a cable between two nodes."""
    made = f"link add eth0 type veth peer name eth0 netns {second}"
    _ip(first, made)
    for pid, address in zip((first, second), ADDRESSES, strict=True):
        _ip(pid, f"addr add {address}/24 dev eth0")
        _ip(pid, "link set eth0 up")
        _ip(pid, "link set lo up")


def _ip(pid: int, command: str) -> None:
    words = ["nsenter", "--target", str(pid), "--net", "ip", *command.split()]
    subprocess.run(words, check=True, capture_output=True)

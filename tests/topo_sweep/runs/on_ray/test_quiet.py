"""What a command prints is its own, whatever Ray's processes and its C++ have to say."""

from __future__ import annotations

import subprocess
import sys

import pytest

TALK = """
import logging, os, sys
from ray._private import worker
from topo_sweep.runs.on_ray.quiet import quiet_ray

def talk(when):
    print(when, "ours", file=sys.stderr)
    logging.getLogger("topo_sweep").warning("%s logged", when)
    os.write(2, f"{when} C++\\n".encode())
    logging.getLogger("ray").error("%s Ray", when)
    data = {"lines": [f"{when} raylet"], "pid": "raylet", "is_err": False}
    worker.print_to_stdstream(data, ignore_prefix=False)

if sys.argv[2] == "apart":
    sys.stderr = os.fdopen(os.dup(2), "w", 1)
with quiet_ray(verbose=sys.argv[1] == "verbose"):
    talk("inside")
talk("after")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "where", "seen"),
    [
        ("quiet", "apart", {"ours", "logged"}),
        ("quiet", "2", {"ours", "logged", "C++"}),
        ("verbose", "apart", {"ours", "logged", "C++", "Ray", "raylet"}),
    ],
)
def test_only_what_python_prints_here_is_seen_inside(how: str, where: str, seen: set[str]) -> None:
    command = [sys.executable, "-c", TALK, how, where]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    inside = [line for line in lines if "inside" in line]
    assert len(inside) == len(seen)
    assert all(any(f"inside {who}" in line for line in inside) for who in seen)
    assert "after C++" in lines
    assert sum("after" in line for line in lines) >= 4

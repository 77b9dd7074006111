"""Tests of `nas_core.memory`, each in a process of its own, for nothing takes it back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_ROUNDS = """
import resource
import torch
from nas_core.memory import keep_freed_memory

KEEP
faults = []
for _ in range(40):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.zeros(24 * 2**18) for _ in range(4)]  # of 24 MiB
    del blocks
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults[20:])[10])
"""


def faults_of_a_round(keep: str) -> int:
    """Return how many pages the system filled for blocks as large as others that were freed."""
    program = [sys.executable, "-c", _ROUNDS.replace("KEEP", keep)]
    # Else glibc learns in a while, in some processes, to keep them.
    handing_back = os.environ | {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1048576"}
    ended = subprocess.run(program, check=True, capture_output=True, text=True, env=handing_back)
    return int(ended.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is changed")
def test_blocks_that_were_freed_are_used_again() -> None:
    assert faults_of_a_round("pass") > 1000
    assert faults_of_a_round("keep_freed_memory()") < 100

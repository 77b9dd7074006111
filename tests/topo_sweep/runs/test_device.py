"""What a run asks of the device that it trains on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from topo_sweep.runs.device import NoGpuError, check_device, device_name, settled_here
from topo_sweep.runs.execution import Execution


def test_each_has_a_gpu_where_there_are_any_unless_it_is_said_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for is_there, gpus in ((True, 1.0), (False, 0.0)):
        monkeypatch.setattr("torch.cuda.is_available", lambda is_there=is_there: is_there)
        assert settled_here(Execution()) == Execution(gpus=gpus)
        assert settled_here(Execution(gpus=0.25)) == Execution(gpus=0.25)


def test_a_gpu_that_is_not_there_is_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    check_device("cpu")
    assert device_name("cpu") == "cpu"
    with pytest.raises(NoGpuError, match=r"finds no CUDA device on .*: use --gpus-per-pack 0"):
        check_device("cuda")


_ROUNDS = """
from resource import RUSAGE_SELF, getrusage
import torch
from nas_core.data.splits import DataOptions, load_dataset, split
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.runner import TrialRunner

def usual_faults():
    faults = []
    for _ in range(40):
        before = getrusage(RUSAGE_SELF).ru_minflt
        blocks = [torch.zeros(24 * 2**18) for _ in range(4)]  # of 24 MiB
        del blocks
        faults.append(getrusage(RUSAGE_SELF).ru_minflt - before)
    return sorted(faults[20:])[10]

images = split(load_dataset("digits"), DataOptions(dataset="digits"))
before = usual_faults()
TrialRunner(images, execution=Execution(gpus=0))
print(before, usual_faults())
"""
"""Prints how many pages Linux fills for blocks like others that were freed: before, in a worker."""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is changed")
def test_a_worker_keeps_the_memory_that_it_frees() -> None:
    # Else glibc learns in a while, in some processes, to keep it.
    handing_back = os.environ | {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1048576"}
    program = [sys.executable, "-c", _ROUNDS]

    ended = subprocess.run(program, check=True, capture_output=True, text=True, env=handing_back)

    alone, worker = map(int, ended.stdout.split())
    assert alone > 1000
    assert worker < 100

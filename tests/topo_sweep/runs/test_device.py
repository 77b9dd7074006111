"""What a run asks of the device that it trains on."""

from __future__ import annotations

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

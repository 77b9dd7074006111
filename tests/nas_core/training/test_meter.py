"""A meter adds up what steps gave, and never waits for a GPU in between."""

from __future__ import annotations

import pytest
import torch

from nas_core.training.meter import Meter


def test_a_meter_takes_means_over_images_not_over_steps() -> None:
    meter = Meter(torch.device("cpu"))
    labels = torch.tensor([0, 1, 1])
    with meter.timed():
        meter.add(torch.tensor(1.0), torch.eye(2)[[0, 0, 1]], labels)  # two of three right
    meter.add(torch.tensor(5.0), torch.eye(2)[[1]], torch.tensor([1]))
    assert meter.means() == (2.0, 0.75)
    assert meter.steps == 2
    assert meter.seconds > 0


def test_of_several_models_each_has_its_means() -> None:
    meter = Meter(torch.device("cpu"))
    labels = torch.tensor([[0, 1], [1, 1]])
    meter.add(torch.tensor([1.0, 3.0]), torch.eye(2)[torch.tensor([[0, 1], [0, 0]])], labels)
    assert meter.means_by_model() == [(1.0, 1.0), (3.0, 0.0)]


def test_a_gpu_is_waited_for_only_where_the_seconds_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            done.append("record")

        def synchronize(self) -> None:
            done.append("wait")

        def elapsed_time(self, _: object) -> float:
            return 250.0

    def synchronize() -> None:
        done.append("wait for all")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    meter = Meter(torch.device("cpu"))
    meter._device = torch.device("cuda")

    for _ in range(2):
        with meter.timed():
            pass

    assert done == ["record"] * 4
    assert (meter.seconds, meter.seconds) == (0.5, 0.5)
    assert done == ["record"] * 4 + ["wait"] * 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpus_work_counts_and_not_only_its_calls() -> None:
    meter = Meter(torch.device("cuda"))
    with meter.timed():
        torch.cuda._sleep(100_000_000)
    assert meter.seconds > 0.01

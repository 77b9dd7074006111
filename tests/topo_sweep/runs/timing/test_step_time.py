"""How long a step takes: the steps are real ones, and what is made of their time is right."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS
from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import Protocol
from nas_core.streams import Draws
from nas_core.training import training
from nas_core.training.loop import Loop
from nas_core.training.pack import Member
from topo_sweep.runs.device import as_worker
from topo_sweep.runs.timing import step_time
from topo_sweep.runs.timing.step_time import (
    StepTime,
    TrainingSteps,
    random_images,
    time_search_steps,
    time_steps,
)

PROTOCOL = Protocol(cells=1, init_channels=2, epochs=3, batch_size=4, drop_path=0.3)
DIGITS = DATASETS["digits"]


def alike(count: int) -> list[Member]:
    return [Member(KNOWN_CELLS["DARTS_V2"], seed) for seed in range(count)]


def timed(count: int, *, packed: bool, at_most_seconds: float = 0.2) -> StepTime:
    return time_steps(
        alike(count),
        PROTOCOL,
        DIGITS,
        device="cpu",
        threads=1,
        packed=packed,
        at_most_seconds=at_most_seconds,
    )


@pytest.fixture
def descents(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads with which each step of weights was taken."""
    taken: list[int] = []
    update = Loop.update

    def counted(self: Loop) -> None:  # type: ignore[type-arg] # of any epochs
        taken.append(torch.get_num_threads())
        update(self)

    monkeypatch.setattr(Loop, "update", counted)
    return taken


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each look at the clock of `step_time` take 10 ms, however busy the machine is."""
    ticks = itertools.count()
    slow = SimpleNamespace(perf_counter=lambda: next(ticks) / 100)
    monkeypatch.setattr(step_time, "time", slow)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("packed", [False, True])
def test_steps_of_the_loop_are_timed_after_one_that_warms_up(
    descents: list[int], packed: bool
) -> None:
    found = timed(1, packed=packed)

    assert found.steps == len(descents) - 1 >= 2
    assert found.seconds > 0
    assert found.evaluation_seconds > 0


def test_where_the_first_step_takes_all_the_time_it_is_the_measurement(
    descents: list[int],
) -> None:
    assert timed(1, packed=False, at_most_seconds=0).steps == len(descents) == 1


def test_paths_are_dropped_as_in_the_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[float] = []
    keep_masks = training.keep_masks

    def noted(draws: Draws, images: Tensor) -> Tensor | None:
        dropped.append(1 - draws.keep_probability)
        return keep_masks(draws, images)

    monkeypatch.setattr(training, "keep_masks", noted)
    timed(1, packed=False, at_most_seconds=0)

    assert dropped == [pytest.approx(0.3 * 2 / 3)]


def test_threads_are_those_that_are_asked_for_and_are_put_back(descents: list[int]) -> None:
    before = torch.get_num_threads()
    time_steps(
        alike(1),
        PROTOCOL,
        DIGITS,
        device="cpu",
        threads=before + 1,
        packed=False,
        at_most_seconds=0,
    )

    assert descents == [before + 1]
    assert torch.get_num_threads() == before


def test_a_pack_needs_memory_for_each_of_its_models() -> None:
    one, two = (timed(count, packed=True, at_most_seconds=0) for count in (1, 4))

    assert one.peak_memory_bytes is not None
    assert two.peak_memory_bytes == pytest.approx(4 * one.peak_memory_bytes, rel=0.15)
    assert (one.size, two.size) == (1, 4)


def test_what_is_kept_for_the_backward_pass_grows_with_the_images() -> None:
    kept = []
    for images in (16, 32):
        larger = PROTOCOL.with_values({"batch_size": images})
        steps = TrainingSteps(alike(1), larger, DIGITS, device="cpu", packed=False)
        assert steps.kept_bytes == 0
        next(steps)
        kept.append(steps.kept_bytes)

    assert kept[1] == pytest.approx(2 * kept[0], rel=0.1)


def test_several_that_are_not_packed_are_refused() -> None:
    with pytest.raises(InputError, match="2 trainings are timed as one only if they are packed"):
        timed(2, packed=False)


@pytest.mark.usefixtures("clock")
def test_steps_of_a_search_are_timed_whenever_it_takes_them(descents: list[int]) -> None:
    protocol = SearchProtocol(
        cells=1,
        init_channels=2,
        epochs=3,
        batch_size=4,
        operations=("none", "skip_connect", "sep_conv_3x3"),
        topology=(0, 0),
        alpha_every="epoch",
        warmup_epochs=1,
    )
    found = time_search_steps(protocol, DIGITS, device="cpu", threads=1, at_most_seconds=0.2)

    assert found.steps == len(descents) - 1 >= 2
    assert found.alpha_seconds > 0


def test_an_epoch_is_its_steps_and_what_it_evaluates() -> None:
    found = StepTime(
        size=1,
        seconds=2.0,
        evaluation_seconds=0.5,
        alpha_seconds=3.0,
        steps=2,
        peak_memory_bytes=None,
    )

    assert found.epoch_seconds(images=9, batch=4, evaluated=0) == 3 * 2.0
    assert found.epoch_seconds(images=8, batch=4, evaluated=10) == 2 * 2.0 + 5.0
    assert found.epoch_seconds(images=4, batch=4, evaluated=0, alpha_steps=2) == 2.0 + 6.0


def test_random_images_have_the_size_and_classes_of_their_data_set() -> None:
    images = random_images(DIGITS, 64, device="cpu")

    assert images.pixels.shape == (64, 3, 8, 8)
    assert images.pixels.dtype == torch.uint8
    assert set(images.labels.tolist()) == set(range(10))


@pytest.mark.parametrize("before", [(False, True), (True, False)])
def test_what_is_set_in_a_process_is_as_before_once_steps_were_timed(
    before: tuple[bool, bool],
) -> None:
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    threads = torch.get_num_threads()

    with as_worker(1):
        convolutions.allow_tf32, products.allow_tf32 = before
        with as_worker(threads + 1):
            assert torch.get_num_threads() == threads + 1
            assert (convolutions.allow_tf32, products.allow_tf32) == (False, False)
            convolutions.allow_tf32 = products.allow_tf32 = True  # as epochs in tf32 do
        assert (convolutions.allow_tf32, products.allow_tf32) == before

    assert torch.get_num_threads() == threads

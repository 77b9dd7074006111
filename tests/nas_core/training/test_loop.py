"""What training and search share: the same epochs from the same start, stopped or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_core.data.splits import Images, Split, load_dataset
from nas_core.errors import InputError
from nas_core.protocols.training import Protocol
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.loop import DTYPES, Loop, check_images, learning_rate
from nas_core.training.pack import Member, PackTraining
from nas_core.training.training import Training
from tests.nas_core.training import searches, trainings
from tests.nas_core.training.trainings import DIGITS, cells, facts, same, stopped_after

Start = Callable[[Path | None], Loop[Any]]

STARTS: dict[str, Start] = {
    "training": lambda path: trainings.started(path=path),
    "first order": lambda path: searches.started(searches.FIRST, path=path),
    "second order": lambda path: searches.started(searches.TINY, path=path),
}
KINDS = pytest.mark.parametrize(
    "kind",
    ["training", "first order", pytest.param("second order", marks=pytest.mark.slow)],
)


def ended(kind: str) -> Loop[Any]:
    """Return a loop that ran to its end without a stop; only to be looked at."""
    if kind == "training":
        return trainings.reference()
    return searches.reference(searches.FIRST if kind == "first order" else searches.TINY)


@KINDS
def test_the_same_start_twice_is_bit_identical_whatever_ran_before(kind: str) -> None:
    first = ended(kind)
    stopped_after(1, trainings.started(3, seed=4))
    stopped_after(1, searches.started(searches.FIRST, seed=4))
    torch.manual_seed(99)
    again = STARTS[kind](None)
    state = torch.get_rng_state()
    list(again.epochs())
    assert same(again, first)
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"


@KINDS
def test_stopped_after_any_epoch_it_goes_on_to_the_same_end(kind: str, tmp_path: Path) -> None:
    whole = [facts(epoch) for epoch in ended(kind).history]
    for stop in (1, 2, 3):
        path = tmp_path / str(stop)
        first = STARTS[kind](path)
        stopped_after(stop, first)
        second = STARTS[kind](path)
        assert same(first, second), "all that the next epoch depends on is in the checkpoint"
        assert len(second.history) == stop
        assert [facts(epoch) for epoch in second.epochs()] == whole, "those of before come first"
        assert same(second, ended(kind))


@pytest.mark.parametrize(
    "start",
    [
        lambda path: trainings.started(
            protocol=trainings.TINY.with_values({"learning_rate": 1e30, "epochs": 9}), path=path
        ),
        lambda path: searches.started(
            searches.FIRST.with_values({"learning_rate": 1e30, "epochs": 9}), path=path
        ),
    ],
    ids=["training", "search"],
)
def test_a_non_finite_loss_is_a_result_and_the_end(start: Start, tmp_path: Path) -> None:
    loop = start(tmp_path / "state")
    history = list(loop.epochs())
    assert loop.diverged
    assert not math.isfinite(history[-1].train_loss)
    assert len(history) < 9
    again = start(tmp_path / "state")
    assert again.diverged
    assert len(list(again.epochs())) == len(history), "nothing is trained any more"


def test_no_checkpoint_is_written_before_it_is_due(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", key="training", every_seconds=1000)
    list(Training(cells(100), trainings.TINY, DIGITS, seed=0, checkpoint=checkpoint).epochs())
    assert not list(tmp_path.iterdir())


def test_the_checkpoint_of_another_trial_is_not_used(tmp_path: Path) -> None:
    short = trainings.TINY.with_values({"epochs": 1})
    for key in ("one", "other"):
        checkpoint = Checkpoint(tmp_path / "state", key=key, every_seconds=0)
        training = Training(cells(100), short, DIGITS, seed=0, checkpoint=checkpoint)
        assert training.history == []
        assert [metrics.epoch for metrics in training.epochs()] == [0]


def test_the_learning_rate_is_a_cosine_from_its_full_value_stepped_once_an_epoch() -> None:
    protocol = Protocol(epochs=4, learning_rate=0.1, learning_rate_min=0.02)
    rates = [learning_rate(protocol, epoch) for epoch in range(4)]
    assert rates == pytest.approx([0.1, 0.06 + 0.04 * math.sqrt(0.5), 0.06, 0.0317157], abs=1e-7)
    assert ended("training").history[0].learning_rate == trainings.TINY.learning_rate
    cosines = [math.cos(math.pi * epoch / 3) for epoch in range(3)]
    searched = [epoch.learning_rate for epoch in ended("first order").history]
    assert searched == pytest.approx([0.001 + 0.024 * (1 + cosine) / 2 for cosine in cosines])


def test_weights_have_the_precision_of_the_protocol() -> None:
    kinds = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
    assert kinds | {"tf32": torch.float32} == DTYPES
    for precision, kind in kinds.items():
        values = {"precision": precision}
        training = trainings.started(protocol=trainings.TINY.with_values(values))
        search = searches.started(searches.TINY.with_values(values))
        for loop in (training, search):
            assert {weight.dtype for weight in loop.network.parameters()} == {kind}
        assert {alpha.dtype for alpha in search.alphas.tensors.values()} == {kind}


START: dict[str, Any] = {"training": trainings.started, "search": searches.started}
PROTOCOLS: dict[str, Any] = {"training": trainings.TINY, "search": searches.TINY}


@pytest.mark.parametrize("kind", START)
def test_tf32_is_refused_on_a_cpu(kind: str) -> None:
    protocol = PROTOCOLS[kind].with_values({"precision": "tf32"})
    with pytest.raises(InputError, match=r"^precision=tf32 is a GPU's, and this runs on the CPU: "):
        START[kind](protocol=protocol)


@pytest.mark.parametrize("kind", START)
def test_products_are_rounded_to_tf32_where_the_protocol_says_so_and_nowhere_else(
    kind: str,
) -> None:
    loop, backends = START[kind](), torch.backends
    rounded = []
    for precision in ("tf32", "float32"):
        loop.protocol = PROTOCOLS[kind].with_values({"precision": precision})
        loop.begin(0)
        rounded.append((backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32))

    assert rounded == [(True, True), (False, False)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_in_tf32_to_other_numbers() -> None:
    images = DIGITS.to(torch.device("cuda"))
    losses = []
    for precision in ("float32", "tf32"):
        protocol = trainings.TINY.with_values({"precision": precision, "init_channels": 16})
        training = trainings.trained(protocol=protocol, images=images)
        losses.append(training.history[-1].train_loss)

    assert all(math.isfinite(loss) for loss in losses)
    assert losses[0] != losses[1]


def test_accuracies_are_fractions_of_all_images_in_evaluation_mode() -> None:
    many = load_dataset("digits").train[torch.arange(700)]  # more than an evaluation batch holds
    images = Split(DIGITS.info, DIGITS.train, DIGITS.test, many)
    protocol = trainings.TINY.with_values({"precision": "float64", "epochs": 1})
    training = trainings.trained(protocol=protocol, images=images)
    network = training.network.eval()

    def right(images: Images) -> int:
        answers = [
            network((pixels.double() / 255 - DIGITS.info.mean[0]) / DIGITS.info.std[0]).argmax(1)
            for pixels in images.pixels.split(7)
        ]  # in evaluation mode it does not matter who shares a batch
        return int((torch.cat(answers) == images.labels).sum())

    with torch.no_grad():
        assert training.history[-1].test_accuracy == right(many) / 700
        assert training.history[-1].val_accuracy == right(DIGITS.test) / len(DIGITS.test)


def test_a_cpu_classifies_fewer_images_at_once_where_their_maps_are_larger() -> None:
    wide = trainings.TINY.with_values({"init_channels": 64})
    members = [Member(cells(100), seed) for seed in range(3)]

    assert trainings.started().evaluation_batch == 512
    assert trainings.started(protocol=wide).evaluation_batch == 256
    assert PackTraining(members, wide, DIGITS).evaluation_batch == 85


def test_a_last_batch_of_one_image_is_refused_where_maps_are_one_pixel() -> None:
    def check(count: int, side: int, *, cells: int = 3, auxiliary: bool = False) -> None:
        images = Images(
            torch.zeros(count, 3, side, side, dtype=torch.uint8), torch.zeros(count).long()
        )
        check_images(
            images,
            trainings.TINY,
            cells=cells,
            auxiliary=auxiliary,
            called="training images",
            setting="train_limit",
        )

    message = (
        "33 training images in batches of 32 leave a batch of one image, whose 1x1 maps batch "
        "norm cannot normalise: change batch_size or train_limit"
    )
    with pytest.raises(InputError, match=f"^{message}$"):
        check(33, 4)
    with pytest.raises(InputError, match=f"^{message}$"):
        check(33, 32, auxiliary=True)
    check(33, 8)
    check(34, 4)
    check(33, 4, cells=1)
    one = DIGITS.train[torch.arange(33)]
    whole = Split(DIGITS.info, one, None, one)
    trainings.trained(protocol=trainings.TINY.with_values({"epochs": 1}), images=whole)


def test_facts_are_the_columns_that_epochs_do_not_tell() -> None:
    training, search = ended("training"), ended("first order")
    assert list(training.facts()) == ["parameters", "multiply_adds"]
    assert search.facts() == {
        "parameters": sum(weight.numel() for weight in search.network.parameters()),
        "images": 24,
        "stopped_because": None,
    }

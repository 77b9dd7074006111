"""A pack trains each of its members as `Training` would, and goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.data.splits import Images, Split, load_dataset, split
from nas_core.errors import InputError
from nas_core.protocols.training import DataOptions, Protocol
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import EpochMetrics
from nas_core.training.pack import Member, PackTraining
from nas_core.training.training import Training

EXACT = Protocol(
    cells=3, init_channels=2, epochs=3, batch_size=16, precision="float64", drop_path=0.3
)


def genotype(index: int) -> Genotype:
    return Genotype(
        CellEdges.uniform(Topology.from_index(index), "sep_conv_3x3"),
        CellEdges.uniform(Topology.from_index(0), "max_pool_3x3"),
    )


MEMBERS = [Member(genotype(0), 0), Member(genotype(17), 0), Member(genotype(99), 3)]


@pytest.fixture(scope="module")
def images() -> Split:
    return split(load_dataset("digits"), DataOptions(dataset="digits", train_limit=40, holdout=30))


def packed(members: Sequence[Member], images: Split, **arguments: Any) -> PackTraining:
    return PackTraining(members, EXACT, images, **arguments)


def alone(member: Member, images: Split, **arguments: Any) -> Training:
    return Training(member.genotype, EXACT, images, seed=member.seed, **arguments)


def saved_in(folder: Path) -> Checkpoint:
    """Return a checkpoint that is always due."""
    return Checkpoint(folder / "pack", key="k", every_seconds=0)


def close(ours: EpochMetrics, theirs: EpochMetrics) -> None:
    for name, expected in vars(theirs).items():
        value = getattr(ours, name)
        if name != "seconds":
            assert value == (None if expected is None else pytest.approx(expected, rel=1e-9)), name


def test_every_member_has_the_epochs_of_its_training_alone(images: Split) -> None:
    pack = packed(MEMBERS, images, test_every=2)

    epochs = list(pack.epochs())

    assert len(epochs) == EXACT.epochs
    for number, member in enumerate(MEMBERS):
        training = alone(member, images, test_every=2)
        for together, by_itself in zip(epochs, training.epochs(), strict=True):
            close(together.members[number], by_itself)
        assert pack.facts(number) == training.facts()


@pytest.mark.slow
def test_every_member_comes_to_the_parameters_and_buffers_of_its_training_alone(
    images: Split,
) -> None:
    longer = EXACT.with_values({"epochs": 7, "cutout": 2, "crop_padding": 1})  # 21 steps
    pack = PackTraining(MEMBERS, longer, images)
    for _ in pack.epochs():
        pass

    for number, member in enumerate(MEMBERS):
        training = Training(member.genotype, longer, images, seed=member.seed)
        for _ in training.epochs():
            pass
        ours, theirs = pack.network.extract(number), training.network.state_dict()
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            torch.testing.assert_close(ours[name], tensor, rtol=1e-9, atol=1e-12, check_dtype=False)


def test_members_of_one_seed_share_their_images(images: Split) -> None:
    pack = packed(MEMBERS[:2], images)
    (first, *_) = pack.epochs()

    close(first.members[1], next(iter(alone(MEMBERS[1], images).epochs())))


def test_it_goes_on_from_what_it_saved_to_the_same_end(images: Split, tmp_path: Path) -> None:
    whole = packed(MEMBERS, images)
    ends = [epoch.members for epoch in whole.epochs()]
    next(iter(packed(MEMBERS, images, checkpoint=saved_in(tmp_path)).epochs()))

    resumed = packed(MEMBERS, images, checkpoint=saved_in(tmp_path))

    assert len(resumed.history) == 1
    for ours, theirs in zip(resumed.epochs(), ends, strict=True):
        for one, other in zip(ours.members, theirs, strict=True):
            assert vars(one) | {"seconds": 0} == vars(other) | {"seconds": 0}
    assert torch.equal(resumed.network.flat, whole.network.flat)


def test_a_member_that_diverges_ends_and_the_others_do_not_notice(
    images: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [epoch.members for epoch in packed(MEMBERS, images).epochs()]
    pack = packed(MEMBERS, images, checkpoint=saved_in(tmp_path), test_every=3)
    evaluated: list[Images] = []
    accuracies = PackTraining.accuracies

    def counted(self: PackTraining, of: Images) -> torch.Tensor:
        evaluated.append(of)
        return accuracies(self, of)

    monkeypatch.setattr(PackTraining, "accuracies", counted)
    pack.network.extract(1)["classifier.bias"].fill_(torch.inf)

    epochs = [epoch.members for epoch in pack.epochs()]

    assert [members[1].diverged for members in epochs] == [True] * 3
    assert epochs[0][1].test_accuracy is not None, "what diverged is measured where it ends"
    assert epochs[0][0].test_accuracy is None
    assert [pack.has_diverged(number) for number in range(3)] == [False, True, False]
    assert not any(pack.has_stopped(number) for number in range(3))
    assert [len(pack.history_of(number)) for number in range(3)] == [3, 1, 3]
    for number in (0, 2):
        assert epochs[2][number].train_loss == expected[2][number].train_loss
        assert epochs[2][number].test_accuracy == expected[2][number].test_accuracy
    assert len(evaluated) == 2 * 2, "test and validation where one diverged, and in the last epoch"
    resumed = packed(MEMBERS, images, checkpoint=saved_in(tmp_path))
    assert [len(resumed.history_of(number)) for number in range(3)] == [3, 1, 3]


def test_a_pack_ends_where_all_have_diverged(images: Split) -> None:
    pack = packed(MEMBERS[:2], images)
    for number in range(2):
        pack.network.extract(number)["classifier.bias"].fill_(torch.nan)

    assert len(list(pack.epochs())) == 1
    assert pack.diverged


def test_maps_of_bfloat16_train_too(images: Split) -> None:
    protocol = EXACT.with_values({"precision": "bfloat16", "epochs": 1})

    (epoch,) = PackTraining(MEMBERS, protocol, images).epochs()

    alone = Training(MEMBERS[0].genotype, protocol, images, seed=0)
    assert epoch.members[0].train_loss == pytest.approx(next(alone.epochs()).train_loss, rel=0.05)
    assert not epoch.diverged


def test_what_does_not_fit_together_is_refused(images: Split) -> None:
    other = Genotype(MEMBERS[0].genotype.normal, MEMBERS[0].genotype.normal)
    with pytest.raises(InputError, match="the same operation in every slot"):
        packed([MEMBERS[0], Member(other, 0)], images)
    with pytest.raises(InputError, match="one member or more"):
        packed([], images)
    with pytest.raises(InputError, match="from 1, got 0"):
        packed(MEMBERS, images, test_every=0)

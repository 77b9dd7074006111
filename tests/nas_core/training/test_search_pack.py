"""A pack searches each of its seeds as `Search` would, and goes on where it was stopped."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_core.errors import InputError
from nas_core.networks.kernels import switch
from nas_core.protocols.search import SEARCH_PRESETS, SearchProtocol
from nas_core.training import loop
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import SearchEpoch, SearchPackEpoch, Steps
from nas_core.training.search import Search
from nas_core.training.search_pack import PackSearch
from tests.nas_core.training.searches import BOTH, HALVES, reference
from tests.nas_core.training.trainings import facts, same

SECOND = BOTH.with_values({"cells": 1, "epochs": 2, "alpha_learning_rate": 0.01})
FIRST = SECOND.with_values({"alpha_order": 1})
PARTIAL = FIRST.with_values(
    {"init_channels": 4, "partial_channels": 2, "edge_normalisation": True}
    | {"topology": None, "operations": "none,max_pool_3x3,skip_connect,dil_conv_3x3"}
    | {"warmup_epochs": 1, "alpha_every": "epoch", "alpha_clip": 1e-3}
)
ATTENTIVE = FIRST.with_values({"attention": "per_update", "epochs": 1, "gradient_clip": 0.1})
SEEDS = (0, 3, 8)


def packed(protocol: SearchProtocol = FIRST, **arguments: Any) -> PackSearch:
    return PackSearch(SEEDS, protocol, HALVES, **arguments)


def saved_in(folder: Path) -> Checkpoint:
    """Return a checkpoint that is always due."""
    return Checkpoint(folder / "pack", key="k", every_seconds=0)


def close_values(ours: Any, theirs: Any) -> None:
    """Check that numbers, wherever they stand in JSON, are equal but for rounding."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            close_values(ours[key], value)
    elif isinstance(theirs, list | tuple):
        for one, other in zip(ours, theirs, strict=True):
            close_values(one, other)
    else:
        assert ours == (pytest.approx(theirs, rel=1e-9) if isinstance(theirs, float) else theirs)


def same_end(member: Search, alone: Search) -> None:
    """Check epochs, weights, alphas, both optimisers and what batch norms remember."""
    close_values([facts(each) for each in member.history], [facts(e) for e in alone.history])
    ours, theirs = member.tensors(), alone.tensors()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.allclose(ours[name].double(), tensor.double(), rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize(
    "protocol",
    [FIRST, SECOND, PARTIAL, ATTENTIVE],
    ids=["first order", "second order", "PC-DARTS", "attention"],
)
def test_every_member_is_its_search_alone(protocol: SearchProtocol) -> None:
    pack = packed(protocol)

    epochs = list(pack.epochs())

    assert len(epochs) == protocol.epochs
    for number, seed in enumerate(SEEDS):
        alone = reference(protocol, seed)
        same_end(pack.members[number], alone)
        assert pack.facts(number) == alone.facts()
        assert list(pack.history_of(number)) == [epoch.members[number] for epoch in epochs]


def test_it_goes_on_from_what_it_saved_to_the_same_end(tmp_path: Path) -> None:
    whole = packed()
    ends = list(whole.epochs())
    next(iter(packed(checkpoint=saved_in(tmp_path)).epochs()))

    resumed = packed(checkpoint=saved_in(tmp_path))

    assert len(resumed.history) == 1
    for ours, theirs in zip(resumed.epochs(), ends, strict=True):
        assert told(ours.members) == told(theirs.members)
    assert all(same(*both) for both in zip(resumed.members, whole.members, strict=True))


def test_it_goes_on_without_a_member_that_had_ended(tmp_path: Path) -> None:
    def started(**arguments: Any) -> PackSearch:
        pack = packed(**arguments)
        with torch.no_grad():
            pack.members[0].network.classifier.bias.fill_(torch.inf)
        return pack

    whole = started()
    ends = [told(epoch.members) for epoch in whole.epochs()]
    next(iter(started(checkpoint=saved_in(tmp_path)).epochs()))

    resumed = packed(checkpoint=saved_in(tmp_path))

    assert resumed.going_on == [1, 2]
    (first, second) = (told(epoch.members) for epoch in resumed.epochs())
    assert first[1:] == ends[0][1:]
    assert second == ends[1]
    assert [len(resumed.history_of(number)) for number in range(3)] == [1, 2, 2]
    assert resumed.has_diverged(0)
    for number in (1, 2):
        assert same(resumed.members[number], whole.members[number])


def told(members: tuple[SearchEpoch | None, ...]) -> list[dict[str, object] | None]:
    return [None if member is None else facts(member) for member in members]


@pytest.mark.parametrize("protocol", [FIRST, SECOND], ids=["first order", "second order"])
@pytest.mark.parametrize("where", ["weights", "alphas"])
def test_a_member_that_diverges_ends_and_the_others_do_not_notice(
    where: str, protocol: SearchProtocol, tmp_path: Path
) -> None:
    pack = packed(protocol, checkpoint=saved_in(tmp_path))
    lost = pack.members[1]
    tensors = {"weights": lost.network.classifier.bias, "alphas": lost.alphas.tensors["normal"]}
    with torch.no_grad():
        tensors[where].fill_(torch.inf)

    epochs = list(pack.epochs())

    assert [pack.has_diverged(number) for number in range(3)] == [False, True, False]
    assert [len(pack.history_of(number)) for number in range(3)] == [2, 1, 2]
    assert epochs[1].members[1] is None
    for number in (0, 2):
        same_end(pack.members[number], reference(protocol, SEEDS[number]))
    resumed = packed(protocol, checkpoint=saved_in(tmp_path))
    assert [len(resumed.history_of(number)) for number in range(3)] == [2, 1, 2]
    assert list(resumed.reports()) == []


def test_a_member_that_stops_is_a_result_of_its_own() -> None:
    protocol = FIRST.with_values({"stop": "skips", "stop_skips": 8, "epochs": 3})
    pack = packed(protocol)
    with torch.no_grad():
        for name in ("normal", "reduction"):
            pack.members[2].alphas.tensors[name][:, 1] += 9.0  # skip_connect

    list(pack.epochs())

    assert [len(pack.history_of(number)) for number in range(3)] == [3, 3, 1]
    assert not pack.has_diverged(2)
    assert [pack.has_stopped(number) for number in range(3)] == [False, False, True]
    stopped = pack.facts(2)["stopped_because"]
    assert isinstance(stopped, str)
    assert stopped.startswith("8 skip connections")
    assert pack.facts(0)["stopped_because"] is None


def test_where_maps_are_large_one_follows_the_other_to_the_same_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(switch, "MODELS_UP_TO", 0)
    monkeypatch.setattr(loop, "STEPS_SECONDS", 0.0)
    monkeypatch.setattr(loop, "_FEWEST_STEPS", 2)
    pack = packed(ATTENTIVE)

    steps, epoch = pack.reports()

    assert isinstance(steps, Steps)
    assert steps.share == 3 / 6, "the first step of the second of three searches"
    assert isinstance(epoch, SearchPackEpoch)
    for number, seed in enumerate(SEEDS):
        assert same(pack.members[number], reference(ATTENTIVE, seed))


def test_a_pack_ends_where_all_have_diverged() -> None:
    pack = packed()
    with torch.no_grad():
        for member in pack.members:
            member.network.classifier.bias.fill_(torch.nan)

    assert len(list(pack.epochs())) == 1
    assert pack.diverged
    assert pack.going_on == []


def test_all_members_classify_the_same_images() -> None:
    pack = packed()
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    pack.network.eval()

    logits = pack.logits(images)

    for number, member in enumerate(pack.members):
        assert torch.allclose(logits[number], member.logits(images))


def test_an_epoch_is_read_back_from_a_checkpoints_json() -> None:
    epoch = next(iter(packed(ATTENTIVE).epochs()))
    assert type(epoch)(**asdict(epoch)) == epoch


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(InputError, match="one seed or more"):
        PackSearch([], FIRST, HALVES)
    with pytest.raises(InputError, match="searches in stages do not go together"):
        packed(SEARCH_PRESETS["search_pdarts"])

"""A trainable that reports what a training or a pack would, and trains nothing."""

from __future__ import annotations

from tests.topo_sweep.conftest import small_spec
from topo_sweep.runs.on_ray.no_training import NoTraining
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.runner import Outcome, Together


def test_every_epoch_of_a_trial_is_reported_then_its_outcome_and_then_another_can_begin() -> None:
    trial = next(iter(small_spec().trials().values()))
    trainable = NoTraining.__new__(NoTraining)  # without Ray's own folders
    trainable._on_gpu = False
    for _ in range(2):
        trainable.reset_config({"trial": trial})
        reports = [trainable.step() for _ in range(trial.epochs + 1)]
        epochs = [each["report"] for each in reports[:-1]]
        assert [epoch.epoch for epoch in epochs] == list(range(trial.epochs))
        assert reports[-1] == {"report": Outcome(status="ok"), "done": True}


def test_members_of_a_pack_report_together() -> None:
    members = tuple(small_spec().trials().values())[:2]
    trainable = NoTraining.__new__(NoTraining)
    trainable._on_gpu = False
    trainable.reset_config({"trial": Pack(members)})

    reports = [trainable.step() for _ in range(members[0].epochs + 1)]

    last = reports[-1]["report"]
    assert isinstance(last, Together)
    assert [member for member, _ in last.reports] == [0, 1]
    assert reports[-1]["done"]

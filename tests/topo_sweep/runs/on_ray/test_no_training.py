"""A trainable that reports what a training would, and trains nothing."""

from __future__ import annotations

from tests.topo_sweep.conftest import small_spec
from topo_sweep.runs.on_ray.no_training import NoTraining, no_epoch
from topo_sweep.runs.runner import Outcome


def test_every_epoch_of_a_trial_is_reported_then_its_outcome_and_then_another_can_begin() -> None:
    trial = next(iter(small_spec().trials().values()))
    trainable = NoTraining.__new__(NoTraining)  # without Ray's own folders
    for _ in range(2):
        trainable.reset_config({"trial": trial})
        reports = [trainable.step() for _ in range(trial.epochs + 1)]
        assert reports[:-1] == [{"report": no_epoch(epoch)} for epoch in range(trial.epochs)]
        assert reports[-1] == {"report": Outcome(status="ok"), "done": True}

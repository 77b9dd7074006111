"""A worker that Ray kills for lack of memory had a pack that is too large."""

from __future__ import annotations

import pytest
from ray.tune.experiment import Trial as TuneTrial

from tests.topo_sweep.conftest import small_spec
from topo_sweep.runs.on_ray.driver import _ended
from topo_sweep.runs.packs import Pack
from topo_sweep.runs.runner import Outcome, Together
from topo_sweep.spec.trials import Runnable

TRIALS = tuple(small_spec().trials().values())
KILLED = RuntimeError("1 worker(s) were killed due to the node running low on memory.\nMore.")
BROKEN = RuntimeError("the worker died")


class OnRay(TuneTrial):
    """A trial as Tune's callbacks get it: its config, and what it died of."""

    def __init__(self, trial: Runnable | Pack, error: Exception) -> None:
        self.config = {"trial": trial}
        self.error = error

    def get_pickled_error(self) -> Exception:
        return self.error


def test_a_pack_whose_worker_ray_killed_for_lack_of_memory_is_halved() -> None:
    ended = _ended(OnRay(Pack(TRIALS[:3]), KILLED))

    assert isinstance(ended, Together)
    assert ended.is_last
    assert ended.out_of_memory == (
        "RuntimeError: 1 worker(s) were killed due to the node running low on memory. More."
    )


@pytest.mark.parametrize(
    ("trial", "error"),
    [(Pack(TRIALS[:3]), BROKEN), (Pack(TRIALS[:1]), KILLED), (TRIALS[0], KILLED)],
)
def test_whatever_cannot_be_halved_or_died_of_something_else_has_failed(
    trial: Runnable | Pack, error: Exception
) -> None:
    ended = _ended(OnRay(trial, error))

    assert isinstance(ended, Outcome)
    assert ended.status == "failed"

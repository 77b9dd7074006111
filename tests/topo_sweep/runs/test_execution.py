"""How a run executes, and what rows record of it."""

from __future__ import annotations

import json

import pytest

from nas_core.errors import InputError
from topo_sweep.runs.execution import Execution


@pytest.mark.parametrize(
    ("gpus", "device"), [(None, "cpu"), (0.0, "cpu"), (0.25, "cuda"), (2.0, "cuda")]
)
def test_a_part_of_a_gpu_is_enough_to_train_on_one(gpus: float | None, device: str) -> None:
    assert Execution(gpus=gpus).device == device


def test_a_row_records_what_sums_depend_on_and_nothing_else() -> None:
    here = Execution(cpus=2, verbose=True)
    there = Execution(cpus=2, executor="inline", test_every=3)

    assert json.loads(here.to_json()) == {"device": "cpu", "pack_size": 1, "threads": 2}
    assert here.to_json() == there.to_json()
    assert Execution(cpus=1).to_json() != here.to_json()
    assert json.loads(here.to_json(compiled=True)) == json.loads(here.to_json()) | {
        "compiled": True
    }


def test_every_epoch_that_never_comes_is_refused() -> None:
    with pytest.raises(InputError, match="--test-every counts epochs from 1, got 0"):
        Execution(test_every=0)


def test_one_process_joins_no_cluster() -> None:
    with pytest.raises(InputError, match="joins no cluster: leave out --executor, or --cluster"):
        Execution(executor="inline", cluster=True)
    Execution(executor="inline")
    Execution(cluster=True)

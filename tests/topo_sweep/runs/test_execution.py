"""How a run executes, and what rows record of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nas_core.errors import InputError
from topo_sweep.runs.execution import Execution, times_in_one


@pytest.mark.parametrize(
    ("gpus", "device", "of_each"),
    [
        (None, "cpu", 0.0),
        (0.0, "cpu", 0.0),
        (0.25, "cuda", 0.25),
        (2.0, "cuda", 2.0),
        ("auto", "cuda", 1.0),
    ],
)
def test_a_part_of_a_gpu_is_enough_to_train_on_one(gpus: Any, device: str, of_each: float) -> None:
    assert Execution(gpus=gpus).device == device
    assert Execution(gpus=gpus).gpus_of_each == of_each


@pytest.mark.parametrize("gpus", [-0.5, 1.5, float("nan"), float("inf")])
def test_a_gpu_and_a_half_is_refused(gpus: float) -> None:
    with pytest.raises(InputError, match="is a part of one GPU, or whole ones, got"):
        Execution(gpus=gpus)


@pytest.mark.parametrize(("part", "times"), [(1.0, 1), (0.6, 1), (0.25, 4), (0.3, 3), (0.1, 10)])
def test_a_part_goes_into_a_gpu_so_often(part: float, times: int) -> None:
    assert times_in_one(part) == times


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


def test_images_are_read_by_nodes_only_where_there_are_any() -> None:
    with pytest.raises(InputError, match="--no-ship-data is about the nodes of a cluster: add"):
        Execution(ship_data=False)
    assert not Execution(ship_data=False, cluster=True).ship_data


def test_one_process_joins_no_cluster() -> None:
    with pytest.raises(InputError, match="joins no cluster: leave out --executor, or --cluster"):
        Execution(executor="inline", cluster=True)
    Execution(executor="inline")
    Execution(cluster=True)

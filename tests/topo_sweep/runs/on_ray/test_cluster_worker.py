"""What a worker of a cluster is asked."""

from __future__ import annotations

import os

import pytest

from topo_sweep.runs.execution import Execution
from topo_sweep.runs.on_ray.cluster import connected, on_worker, settle


@pytest.mark.slow
def test_a_question_is_answered_in_a_process_of_a_worker() -> None:
    with connected(cluster=False, address=None, verbose=False):
        execution, _ = settle(Execution(gpus=0))
        answer = on_worker(execution, lambda number: (number, os.getpid()), 5)

    assert answer[0] == 5
    assert answer[1] != os.getpid()

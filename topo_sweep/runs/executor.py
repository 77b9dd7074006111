"""Who trains what is left of a plan: this process, or workers of Ray; connected and checked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from nas_core.data.splits import Split
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.device import check_device, settled_here
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.images import ImagesByPath
from topo_sweep.runs.inline import run_inline
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.packing.size import Ask, ask_here
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import TrialRunner
from topo_sweep.store.paths import StorePaths


class Execute(Protocol):
    """Trains what is on an agenda and tells the recorder."""

    def __call__(
        self, agenda: Agenda, recorder: Recorder, interrupts: Interrupts, *, execution: Execution
    ) -> None:
        """Train what is on the agenda as an `execution` says in which all is settled."""


@dataclass(frozen=True)
class Executor:
    """What trains the rest of a plan, connected and checked."""

    execute: Execute
    where: str
    """What it is, in words."""
    execution: Execution
    """Settled, but for what is compiled."""
    ask: Ask[Any, Any]
    workers: Callable[[], int] = lambda: 1
    """Says how many trials can run at the same time now."""
    most_on_a_gpu: Callable[[], int] = lambda: 1
    """Says for how many trials there are CPUs, a GPU."""


@contextlib.contextmanager
def connected_executor(
    execution: Execution, images: Split, paths: StorePaths, by_path: ImagesByPath | None = None
) -> Iterator[Executor]:
    """Yield what an execution asks for, with Ray started or joined inside the block.

    Args:
        execution: as the user asked.
        images: of all trials.
        paths: of the store.
        by_path: the same images, where each worker is to read them itself.

    Raises:
        InputError: no cluster answers, or workers cannot be as they are asked for.

    """
    if execution.executor == "inline":
        execution = settled_here(execution)
        check_device(execution.device)

        def run_here(
            agenda: Agenda, recorder: Recorder, interrupts: Interrupts, *, execution: Execution
        ) -> None:
            runner = TrialRunner(images, execution=execution, paths=paths)
            run_inline(agenda, recorder, interrupts, runner=runner)

        where = f"this process alone, on the {execution.device.upper()}"
        yield Executor(run_here, where, execution, ask_here)
        return
    from topo_sweep.runs.on_ray import cluster, driver

    with cluster.connected(
        cluster=execution.cluster,
        address=execution.address,
        verbose=execution.verbose,
        insecure=execution.insecure,
    ) as where:
        settled, how = cluster.settle(execution, by_path)
        run_left = partial(driver.run_on_ray, images=by_path or images, paths=paths)
        # The driver needs no GPU of its own, and may be another machine than those of a cluster.
        elsewhere = settled.cluster or settled.device == "cuda"
        ask = partial(cluster.on_worker, settled) if elsewhere else ask_here
        yield Executor(
            run_left,
            f"{where}; {how}",
            settled,
            ask,
            workers=lambda: max(cluster.workers_that_fit(settled), 1),
            most_on_a_gpu=lambda: cluster.most_on_a_gpu(settled),
        )

"""Forecasts of small sweeps, with timing that takes none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas_core.data.splits import Split, blank_dataset, split
from nas_core.protocols.training import DataOptions
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.reports.dry_run import outline
from topo_sweep.runs.timing.at_once import Kind
from topo_sweep.runs.timing.forecast import Forecast, forecast
from topo_sweep.runs.timing.step_time import StepTime
from topo_sweep.spec.load import SweepSpec

ALONE = Execution(executor="inline", gpus=0)
STEP = StepTime(
    size=1,
    seconds=0.5,
    evaluation_seconds=0.01,
    alpha_seconds=2.0,
    build_seconds=0.25,
    steps=7,
    peak_memory_bytes=None,
)


class Timed:
    """Stands in for timing: every kind takes `STEP`; notes what was timed, and how."""

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self.how: dict[str, Any] = {}
        self.most = 100
        self.fits = 100
        self.processes: int | None = None
        """That time in the place of as many as were asked for."""

    def __call__(
        self, kinds: Sequence[Kind], _info: object, *, processes: int, **how: Any
    ) -> tuple[list[StepTime], int]:
        self.kinds, self.how = list(kinds), how | {"processes": processes}
        sizes = (min(max(len(kind.members), 1), self.fits) for kind in kinds[: self.most])
        return [replace(STEP, size=size) for size in sizes], self.processes or processes


def images(**options: Any) -> Split:
    return split(blank_dataset("digits"), DataOptions(dataset="digits", **options))


def of(
    spec: SweepSpec, results: Path, execution: Execution = ALONE, *, measure: bool = True
) -> Forecast:
    found = forecast(outline(spec, results).parts, images(), execution, measure=measure)
    assert found is not None
    return found


# 23 steps of 64 images and 360 that are evaluated, 5 epochs, and the building before.
A_TRIAL = 5 * (23 * 0.5 + 360 * 0.01) + 0.25


def rows(spec: SweepSpec, execution: dict[str, Any], count: int = 2) -> list[dict[str, Any]]:
    trained = {"protocol_hash": spec.protocol.protocol_hash, "epochs": spec.protocol.epochs}
    return [
        trial_row(key, train_seconds=50.0 + 10 * n, execution=json.dumps(execution), **trained)
        for n, key in enumerate(list(spec.trials())[:count])
    ]

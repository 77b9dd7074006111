"""What a store costs: a part appended, rows read, ranked, curves read, of a made-up sweep."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from nas_core.training.epochs import EpochMetrics
from topo_sweep.analysis.ranking import rank
from topo_sweep.analysis.text import counted
from topo_sweep.bench.turns import Side, Tell, in_turn, sides_table, spread, timed
from topo_sweep.runs.plan import make_plan, store_of
from topo_sweep.runs.rows import Row, curve, row
from topo_sweep.runs.runner import Outcome
from topo_sweep.spec.load import Overrides, load_spec
from topo_sweep.store.manifest import Manifest
from topo_sweep.store.opened import open_sweep

_PART: Final = 100
"""Rows that are appended at once."""


def store_figures(*, trials: int, repeats: int, tell: Tell) -> dict[str, Any]:
    """Measure in turn on a store of so many trials of the demo; return `sides`, records."""
    seeds = -(-trials // 180)
    spec = load_spec("demo", Overrides(seeds=f"0-{seeds - 1}"))
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        store = store_of(spec, results)
        store.create_folders()
        manifest = Manifest(
            sweep=spec.name,
            kind=spec.kind,
            protocol=spec.protocol,
            protocol_hash=spec.protocol.protocol_hash,
            data=spec.data,
            fingerprint="none",
            layout="made up",
        )
        manifest.with_request(spec).write(store.paths.manifest)
        tell(f"writing a store of {counted(trials, 'trial')}")
        rows, curves = _rows(list(spec.trials().values())[:trials], spec.name, spec.kind)
        store.append(rows, curves)
        epochs = len(curves) // len(rows)
        part = rows[:_PART], curves[: _PART * epochs]
        growing = store_of(spec, results / "appended to")  # the others read what stays as it is
        growing.create_folders()
        frame = store.trials()
        actions: dict[str, Callable[[], object]] = {
            f"append of {counted(len(part[0]), 'row')} and their curves": lambda: growing.append(
                *part
            ),
            "open and read the rows": lambda: open_sweep(store.paths.folder).trials(),
            "read the curves": store.epochs,
            "rank": lambda: rank(frame),
            "plan another run": lambda: make_plan(spec, results),
        }
        sides: dict[str, Side] = {name: partial(timed, action) for name, action in actions.items()}
        size = sum(path.stat().st_size for path in store.paths.folder.rglob("*.parquet"))
        seconds = in_turn(sides, repeats, tell)
    return {
        "trials": len(rows),
        "curve_rows": len(curves),
        "bytes": size,
        "sides": [{"side": name, **spread(taken)} for name, taken in seconds.items()],
    }


def store_text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    return sides_table("action", figures["sides"])


def _rows(trials: list[Any], sweep: str, kind: str) -> tuple[list[Row], list[Row]]:
    """Return rows and curves of trials that ended, with accuracies that differ."""
    rows, curves = [], []
    now = datetime.now(UTC)
    for number, trial in enumerate(trials):
        epochs = [
            EpochMetrics(
                epoch=epoch,
                learning_rate=0.1,
                train_loss=1.0,
                train_accuracy=0.5,
                val_accuracy=None,
                test_accuracy=0.5 + number % 997 / 5000,
                seconds=1.0,
            )
            for epoch in range(trial.epochs)
        ]
        outcome = Outcome(status="ok", device="cpu", node="node", execution="{}")
        more = {"sweep": sweep, "kind": kind, "fingerprint": "none", "attempt": 1}
        rows.append({**row(trial, outcome, epochs), **more, "finished_at": now})
        curves += curve(trial, epochs, now)
    return rows, curves

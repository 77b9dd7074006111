"""How far a sweep is, from its rows; whether it runs now, from its lock."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from nas_core.files import is_regular
from topo_sweep.runs.plan import endings
from topo_sweep.runs.timing.pace import Pace
from topo_sweep.store.opened import OpenedSweep
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.precedence import STATUSES


def sweep_status(sweep: OpenedSweep) -> dict[str, Any]:
    """Return counts of trials, and speed and time left where they are known (else None).

    `planned = ok + diverged + failed + left`; running trials are among those left. While a
    driver runs, `seconds_left` is its own estimate, `from_first_steps` says whether all that it
    rests on is the first steps of an epoch, and `images_per_second` is its speed over all workers;
    otherwise `seconds_left` is the epochs left times the mean seconds of an epoch of their kind, as
    if on one worker. `seconds_a_trial` is that of trainings.
    """
    rows, searches = sweep.trials(), sweep.searches()
    planned = sweep.planned()
    ended = endings(rows, searches)
    counts = Counter(ended[key] for key in planned if key in ended)
    pace = Pace.measured(trials=rows, searches=searches)
    alone = pace.seconds_of(trial for key, trial in planned.items() if key not in ended)
    live = _live(sweep.store)
    return {
        "sweep": sweep.manifest.sweep,
        "planned": len(planned),
        **{status: counts[status] for status in STATUSES},
        "running": live.get("running", 0),
        "left": len(planned) - counts.total(),
        "is_running": bool(live),
        "seconds_a_trial": pace.seconds_a_trial("trials"),
        "images_per_second": live.get("images_per_second"),
        "seconds_left": live.get("seconds_left") if live else alone,
        "from_first_steps": bool(live.get("from_first_steps")),
        "protocol_hash": sweep.manifest.protocol_hash,
        "dataset": sweep.manifest.data.dataset,
        "fingerprint": sweep.manifest.fingerprint,
    }


def _live(store: ResultStore) -> dict[str, Any]:
    """Return what the driver last said of itself; nothing where no driver holds the lock."""
    if not store.is_locked:
        return {}
    try:
        if not is_regular(store.paths.progress):
            return {"running": 0}
        value = json.loads(store.paths.progress.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"running": 0}
    return value if isinstance(value, dict) else {"running": 0}


def failures(sweep: OpenedSweep) -> list[dict[str, Any]]:
    """Return `id`, `name`, `seed`, `attempt`, `node` and `error` of what failed, oldest first."""
    planned = sweep.planned()
    records = []
    for rows, key in ((sweep.searches(), "search_id"), (sweep.trials(), "trial_id")):
        for row in rows[rows["status"] == "failed"].to_dict("records"):
            trial = planned.get(row[key])
            name = trial.name if trial else row[key]  # its request is no longer in the manifest
            record = {"id": row[key], "name": name}
            records.append(record | {c: row[c] for c in ("seed", "attempt", "node", "error")})
    return records

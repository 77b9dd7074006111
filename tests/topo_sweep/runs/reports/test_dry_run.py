from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas_core.protocols.training import DataOptions, Protocol
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.reports import dry_run
from topo_sweep.runs.reports.dry_run import cost, describe, outline
from topo_sweep.runs.timing.forecast import Forecast
from topo_sweep.spec.load import SweepSpec
from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
from topo_sweep.spec.trials import Trial
from topo_sweep.store.paths import StorePaths

UNKNOWN = (
    "no estimate: the store has no trial of each kind made like this, and nothing was timed "
    "(--no-measure)"
)


def expected(**values: Any) -> Forecast:
    """Return a forecast of an hour of work on two workers."""
    settings: dict[str, Any] = {"work": 3600.0, "wall": 1830.0, "error": 0.2, "workers": 2}
    rests: dict[str, Any] = {"packs": 0, "largest_pack": 0, "basis": "3 rows of this store"}
    return Forecast(**(settings | rests | values))


def line(text: str, name: str) -> str:
    """Return the one line with this name, without the name."""
    lines = [line for line in text.splitlines() if line.startswith(name)]
    assert len(lines) == 1
    return lines[0].removeprefix(name).strip()


def test_a_new_sweep_is_described_without_a_guess_at_its_time(tmp_path: Path) -> None:
    spec = small_spec(topologies="all", seeds=(0, 1, 4))
    folder = StorePaths.of(tmp_path, sweep="small", protocol=spec.protocol, data=spec.data).folder

    text = describe(outline(spec, tmp_path), images=1437)

    # 540 trials of 5 epochs, at 900 bytes a trial and 80 an epoch: 702,000 bytes.
    assert text == (
        "sweep     small: topologies 0-179, seeds 0-1,4\n"
        "trials    540: 0 done, 0 failed, 540 to run\n"
        "epochs    5 a trial, 2700 to train\n"
        "images    digits: 1,437 to train on of 1,437\n"
        f"protocol  {spec.protocol.protocol_hash}: 5 cells, 4 channels\n"
        "disk      about 702 kB of rows (estimate)\n"
        f"time      {UNKNOWN}\n"
        f"results   {folder}"
    )


def test_what_has_a_row_is_not_run_again(tmp_path: Path) -> None:
    spec = small_spec()
    ids = list(spec.trials())
    trained = {"protocol_hash": spec.protocol.protocol_hash, "epochs": spec.protocol.epochs}
    rows = [
        trial_row(ids[0], status="ok", train_seconds=100.0, **trained),
        trial_row(ids[1], status="diverged", train_seconds=50.0, **trained),
        trial_row(ids[2], status="failed", train_seconds=9999.0, **trained),
    ]
    make_sweep(tmp_path, spec).append(rows, [])

    text = describe(outline(spec, tmp_path), images=1437)

    assert line(text, "trials") == "6: 2 done, 1 failed, 3 to run"
    assert line(text, "epochs") == "5 a trial, 15 to train"
    again = describe(outline(spec, tmp_path, retry_failed=True), images=1437)
    assert line(again, "trials") == "6: 2 done, 1 failed, 4 to run"


def test_the_time_is_told_with_its_range_the_workers_and_what_it_rests_on(tmp_path: Path) -> None:
    def time(**values: Any) -> list[str]:
        outlined = outline(small_spec(), tmp_path)
        text = describe(outlined, images=1437, forecast=expected(**values)).splitlines()
        first = next(n for n, line in enumerate(text) if line.startswith("time"))
        return [line[10:] for line in text[first : first + 2]]

    assert time() == [
        "about 30 min 30 s (24 min 24 s to 36 min 36 s) on 2 workers, 1 h 00 min of work in all",
        "by 3 rows of this store",
    ]
    assert time(workers=1)[0] == "about 30 min 30 s (24 min 24 s to 36 min 36 s) on one worker"
    assert time(workers=None)[0] == (
        "about 1 h 00 min (48 min 00 s to 1 h 12 min) of work on one worker, divided by your "
        "workers"
    )


def test_packs_and_cost_are_told_where_there_are_any(tmp_path: Path) -> None:
    outlined = outline(small_spec(), tmp_path)
    packs = expected(packs=18, largest_pack=10)

    text = describe(outlined, images=1437, forecast=packs, cost_per_hour=2.5)

    assert line(text, "packs") == "18, each up to 10 trainings as one network"
    assert line(text, "cost") == (
        "about 2.50 (2.00 to 3.00): 1 h 00 min of work, all workers together, at 2.50 an hour of "
        "a worker"
    )
    assert cost(1800.0, 3.0).startswith("1.50: 30 min 00 s of work, all workers together, at 3.00 ")
    assert "\npacks " not in describe(outlined, images=1437, forecast=expected())


def test_where_nothing_is_left_no_time_and_no_cost_is_told(tmp_path: Path) -> None:
    spec = small_spec()
    make_sweep(tmp_path, spec).append([trial_row(trial_id) for trial_id in spec.trials()], [])

    text = describe(outline(spec, tmp_path), images=1437, cost_per_hour=2.5)

    assert line(text, "time") == "nothing is left to run"
    assert "\ncost " not in text


def test_where_nothing_is_known_of_the_time_nothing_is_of_the_cost(tmp_path: Path) -> None:
    outlined = outline(small_spec(), tmp_path)

    assert line(describe(outlined, images=1437, cost_per_hour=2.5), "cost") == "no estimate"
    assert "\ncost " not in describe(outlined, images=1437)


def test_held_out_images_are_not_trained_on(tmp_path: Path) -> None:
    def images(holdout: int, limit: int | None) -> str:
        data = DataOptions(dataset="cifar10", holdout=holdout, train_limit=limit)
        return line(describe(outline(small_spec(data=data), tmp_path), images=50_000), "images")

    assert images(5000, None) == "cifar10: 45,000 to train on of 50,000, 5,000 held out"
    assert images(5000, 2000) == "cifar10: 2,000 to train on of 50,000, 5,000 held out"
    assert images(5000, 49_000) == "cifar10: 45,000 to train on of 50,000, 5,000 held out"
    assert images(0, 2000) == "cifar10: 2,000 to train on of 50,000"


def test_all_seeds_are_planned_together(tmp_path: Path) -> None:
    spec = small_spec(seeds=tuple(range(5)))

    ((plan, times),) = outline(spec, tmp_path).parts

    assert (len(plan.trials), times) == (15, 1)


def test_of_very_many_trials_new_seeds_count_as_one_planned_alone_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "_MOST_PLANNED", 14)
    spec = small_spec(seeds=tuple(range(5)))
    ids = list(spec.trials())
    trained = {"protocol_hash": spec.protocol.protocol_hash, "epochs": spec.protocol.epochs}
    rows = [
        trial_row(ids[0], seed=0, train_seconds=100.0, **trained),
        trial_row(ids[4], seed=1, status="failed", **trained),
    ]
    make_sweep(tmp_path, spec).append(rows, [])

    outlined, plan = outline(spec, tmp_path), make_plan(spec, tmp_path)

    assert [times for _, times in outlined.parts] == [1, 3]
    assert outlined.total(lambda part: len(part.trials)) == len(plan.trials) == 15
    assert outlined.total(lambda part: len(part.left)) == len(plan.left) == 13
    assert outlined.total(lambda part: part.count("failed")) == plan.count("failed") == 1


def test_a_million_new_trials_are_planned_once_a_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    whole = TopologySweep.trials

    def counted(spec: TopologySweep) -> dict[str, Trial]:
        made.append(len(spec.seeds))
        return whole(spec)

    monkeypatch.setattr(TopologySweep, "trials", counted)
    text = describe(outline(small_spec(seeds=tuple(range(400_000))), tmp_path), images=1437)
    assert line(text, "trials") == "1200000: 0 done, 0 failed, 1200000 to run"
    assert made == [1]


def test_a_sweep_of_cells_says_how_many(tmp_path: Path) -> None:
    spec: SweepSpec = GenotypeSweep(
        name="cells",
        protocol=Protocol(epochs=600),
        genotypes=("DARTS_V1", "DARTS_V2"),
        seeds=tuple(range(100)),
    )

    text = describe(outline(spec, tmp_path), images=50_000)

    # 200 trials of 600 epochs: 200 * (900 + 48,000) bytes.
    assert line(text, "sweep") == "cells: 2 genotypes, seeds 0-99"
    assert line(text, "disk") == "about 9.8 MB of rows (estimate)"

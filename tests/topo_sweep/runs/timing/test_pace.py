"""How long an epoch of each workload took, and what is left with it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.topo_sweep.conftest import make_sweep
from tests.topo_sweep.runs.search_run import search_spec, stored_search
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.timing.pace import Pace
from topo_sweep.store.tables import SEARCHES


def rows(seconds: str, *values: tuple[str, str, int, float]) -> pd.DataFrame:
    """Return rows of a table: status, protocol, epochs, seconds."""
    return pd.DataFrame(list(values), columns=["status", "protocol_hash", "epochs", seconds])


def measured() -> Pace:
    trained = rows("train_seconds", ("ok", "p", 5, 10.0), ("diverged", "p", 1, 2.0))
    searched = rows("search_seconds", ("ok", "s", 2, 20.0), ("failed", "s", 1, 999.0))
    return Pace.measured(trials=trained, searches=searched)


def test_an_epoch_counts_by_its_workload_and_failed_rows_say_nothing() -> None:
    assert measured().seconds([("trials p", 3)]) == 3 * 12.0 / 6
    assert measured().seconds([("searches s", 3), ("trials p", 1)]) == 3 * 10.0 + 2.0
    assert measured().seconds_a_trial("trials") == 6.0
    assert measured().seconds_a_trial("searches") == 20.0


def test_an_unknown_workload_makes_the_whole_unknown() -> None:
    assert measured().seconds([("trials p", 1), ("searches of another kind", 2)]) is None
    assert Pace().seconds([("trials", 5)]) is None
    assert Pace().seconds([]) == 0.0
    assert Pace().seconds_a_trial("trials") is None


def test_a_pace_may_be_off_as_far_as_the_middle_half_of_the_trials_is() -> None:
    steady = rows("train_seconds", *(("ok", "p", 1, 10.0) for _ in range(4)))
    varied = rows("train_seconds", *(("ok", "p", 2, seconds) for seconds in (12.0, 20.0, 28.0)))

    assert Pace.measured(trials=steady.head(1)).spent["trials p"].error == 0.2
    assert Pace.measured(trials=steady).spent["trials p"].error == 0.1
    assert Pace.measured(trials=varied).spent["trials p"].error == 0.2


@pytest.mark.parametrize(
    ("largest_pack", "trainings"), [(None, "alone"), (2, "of 3"), (5, "of 3"), (8, None)]
)
def test_trainings_count_by_their_packs_and_searches_however_many_went_together(
    tmp_path: Path, largest_pack: int | None, trainings: str | None
) -> None:
    store = make_sweep(tmp_path, search_spec())
    made = {"alone": {}, "of 3": {"pack_size": 3, "packed": True}}
    for name, how in made.items():
        told = {"execution": json.dumps(how), "protocol_hash": name}
        store.append([trial_row(f"training {name}", **told)], [])
        store.append([stored_search(f"search {name}", **told)], [], table=SEARCHES)

    pace = Pace.of_store(store, Execution(), largest_pack=largest_pack)

    expected = {"searches alone", "searches of 3"}
    assert set(pace.spent) == expected | ({f"trials {trainings}"} if trainings else set())


def test_an_empty_store_has_no_pace(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, search_spec())
    assert Pace.of_store(store, Execution(), largest_pack=4) == Pace()

"""How long an epoch of each workload takes, and what is left with it."""

from __future__ import annotations

import pandas as pd
import pytest

from topo_sweep.runs.pace import Pace


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


def test_an_unknown_workload_makes_the_whole_unknown_unless_it_may_be_guessed() -> None:
    left = [("trials p", 1), ("searches of another kind", 2)]

    assert measured().seconds(left) is None
    assert measured().seconds(left, guess=True) == pytest.approx(2.0 + 2 * 32.0 / 8)


def test_epochs_of_a_run_are_added_as_they_end() -> None:
    pace = Pace()
    assert pace.seconds([("trials p", 1)], guess=True) is None
    assert pace.seconds_a_trial("trials") is None

    for seconds in (1.0, 3.0):
        pace.add("trials p", seconds)

    assert pace.busy_seconds == 4.0
    assert pace.seconds([("trials p", 10)]) == 20.0

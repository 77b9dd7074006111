"""What every store promises, as tests: subclass `StoreContract` and say how a store is made.

How a store keeps its rows is no business of this file.
"""

from __future__ import annotations

import itertools
import platform
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.errors import InputError
from tests.topo_sweep.store.store_rows import (
    ON_DISK,
    T0,
    NewStore,
    Store,
    another_process,
    append,
    trial_row,
)
from topo_sweep.store.tables import EPOCH_SCHEMA, TRIAL_SCHEMA

PREFERRED = ("ok", "diverged", "failed")


@dataclass(frozen=True)
class Ended:
    """How one attempt at a trial ended, at a minute of its own."""

    trial_id: str
    status: str
    minute: int

    def row(self) -> dict[str, Any]:
        """Return its row: no two attempts have the same loss or the same number of epochs."""
        return trial_row(
            self.trial_id,
            status=self.status,
            finished_at=T0 + timedelta(minutes=self.minute),
            train_loss=float(self.minute),
            epochs=self.minute % 4,
        )


def best(attempts: Sequence[Ended]) -> dict[str, Ended]:
    """Return the attempt that counts for each trial."""
    chosen: dict[str, Ended] = {}
    for status in PREFERRED:
        for attempt in sorted(attempts, key=lambda a: a.minute):
            if attempt.status == status:
                chosen.setdefault(attempt.trial_id, attempt)
    return chosen


def _endings() -> st.SearchStrategy[list[Ended]]:
    """Return attempts at a few trials, in any order; no two of a trial end together."""
    ending = st.builds(
        Ended,
        trial_id=st.sampled_from("abc"),
        status=st.sampled_from(PREFERRED),
        minute=st.integers(0, 9),
    )
    return st.lists(ending, max_size=8, unique_by=lambda e: (e.trial_id, e.minute))


@st.composite
def histories(draw: st.DrawFn) -> list[list[Ended] | None]:
    """Return appends of some attempts, each at least once; None stands for a compaction."""
    attempts = draw(_endings())
    again = draw(st.lists(st.sampled_from(attempts), max_size=4)) if attempts else []
    rest = draw(st.permutations([*attempts, *again]))
    steps: list[list[Ended] | None] = []
    while rest:
        size = draw(st.integers(1, len(rest)))
        steps += [rest[:size]] + [None] * draw(st.integers(0, 1))
        rest = rest[size:]
    return steps


def seen(store: Store) -> dict[str, Ended]:
    """Return what a reader sees of attempts, and check that it sees no trial twice."""
    rows = store.trials()
    assert rows["trial_id"].is_unique
    return {
        row["trial_id"]: Ended(row["trial_id"], row["status"], round(row["train_loss"]))
        for row in rows.to_dict("records")
    }


def seen_curves(store: Store) -> dict[str, list[tuple[int, float]]]:
    """Return the (epoch, loss) that a reader sees of each trial, in its order."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in store.epochs().to_dict("records"):
        curves.setdefault(row["trial_id"], []).append((row["epoch"], row["train_loss"]))
    return curves


def replay(store: Store, history: list[list[Ended] | None]) -> list[Ended]:
    """Do what the history says; return everything that was appended."""
    written: list[Ended] = []
    for step in history:
        if step is None:
            store.compact()
        else:
            append(store, [attempt.row() for attempt in step])
            written += step
    return written


_BATCH = 3


def _batch(number: int) -> list[dict[str, Any]]:
    """Return the rows of one append."""
    finished_at = T0 + timedelta(seconds=number)
    return [trial_row(f"{number}-{i}", finished_at=finished_at) for i in range(_BATCH)]


def _write_batches(store: Store, count: int | None, connection: Connection) -> None:
    """Append batch after batch, compact now and then, and tell the number of each batch."""
    with store.lock():
        connection.send("writing")
        for number in itertools.count() if count is None else range(count):
            append(store, _batch(number))
            connection.send(number)
            if number % 4 == 3:
                store.compact()


def hold_lock(store: Store, connection: Connection) -> None:
    """Hold the lock until told something or killed."""
    with store.lock():
        connection.send("held")
        connection.recv()
    connection.send("released")


def _look_at_lock(store: Store, connection: Connection) -> None:
    """Look often, then tell how often a writer was there."""
    connection.send("looking")
    connection.send(sum(store.is_locked for _ in range(4000)))


def check_whole_batches(rows: pd.DataFrame, *, at_least: int) -> None:
    """Check that each batch is there whole or not at all, and that the first ones are there."""
    sizes = Counter(int(trial_id.partition("-")[0]) for trial_id in rows["trial_id"])
    assert set(sizes.values()) <= {_BATCH}
    assert set(range(at_least)) <= set(sizes)


def last_told(connection: Connection) -> int:
    """Return the last number in the connection so far, -1 if there is none."""
    number = -1
    try:
        while connection.poll():
            number = connection.recv()
    except EOFError:
        pass
    return number


class StoreContract:
    """The promises in the docstring of `topo_sweep/store/parquet.py`, for any store."""

    @pytest.fixture
    def new_store(self) -> NewStore:
        """Return a function that makes an empty store, ready to be written, at a new place.

        Stores must survive pickling: the tests open them in other processes too.
        """
        raise NotImplementedError

    @pytest.fixture
    def store(self, new_store: NewStore) -> Store:
        return new_store()

    # Reading what was written

    def test_an_empty_store_reads_as_no_rows_of_the_documented_columns(self, store: Store) -> None:
        assert store.trials().empty
        assert store.epochs().empty
        assert list(store.trials().columns) == TRIAL_SCHEMA.names
        assert list(store.epochs().columns) == EPOCH_SCHEMA.names
        assert store.newest_row() is None

    @ON_DISK
    @given(data=st.data())
    def test_every_value_survives_being_stored(
        self, new_store: NewStore, data: st.DataObject
    ) -> None:
        fraction = st.none() | st.floats(0, 1)
        number = st.none() | st.integers(-(2**63), 2**63 - 1)
        text = st.none() | st.text()
        # One null of each kind next to values: whole numbers must not turn into floats.
        written = [
            trial_row(
                trial_id,
                seed=data.draw(st.integers(0, 2**63 - 1)),
                topology=data.draw(number),
                parameters=data.draw(number),
                error=data.draw(text),
                execution=data.draw(text),
                train_loss=data.draw(st.none() | st.floats()),
                test_accuracy=data.draw(fraction),
                val_accuracy=data.draw(fraction),
                finished_at=T0 + data.draw(st.timedeltas(timedelta(-999), timedelta(9999))),
            )
            for trial_id in "ab"
        ]
        store = new_store()
        append(store, written)

        read = store.trials().set_index("trial_id")
        for row in written:
            for column, value in row.items():
                if column != "trial_id":
                    stored = read.loc[row["trial_id"], column]
                    missing = value is None or value != value  # noqa: PLR0124 - only NaN differs
                    assert pd.isna(stored) if missing else stored == value, column

    def test_the_newest_row_is_the_last_that_finished(self, store: Store) -> None:
        for minute in (3, 9, 5):
            append(store, [Ended(f"trial {minute}", "failed", minute).row()])

        assert store.newest_row() == T0 + timedelta(minutes=9)

    def test_preparing_a_store_again_keeps_its_rows(self, store: Store) -> None:
        append(store, [trial_row()])
        before = store.trials()

        store.create_folders()

        pd.testing.assert_frame_equal(store.trials(), before)

    # One row a trial

    @ON_DISK
    @given(history=histories())
    def test_a_trial_is_its_ok_row_before_diverged_before_failed_then_the_earliest(
        self, new_store: NewStore, history: list[list[Ended] | None]
    ) -> None:
        store = new_store()
        written = replay(store, history)

        assert seen(store) == best(written)

    @ON_DISK
    @given(history=histories())
    def test_curves_are_those_of_the_rows_that_count_whole_and_in_order(
        self, new_store: NewStore, history: list[list[Ended] | None]
    ) -> None:
        store = new_store()
        written = replay(store, history)

        assert seen_curves(store) == {
            trial_id: [(epoch, ended.minute) for epoch in range(ended.minute % 4)]
            for trial_id, ended in best(written).items()
            if ended.minute % 4
        }

    @pytest.mark.long
    @ON_DISK
    @given(history=histories(), data=st.data())
    def test_appending_the_same_rows_again_changes_nothing(
        self, new_store: NewStore, history: list[list[Ended] | None], data: st.DataObject
    ) -> None:
        store = new_store()
        written = replay(store, history)
        trials, epochs = store.trials(), store.epochs()

        if written:
            again = data.draw(st.lists(st.sampled_from(written)))
            append(store, [attempt.row() for attempt in again])

        pd.testing.assert_frame_equal(store.trials(), trials)
        pd.testing.assert_frame_equal(store.epochs(), epochs)

    @pytest.mark.long
    @ON_DISK
    @given(history=histories())
    def test_compaction_changes_nothing(
        self, new_store: NewStore, history: list[list[Ended] | None]
    ) -> None:
        store = new_store()
        replay(store, history)
        trials, epochs, newest = store.trials(), store.epochs(), store.newest_row()

        store.compact()

        pd.testing.assert_frame_equal(store.trials(), trials)
        pd.testing.assert_frame_equal(store.epochs(), epochs)
        assert store.newest_row() == newest

    def test_a_result_once_read_stays_whatever_later_attempts_give(self, store: Store) -> None:
        append(store, [Ended("a", "diverged", 0).row(), Ended("b", "ok", 0).row()])
        first = seen(store)

        for minute, status in enumerate(("diverged", "failed", "ok"), 1):
            append(store, [Ended("b", status, minute).row()])
            assert seen(store)["b"] == first["b"]

    # All or nothing

    def test_an_append_with_a_row_that_does_not_fit_shows_none_of_its_rows(
        self, store: Store
    ) -> None:
        append(store, [trial_row("before")])

        with pytest.raises(ValueError, match="seed"):
            append(store, [trial_row("good"), trial_row("bad", seed=None)])

        assert list(store.trials()["trial_id"]) == ["before"]
        assert set(store.epochs()["trial_id"]) == {"before"}

    def test_readers_see_whole_appends_with_their_curves_while_a_writer_appends_and_compacts(
        self, store: Store
    ) -> None:
        count = 40
        told = -1
        with another_process(_write_batches, store, count) as (_, connection):
            deadline = time.monotonic() + 60
            while told < count - 1 and time.monotonic() < deadline:
                told = max(told, last_told(connection))
                rows = store.trials()
                check_whole_batches(rows, at_least=told + 1)
                assert set(rows["trial_id"]) <= set(store.epochs()["trial_id"])
                newest = store.newest_row()
                assert told == -1 or (newest and newest >= T0 + timedelta(seconds=told))
        assert told == count - 1
        assert len(store.trials()) == count * _BATCH
        assert len(store.epochs()) == count * _BATCH * 2

    @pytest.mark.parametrize("moment", range(6))
    def test_a_writer_killed_at_any_moment_loses_no_row_that_it_had_appended(
        self, store: Store, moment: int
    ) -> None:
        with another_process(_write_batches, store, None) as (process, connection):
            time.sleep(0.007 * moment)
            process.kill()
            process.join()
            appended = last_told(connection) + 1

        rows = store.trials()
        check_whole_batches(rows, at_least=appended)
        assert set(rows["trial_id"]) == set(store.epochs()["trial_id"])
        append(store, [trial_row("100000-0")])
        store.compact()
        assert len(store.trials()) == len(rows) + 1

    # One writer

    def test_a_second_writer_is_refused_and_told_who_is_first(self, store: Store) -> None:
        with another_process(hold_lock, store) as (process, _):
            with pytest.raises(InputError) as refusal, store.lock():
                pass
            assert f"process {process.pid} on {platform.node()}" in str(refusal.value)
            assert "\n" not in str(refusal.value)

    def test_readers_need_no_lock(self, store: Store) -> None:
        append(store, [trial_row()])
        with another_process(hold_lock, store):
            assert len(store.trials()) == 1
            assert len(store.epochs()) == 2
            assert store.newest_row() == T0

    def test_a_store_is_locked_exactly_while_a_writer_holds_it(self, store: Store) -> None:
        assert not store.is_locked
        with another_process(hold_lock, store) as (_, connection):
            assert store.is_locked
            connection.send("release")
            assert connection.recv() == "released"
            assert not store.is_locked
            with store.lock():
                assert store.is_locked
        assert not store.is_locked

    def test_a_writer_that_fails_leaves_the_store_to_the_next(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError), store.lock():
            raise ZeroDivisionError
        with store.lock():
            assert store.is_locked

    def test_a_look_at_the_lock_keeps_no_writer_out(self, store: Store) -> None:
        with another_process(_look_at_lock, store) as (_, connection):
            while not connection.poll():
                with store.lock():
                    assert store.is_locked
            assert connection.recv() > 0, "it looked while there was a writer"

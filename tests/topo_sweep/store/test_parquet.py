"""The store in a local folder: the contract, what its files are, locks and buffers."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topo_sweep.store.local_store import ids, make_store, parts
from tests.topo_sweep.store.store_contract import StoreContract, hold_lock
from tests.topo_sweep.store.store_rows import (
    ON_DISK,
    T0,
    NewStore,
    another_process,
    append,
    curve_of,
    trial_row,
)
from topo_sweep.store.parquet import (
    ResultStore,
)
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import EPOCH_SCHEMA, TRIAL_SCHEMA


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return make_store(tmp_path / "sweep")


class TestResultStore(StoreContract):
    @pytest.fixture
    def new_store(self, tmp_path: Path) -> NewStore:
        numbers = itertools.count()
        return lambda: make_store(tmp_path / str(next(numbers)))


# Files


def test_appending_nothing_writes_no_file(store: ResultStore) -> None:
    store.append([], [])
    store.compact()

    assert parts(store.paths.folder) == []


def test_parts_stay_few_however_many_appends(store: ResultStore) -> None:
    for number in range(45):
        append(store, [trial_row(f"{number:02d}")])

    assert len(parts(store.paths.trials)) < 40
    assert ids(store) == [f"{number:02d}" for number in range(45)]


def test_compaction_leaves_one_part_of_each_kind(store: ResultStore) -> None:
    for trial_id in "abc":
        append(store, [trial_row(trial_id)])

    store.compact()

    assert len(parts(store.paths.trials)) == len(parts(store.paths.epochs)) == 1


def test_compaction_leaves_large_parts_alone(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, [trial_row(f"{number}", error=os.urandom(32).hex()) for number in range(1000)])
    large = parts(store.paths.trials)
    monkeypatch.setattr("topo_sweep.store.parquet._SMALL_PART_BYTES", large[0].stat().st_size)
    for trial_id in "abc":
        append(store, [trial_row(trial_id)])

    store.compact()

    assert len(parts(store.paths.trials)) == 2
    assert large[0] in parts(store.paths.trials)
    assert len(store.trials()) == 1003


def test_half_a_checkpoint_that_a_killed_worker_left_goes_and_a_whole_one_stays(
    store: ResultStore,
) -> None:
    whole = store.paths.checkpoint("whole")
    half = whole.with_name(f".{whole.name}.0123456789abcdef.tmp")
    for path in (whole, half):
        path.touch()

    store.tidy()

    assert list(store.paths.checkpoints.iterdir()) == [whole]


def test_duckdb_reads_the_parts_as_one_table(store: ResultStore) -> None:
    import duckdb

    for trial_id, accuracy in (("a", 0.25), ("b", 0.75)):
        append(store, [trial_row(trial_id, test_accuracy=accuracy)])

    with duckdb.connect() as connection:
        query = f"SELECT count(*), avg(test_accuracy) FROM '{store.paths.trials}/*.parquet'"  # noqa: S608
        assert connection.execute(query).fetchone() == (2, 0.5)


def test_columns_that_older_parts_lack_read_as_null(store: ResultStore) -> None:
    old_trial = pa.Table.from_pylist([trial_row("old")], TRIAL_SCHEMA)
    old_epoch = pa.Table.from_pylist(curve_of(trial_row("old")), EPOCH_SCHEMA)
    lacking = ["multiply_adds", "search_id", "val_accuracy"]
    pq.write_table(old_trial.drop_columns(lacking), store.paths.trials / "part-0.parquet")
    pq.write_table(old_epoch.drop_columns("learning_rate"), store.paths.epochs / "part-0.parquet")
    append(store, [trial_row("new", val_accuracy=0.5)])

    def check() -> None:
        trials = store.trials().set_index("trial_id")
        assert trials.loc["old", lacking].isna().all()
        assert trials.loc["new", "val_accuracy"] == 0.5
        assert trials.loc["new", "multiply_adds"] == 56789
        assert str(trials["multiply_adds"].dtype) == "Int64"
        rates = store.epochs().groupby("trial_id")["learning_rate"]
        assert rates.count().to_dict() == {"old": 0, "new": 2}

    check()
    store.compact()
    check()


def test_columns_that_only_newer_versions_know_are_ignored(store: ResultStore) -> None:
    newer = pa.Table.from_pylist([trial_row()], TRIAL_SCHEMA).append_column(
        "watts", pa.array([300.0])
    )
    pq.write_table(newer, store.paths.trials / "part-0.parquet")

    assert list(store.trials().columns) == TRIAL_SCHEMA.names


@ON_DISK
@given(data=st.data())
def test_a_truncated_part_is_named_with_advice(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    store = make_store(tmp_path_factory.mktemp("sweep"))
    append(store, [trial_row()])
    part = parts(store.paths.trials)[0]
    content = part.read_bytes()
    part.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])

    check_part_is_named(store.trials, part)


@pytest.mark.parametrize("content", [bytes(4096), b"no Parquet at all", b"PAR1" * 100])
def test_a_part_of_other_bytes_is_named_with_advice(store: ResultStore, content: bytes) -> None:
    part = store.paths.epochs / "part-0.parquet"
    part.write_bytes(content)

    check_part_is_named(store.epochs, part)


def test_a_part_whose_column_has_another_type_is_named_with_advice(store: ResultStore) -> None:
    part = store.paths.trials / "part-0.parquet"
    table = pa.table({**{name: ["text"] for name in TRIAL_SCHEMA.names}})
    pq.write_table(table, part)

    check_part_is_named(store.trials, part)


def test_a_damaged_part_is_named_where_only_the_newest_row_is_read(store: ResultStore) -> None:
    part = store.paths.trials / "part-0.parquet"
    part.write_bytes(b"no Parquet at all")

    check_part_is_named(store.newest_row, part)


def check_part_is_named(read: Callable[[], object], part: Path) -> None:
    with pytest.raises(StoreError) as failure:
        read()
    message = str(failure.value)
    assert message.startswith(f"{part} is damaged")
    assert "check" in message
    assert "\n" not in message


@pytest.mark.parametrize("read", ["trials", "epochs", "newest_row"])
def test_a_reader_that_compaction_overtakes_starts_over(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    for trial_id in "abc":
        append(store, [trial_row(trial_id)])
    expected = getattr(store, read)()
    calls = itertools.count()
    read_table = pq.read_table

    def overtaken(*arguments: Any, **options: Any) -> Any:
        if next(calls) == 1:  # one part is read, two are still to come
            store.compact()
        return read_table(*arguments, **options)

    monkeypatch.setattr(pq, "read_table", overtaken)

    reread = getattr(store, read)()
    assert reread.equals(expected) if isinstance(reread, pd.DataFrame) else reread == expected


@pytest.mark.slow
def test_reading_a_store_imports_no_torch(store: ResultStore) -> None:
    append(store, [trial_row()])
    script = (
        "import sys; from pathlib import Path\n"
        "from topo_sweep.store.paths import StorePaths\n"
        "from topo_sweep.store.parquet import ResultStore\n"
        f"store = ResultStore(StorePaths(Path({str(store.paths.folder)!r})))\n"
        "print(len(store.trials()), len(store.epochs()), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "2", "False"]


# One writer


def test_the_lock_of_a_killed_writer_is_free(store: ResultStore) -> None:
    with another_process(hold_lock, store) as (process, _):
        process.kill()
        process.join()
        assert not store.is_locked
        with store.lock():
            assert store.is_locked


def test_a_store_without_folders_is_empty_and_not_locked(tmp_path: Path) -> None:
    store = ResultStore(StorePaths(tmp_path / "none"))

    assert store.trials().empty
    assert not store.is_locked
    assert not store.paths.folder.exists()


def test_an_error_that_many_trials_share_is_written_once(store: ResultStore) -> None:
    append(store, [trial_row(f"{n}", status="failed", error="no memory") for n in range(3)])

    (part,) = parts(store.paths.trials)
    group = pq.read_metadata(part).row_group(0)
    columns = {column.path_in_schema: column for column in map(group.column, range(30))}
    assert columns["error"].has_dictionary_page
    assert not columns["train_seconds"].has_dictionary_page


def test_a_row_has_its_epochs_whatever_is_appended_while_they_are_read(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, [trial_row(status="failed", train_loss=9.0)])
    read = ResultStore.read
    later = [trial_row(finished_at=T0 + timedelta(minutes=1))]

    def appended_after(self: ResultStore, *arguments: Any) -> pa.Table:
        table = read(self, *arguments)
        if later:
            append(self, [later.pop()])
        return table

    monkeypatch.setattr(ResultStore, "read", appended_after)

    assert store.epochs()["train_loss"].tolist() == [9.0, 9.0]
    assert store.epochs()["train_loss"].tolist() == [0.5, 0.5]

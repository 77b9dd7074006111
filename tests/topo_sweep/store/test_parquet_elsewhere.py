"""The store on S3: the contract, what a reader on another machine sees, and what faults cost."""

from __future__ import annotations

import itertools
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.s3 import S3, Fault, Kind
from tests.topo_sweep.store.store_contract import StoreContract
from tests.topo_sweep.store.store_rows import NewStore, append, trial_row
from topo_sweep.store import files
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.remote import Remote
from topo_sweep.store.uris import working_copy

SWEEP = "results/sweep"


def store_at(s3: S3, path: str = SWEEP) -> ResultStore:
    store = ResultStore(StorePaths(working_copy(s3.uri(path))))
    store.create_folders()
    return store


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_FRESH_SECONDS", 0.0)


@pytest.fixture
def store(s3: S3) -> ResultStore:
    return store_at(s3)


@pytest.mark.slow
class TestStoreOnS3(StoreContract):
    @pytest.fixture
    def new_store(self, s3: S3) -> NewStore:
        numbers = itertools.count()
        return lambda: store_at(s3, f"results/{next(numbers)}")


def read_elsewhere(s3: S3, machine: str = "other") -> tuple[list[str], list[str]]:
    """Return the trials that another machine sees, and the trial of each epoch."""
    s3.on_machine(machine)
    store = store_at(s3)
    return sorted(store.trials()["trial_id"]), sorted(store.epochs()["trial_id"])


def rows_in_files(s3: S3, folder: Path) -> list[str]:
    """Return the trial of every row in every part of a kind, as it lies in the bucket."""
    trials: list[str] = []
    for name in s3.names(f"{SWEEP}/{folder.name}"):
        part = f"{s3.bucket}/{SWEEP}/{folder.name}/{name}"
        trials += pq.read_table(part, filesystem=s3.direct)["trial_id"].to_pylist()
    return sorted(trials)


def test_another_machine_sees_rows_and_curves_as_soon_as_they_are_appended(
    s3: S3, store: ResultStore
) -> None:
    append(store, [trial_row("a")])
    assert read_elsewhere(s3) == (["a"], ["a", "a"])

    append(store, [trial_row("b")])
    store.compact()
    assert read_elsewhere(s3) == (["a", "b"], ["a", "a", "b", "b"])
    assert read_elsewhere(s3, "a third") == (["a", "b"], ["a", "a", "b", "b"])


def test_what_is_merged_goes_from_the_bucket_and_from_every_copy(
    s3: S3, store: ResultStore
) -> None:
    for trial in "abc":
        append(store, [trial_row(trial)])
    s3.on_machine("other")
    other = store_at(s3)
    assert len(other.trials()) == 3

    with store.lock():
        store.compact()

    assert len(other.trials()) == 3
    assert len(list(other.paths.trials.iterdir())) == 1
    assert len(s3.names(f"{SWEEP}/trials")) == len(s3.names(f"{SWEEP}/epochs")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["500", "lose"])
def test_rows_that_could_not_be_written_are_written_by_the_next_try_and_once(
    s3: S3, store: ResultStore, kind: Kind
) -> None:
    append(store, [trial_row("a")])
    s3.proxy.faults.append(Fault(kind, "PUT", "/trials/", count=100))
    rows = [trial_row("b")]
    with pytest.raises(StoreError, match=r"cannot write to .*: (INTERNAL_FAILURE|NETWORK)"):
        append(store, rows)
    if kind == "500":
        assert read_elsewhere(s3)[0] == ["a"]

    s3.proxy.faults.clear()
    with store.lock():
        append(store, [*rows, trial_row("c")])
    assert read_elsewhere(s3) == (["a", "b", "c"], sorted("abc" * 2))
    assert rows_in_files(s3, store.paths.trials) == ["a", "b", "c"]
    assert rows_in_files(s3, store.paths.epochs) == sorted("abc" * 2)


def test_what_a_killed_writer_may_have_left_goes_with_the_next(
    s3: S3, store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to its first try was lost, and it died before it could remove that part."""
    write = Remote._write

    def lost(self: Remote, path: Path, content: bytes) -> None:
        write(self, path, content)
        if path.parent.name == "trials":
            raise OSError("no answer")

    with monkeypatch.context() as dying:
        dying.setattr(Remote, "delete", lambda *_: None)
        dying.setattr(Remote, "_write", lost)
        with pytest.raises(StoreError, match="no answer"):
            append(store, [trial_row("a")])
        dying.setattr(Remote, "_write", write)
        append(store, [trial_row("a"), trial_row("b")])
    assert rows_in_files(s3, store.paths.trials) == ["a", "a", "b"]
    assert read_elsewhere(s3)[0] == ["a", "b"], "a reader sees it once"

    s3.on_machine("the next")
    next_store = store_at(s3)
    with next_store.lock():
        next_store.tidy()
    assert rows_in_files(s3, store.paths.trials) == ["a", "b"]


def test_a_reader_whose_part_is_merged_while_it_reads_looks_again(
    s3: S3, store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for trial in "ab":
        append(store, [trial_row(trial)])
    s3.on_machine("other")
    other = store_at(s3)
    s3.proxy.faults.append(Fault("drop", "GET", "/trials/part-"))
    get = Remote.get
    merged: list[bool] = []

    def merged_first(*arguments: object, **options: object) -> bytes:
        if not merged:
            merged.append(True)
            with store.lock():
                store.compact()
        return get(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Remote, "get", merged_first)
    assert sorted(other.trials()["trial_id"]) == ["a", "b"]


def test_a_row_that_comes_during_a_look_is_not_seen_without_its_curve(
    s3: S3, store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, [trial_row("a")])
    s3.on_machine("other")
    other = store_at(s3)
    listed = Remote.listed

    def and_then_appended(self: Remote, folder: Path) -> dict[Path, int | None]:
        there = listed(self, folder)
        if folder.name in ("trials", "epochs") and folder.is_relative_to(other.paths.folder):
            monkeypatch.setattr(Remote, "listed", listed)
            append(store, [trial_row("b")])
        return there

    monkeypatch.setattr(Remote, "listed", and_then_appended)
    other.refresh(whole=True)
    monkeypatch.setattr(files, "_FRESH_SECONDS", 3600.0)
    assert set(other.trials()["trial_id"]) <= set(other.epochs()["trial_id"])


def test_a_store_that_cannot_be_read_says_so_and_is_not_taken_for_an_empty_one(
    s3: S3, store: ResultStore
) -> None:
    append(store, [trial_row("a")])
    s3.on_machine("other")
    s3.proxy.faults.append(Fault("403", count=1000))
    with pytest.raises(StoreError, match=r"^cannot read .*: ACCESS_DENIED"):
        store_at(s3).trials()
    s3.proxy.faults.clear()
    assert len(store_at(s3).trials()) == 1


def test_the_copy_of_a_damaged_part_is_not_what_counts(store: ResultStore) -> None:
    append(store, [trial_row("a")])
    (part,) = store.paths.trials.glob("part-*")
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match="is damaged"):
        store.trials()

    store.refresh(whole=True, anew=True)
    assert len(store.trials()) == 1

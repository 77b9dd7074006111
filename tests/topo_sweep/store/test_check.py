"""Damage of any file of a store is found; what it held, and no more, is left to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.local_store import ids, parts
from tests.topo_sweep.store.store_rows import append, trial_row
from topo_sweep.store.check import damaged, repair
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import read_part, write_part
from topo_sweep.store.tables import TRIAL_SCHEMA


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """Return a sweep with two trials in parts of their own."""
    store = make_sweep(tmp_path, small_spec())
    for trial_id in "ab":
        append(store, [trial_row(trial_id)])
    return store


def flip(content: bytes) -> bytes:
    return content[:-300] + bytes([content[-300] ^ 4]) + content[-299:]


DAMAGES = {
    "flipped": flip,
    "empty": lambda _: b"",
    "torn": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
}


def test_of_a_sweep_that_nobody_touched_nothing_is_damaged(store: ResultStore) -> None:
    before = parts(store.paths.folder)

    assert list(damaged(store.paths)) == list(repair(store.paths)) == []

    assert parts(store.paths.folder) == before
    assert not store.paths.damaged.exists()


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("kind", ["trials", "epochs"])
def test_a_trial_whose_row_or_curve_is_damaged_is_moved_aside_and_runs_again(
    store: ResultStore, kind: str, change: Callable[[bytes], bytes]
) -> None:
    part = parts(store.paths.part_folder(kind))[0]
    part.write_bytes(change(part.read_bytes()))
    assert [each.path for each in damaged(store.paths)] == [part]

    moved = [each.path for each in repair(store.paths)]

    assert moved[0] == part
    assert len(moved) == (2 if kind == "epochs" else 1), "a row goes with its curve"
    for path in moved:
        assert not path.exists()
        assert (store.paths.damaged / path.relative_to(store.paths.folder)).exists()
    assert ids(store) == ["b"]
    assert store.epochs()["trial_id"].tolist() == ["b", "b"]
    assert list(damaged(store.paths)) == []


def test_of_a_part_of_several_only_those_without_their_curves_run_again(
    store: ResultStore,
) -> None:
    lost = parts(store.paths.epochs)[0]
    append(store, [trial_row("c")])
    curves = parts(store.paths.epochs)
    for part in curves:
        part.rename(part.with_suffix(".kept"))
    store.compact()  # rows alone
    for part in curves:
        part.with_suffix(".kept").rename(part)
    lost.unlink()
    (rows,) = parts(store.paths.trials)
    (found,) = damaged(store.paths)
    assert (found.path, found.reason) == (rows, "a row of it has lost its curve")

    assert [each.path for each in repair(store.paths)] == [rows]

    assert ids(store) == ["b", "c"]


def test_rows_that_a_killed_merge_left_twice_stand_once_where_one_has_lost_its_curve(
    store: ResultStore,
) -> None:
    left, lost = parts(store.paths.trials), parts(store.paths.epochs)[0]
    write_part(
        store.paths.trials,
        pa.concat_tables(read_part(part, TRIAL_SCHEMA) for part in left),
        replaces=left,
    )
    lost.unlink()

    list(repair(store.paths))
    store.tidy()

    (rows,) = parts(store.paths.trials)
    assert read_part(rows, TRIAL_SCHEMA)["trial_id"].to_pylist() == ["b"]


def test_a_trial_that_has_no_epochs_has_lost_none(store: ResultStore) -> None:
    store.append([trial_row("failed", status="failed", epochs=0)], [])

    assert list(damaged(store.paths)) == []


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_sweep_json_is_moved_aside_and_asking_again_makes_another(
    store: ResultStore, change: Callable[[bytes], bytes]
) -> None:
    path = store.paths.manifest
    content = path.read_bytes()
    path.write_bytes(change(content))
    assert [each.path for each in damaged(store.paths)] == [path]

    assert [each.path for each in repair(store.paths)] == [path]

    assert not path.exists()
    path.write_bytes(content)
    assert ids(store) == ["a", "b"]


def test_what_was_moved_aside_stays_when_a_file_of_that_name_is_damaged_again(
    store: ResultStore,
) -> None:
    path = store.paths.manifest
    for damage in ("{", "[", "("):
        path.write_text(damage)
        list(repair(store.paths))

    kept = {file.name: file.read_text() for file in store.paths.damaged.iterdir()}
    assert kept == {"sweep.json": "{", "sweep-2.json": "[", "sweep-3.json": "("}


def test_a_part_without_rows_is_none_that_lost_a_curve(store: ResultStore) -> None:
    pq.write_table(TRIAL_SCHEMA.empty_table(), store.paths.trials / "part-0.parquet")

    assert list(damaged(store.paths)) == []

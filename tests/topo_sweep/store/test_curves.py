"""Curves of chosen trainings: what is read of the files, and that it is what a whole read gives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from tests.topo_sweep.conftest import FINGERPRINT, make_sweep, small_spec
from tests.topo_sweep.store.store_rows import ON_DISK, T0, append, curve_of, trial_row
from topo_sweep.store import opened
from topo_sweep.store.curves import curves_of, groups_of, read_ended
from topo_sweep.store.opened import load_curves, load_results, open_sweep
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import DamagedPartError, read_part
from topo_sweep.store.tables import EPOCH_SCHEMA


def ended(number: int, **values: Any) -> dict[str, Any]:
    """Return a row of a trial that ended in a minute of its own."""
    at = T0 + timedelta(minutes=number)
    row = {"finished_at": at, "fingerprint": FINGERPRINT, "test_accuracy": number / 100}
    return trial_row(**{"trial_id": f"trial {number:02d}", **row, **values})


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make row groups of two rows, which is the curve of one trial here."""
    monkeypatch.setattr("topo_sweep.store.parts._GROUP_ROWS", 2)


def sweep_of(folder: Path, rows: Sequence[dict[str, Any]]) -> ResultStore:
    store = make_sweep(folder, small_spec())
    append(store, rows)
    return store


def the_part(store: ResultStore) -> Path:
    (part,) = store.paths.epochs.glob("*.parquet")
    return part


def spoil(part: Path, *, groups: Sequence[int], columns: Sequence[str]) -> None:
    """Overwrite these columns in these row groups, so that reading them fails or gives rubbish."""
    metadata, content = pq.read_metadata(part), bytearray(part.read_bytes())
    for group in groups:
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            if chunk.path_in_schema in columns:
                start, length = chunk.data_page_offset, chunk.total_compressed_size
                if chunk.dictionary_page_offset is not None:
                    start = chunk.dictionary_page_offset
                content[start : start + length] = b"\xff" * length
    part.write_bytes(bytes(content))


@pytest.mark.usefixtures("small_groups")
def test_curves_of_one_topology_read_its_row_groups_and_no_other(tmp_path: Path) -> None:
    store = sweep_of(tmp_path, [ended(number, topology=number % 5) for number in range(20)])
    whole = load_curves(tmp_path)
    part = the_part(store)
    assert pq.read_metadata(part).num_row_groups == 20
    others = [number for number in range(20) if number % 5 != 3]
    spoil(part, groups=others, columns=EPOCH_SCHEMA.names)

    curves = load_curves(tmp_path, topology=3)

    assert len(curves) == 4 * 2
    expected = whole[whole["topology"] == 3].reset_index(drop=True)
    pd.testing.assert_frame_equal(curves, expected)
    with pytest.raises(Exception, match="damaged"):
        load_curves(tmp_path)


def test_only_the_columns_that_are_asked_for_are_read(tmp_path: Path) -> None:
    store = sweep_of(tmp_path, [ended(number) for number in range(3)])
    spoil(the_part(store), groups=[0], columns=["train_loss", "seconds", "learning_rate"])

    curves = load_curves(tmp_path, columns=["test_accuracy"])

    assert curves["test_accuracy"].tolist() == [0.0, 0.0, 0.01, 0.01, 0.02, 0.02]
    assert list(curves.columns) == [
        *("trial_id", "epoch", "test_accuracy", "finished_at"),
        *("seed", "topology", "class_id", "reduction_topology", "status"),
    ]


def test_opening_and_ranking_read_no_curve(tmp_path: Path) -> None:
    store = sweep_of(tmp_path, [ended(number) for number in range(3)])
    the_part(store).write_bytes(b"no Parquet")

    assert len(open_sweep(tmp_path).trials()) == len(load_results(tmp_path)) == 3


def test_large_parts_come_in_row_groups_before_and_after_compaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topo_sweep.store.parts._GROUP_ROWS", 4)
    store = sweep_of(tmp_path, [ended(number) for number in range(3)])
    append(store, [ended(3)])

    store.compact()

    metadata = pq.read_metadata(the_part(store))
    rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert rows == [4, 4]


def test_a_row_group_is_read_where_a_time_may_be_in_it(tmp_path: Path) -> None:
    curve = [epoch for number in (0, 2, 4, 6) for epoch in curve_of(ended(number))]
    table = pa.Table.from_pylist(curve, EPOCH_SCHEMA)
    pq.write_table(table, tmp_path / "known", row_group_size=4)
    pq.write_table(table, tmp_path / "unknown", row_group_size=4, write_statistics=False)
    pq.write_table(table.drop_columns("finished_at"), tmp_path / "without", row_group_size=4)

    def groups(name: str, *minutes: int) -> list[int]:
        times = [T0 + timedelta(minutes=minute) for minute in minutes]
        return groups_of(pq.read_metadata(tmp_path / name), times)

    assert groups("known") == groups("known", -1, 3, 7) == []
    assert groups("known", 0) == groups("known", 1) == groups("known", -1, 2) == [0]
    assert groups("known", 4, 5) == [1]
    assert groups("known", 2, 6) == [0, 1]
    assert groups("unknown", 99) == groups("without", 99) == [0, 1]


@pytest.mark.parametrize("no_time", [0.0, "noon", False])
def test_times_of_another_type_are_damage(no_time: object, tmp_path: Path) -> None:
    curve = pa.Table.from_pylist(curve_of(ended(0)), EPOCH_SCHEMA)
    column = EPOCH_SCHEMA.names.index("finished_at")
    pq.write_table(
        curve.set_column(column, "finished_at", pa.array([no_time] * 2)), tmp_path / "part"
    )

    with pytest.raises(DamagedPartError):
        read_part(tmp_path / "part", EPOCH_SCHEMA, [T0])


def test_a_column_that_an_older_part_lacks_is_empty(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(curve_of(ended(0)), EPOCH_SCHEMA)
    pq.write_table(table.drop_columns("learning_rate"), tmp_path / "part")
    nullable = pa.schema([field.with_nullable(nullable=True) for field in EPOCH_SCHEMA])

    read = read_ended(tmp_path / "part", nullable, [T0])

    assert read.column_names == EPOCH_SCHEMA.names
    assert read["learning_rate"].null_count == read.num_rows == 2


FILTERS = st.fixed_dictionaries(
    {name: st.none() | st.integers(0, 2) for name in ("topology", "class_id", "seed")}
)
ATTEMPTS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["ok", "diverged", "failed"]), st.integers(0, 5)),
    max_size=8,
    unique_by=lambda attempt: (attempt[0], attempt[2]),
)


@ON_DISK
@given(attempts=ATTEMPTS, again=st.booleans(), compact=st.booleans(), chosen=FILTERS)
def test_chosen_curves_are_those_of_a_whole_read(
    tmp_path_factory: pytest.TempPathFactory,
    attempts: list[tuple[int, str, int]],
    again: bool,
    compact: bool,
    chosen: dict[str, Any],
) -> None:
    folder = tmp_path_factory.mktemp("sweep")
    rows = [
        ended(minute, trial_id=f"trial {trial}", status=status, seed=trial % 2, class_id=trial % 3)
        | {"topology": None if trial == 3 else trial}
        for trial, status, minute in attempts
    ]
    store = sweep_of(folder, [])
    for several in (rows[:3], rows[3:], rows if again else []):
        append(store, several)
    if compact:
        store.compact()

    read = load_curves(folder, **chosen)

    trials = load_results(folder).set_index("trial_id")
    expected = store.epochs()
    for name in ("seed", "topology", "class_id", "reduction_topology", "status"):
        expected[name] = trials[name].reindex(expected["trial_id"]).array
    for name, number in chosen.items():
        if number is not None:
            expected = expected[expected[name] == number]
    pd.testing.assert_frame_equal(read, expected.reset_index(drop=True))


def test_epochs_come_by_row_then_by_epoch_each_once_whatever_their_order() -> None:
    rows = pd.DataFrame([ended(2), ended(1)])[["trial_id", "finished_at"]]
    belong = [epoch for number in (2, 1) for epoch in curve_of(ended(number))]
    stale = curve_of(ended(2, finished_at=T0))
    unknown = curve_of(ended(3))
    mixed = [belong[3], stale[0], belong[0], belong[1], belong[3], unknown[1], belong[2]]

    curves = curves_of(pa.Table.from_pylist(mixed, EPOCH_SCHEMA), rows, "trial_id")

    assert curves.to_pylist() == belong


def test_a_column_that_curves_do_not_have_is_refused_and_those_there_are_named(
    tmp_path: Path,
) -> None:
    sweep_of(tmp_path, [ended(0)])
    with pytest.raises(InputError, match="no column 'genotype'") as refusal:
        load_curves(tmp_path, columns=["test_accuracy", "genotype"])
    assert str(refusal.value) == (
        "curves have no column 'genotype': use learning_rate, train_loss, train_accuracy, "
        "val_accuracy, test_accuracy, seconds"
    )


def test_one_column_can_be_named_without_a_list(tmp_path: Path) -> None:
    sweep_of(tmp_path, [ended(0)])

    alone, in_a_list = (load_curves(tmp_path, columns=each) for each in ("seconds", ["seconds"]))

    pd.testing.assert_frame_equal(alone, in_a_list)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"topology": 180}, "there is no topology 180: 4 nodes have 0..179"),
        ({"topology": -1}, "there is no topology -1: 4 nodes have 0..179"),
        ({"class_id": 79}, "there is no class_id 79: 4 nodes have 0..78"),
        ({"reduction_topology": 999}, "there is no reduction_topology 999: 4 nodes have 0..179"),
    ],
)
def test_numbers_that_no_cell_has_are_refused(
    chosen: dict[str, Any], said: str, tmp_path: Path
) -> None:
    sweep_of(tmp_path, [ended(0)])
    with pytest.raises(InputError) as refusal:
        load_curves(tmp_path, **chosen)
    assert str(refusal.value) == said


def test_classes_are_counted_only_where_one_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(opened, "isomorphism_classes")
    sweep_of(tmp_path, [ended(0, topology=17)])

    assert load_curves(tmp_path, topology=3, reduction_topology=3).empty


def test_cells_of_more_nodes_have_more_topologies(tmp_path: Path) -> None:
    normal = CellEdges.uniform(Topology.from_index(999, nodes=5), "sep_conv_3x3")
    sweep_of(tmp_path, [ended(0, genotype=str(Genotype(normal, normal)), topology=999)])

    assert len(load_curves(tmp_path, topology=999)) == 2
    assert load_curves(tmp_path, topology=998).empty


def test_where_nothing_of_the_kind_has_ended_there_are_no_rows(tmp_path: Path) -> None:
    sweep_of(tmp_path, [ended(0, topology=17)])

    none = load_curves(tmp_path, topology=3)

    assert none.empty
    assert list(none.columns) == list(load_curves(tmp_path).columns)

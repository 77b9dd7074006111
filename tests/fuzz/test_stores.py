"""Folders of sweeps whose `sweep.json` or Parquet files hold what no run writes."""

from __future__ import annotations

import functools
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.files import digest
from tests.fuzz.inputs import FUZZ, JUNK, TEXTS, edited, mutated, works_or_is_refused
from tests.topo_sweep.conftest import FINGERPRINT, make_sweep, small_spec
from tests.topo_sweep.runs.search_run import search_curve_of, search_spec, stored_search
from tests.topo_sweep.store.store_rows import curve_of, trial_row
from topo_sweep.analysis.ranking import rank
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.reports.check import check_sweep, folders_to_check
from topo_sweep.runs.reports.overview import overview
from topo_sweep.runs.reports.status import failures, sweep_status
from topo_sweep.spec.load import SweepSpec
from topo_sweep.store.merge import merge_sweeps
from topo_sweep.store.opened import (
    OpenedSweep,
    load_curves,
    load_results,
    open_sweep,
)
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import _footer
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import SEARCHES, TABLES, TRIALS

SPECS: Final[tuple[SweepSpec, ...]] = (
    small_spec(),
    search_spec(attention=("once",), spaces=("SS1", "all"), evaluation_seeds=(0,)),
)
Reader = Callable[[StorePaths, SweepSpec], object]
PARTS: Final = {name: schema for table in TABLES.values() for name, schema in table.parts}


@functools.cache
def made(spec_number: int, folder: Path) -> Path:
    """Return the folder of results with a sweep of some rows; only to be copied."""
    spec = SPECS[spec_number]
    store = make_sweep(folder / f"made {spec_number}", spec)
    for number, (trial_id, planned) in enumerate(list(spec.trials().items())[:3]):
        known = {"seed": planned.seed, "status": ("ok", "failed", "diverged")[number]}
        if planned.finds_cell:
            row = stored_search(trial_id, **known)
            store.append([row], search_curve_of(row), table=SEARCHES)
        else:
            row = trial_row(trial_id, protocol_hash=spec.protocol.protocol_hash, **known)
            row |= {"fingerprint": FINGERPRINT, "sweep": spec.name, "kind": spec.kind}
            store.append([row], curve_of(row), table=TRIALS)
    return store.paths.folder.parent


@contextmanager
def sweep_with_rows(folder: Path, spec: SweepSpec) -> Iterator[StorePaths]:
    """Yield a sweep with some rows, alone in a folder of results; it is gone afterwards."""
    results = folder / "results"
    shutil.copytree(made(SPECS.index(spec), folder), results)
    try:
        (sweep,) = results.iterdir()
        yield StorePaths(sweep)
    finally:
        shutil.rmtree(results)


def of_opened(read: Callable[[OpenedSweep], object]) -> Reader:
    """Return what opens a sweep and then reads something of it."""
    return lambda paths, _: read(open_sweep(paths.folder))


def merge_beside(sweep: OpenedSweep) -> None:
    """Merge a sweep into another folder, and check that the merged one is in that."""
    out = sweep.folder.parent / "merged"
    assert merge_sweeps([sweep], out).folder.resolve().parent == out.resolve()


READERS: Final[tuple[Reader, ...]] = (
    lambda paths, _: load_results(paths.folder),
    lambda paths, _: load_results(paths.folder.parent),
    lambda paths, _: load_curves(paths.folder),
    lambda paths, _: load_curves(paths.folder, topology=17, columns=["train_loss"]),
    lambda paths, _: overview(paths.folder.parent),
    lambda paths, spec: make_plan(spec, paths.folder.parent).left,
    lambda paths, spec: make_plan(spec, paths.folder.parent, retry_failed=True).blocked,
    lambda paths, _: [check_sweep(f, repairs=False) for f in folders_to_check(paths.folder)],
    lambda paths, _: [check_sweep(f, repairs=True) for f in folders_to_check(paths.folder)],
    lambda paths, _: ResultStore(paths).tidy(),
    lambda paths, _: ResultStore(paths).compact(),
    of_opened(OpenedSweep.searches),
    of_opened(OpenedSweep.search_epochs),
    of_opened(OpenedSweep.protocols),
    of_opened(OpenedSweep.planned),
    of_opened(sweep_status),
    of_opened(failures),
    of_opened(lambda sweep: rank(sweep.trials())),
    of_opened(merge_beside),
)
"""What commands do with a sweep."""


def read_all(paths: StorePaths, spec: SweepSpec, readers: Iterable[Reader]) -> None:
    """Check that each works or is refused, one after the other."""
    for read in readers:
        works_or_is_refused(read, paths, spec)


SOME = st.lists(st.sampled_from(READERS), min_size=1, max_size=4)


# sweep.json


@st.composite
def manifests(draw: st.DrawFn, text: str) -> str:
    """Return a `sweep.json` that was changed, and whose digest may have been made to fit."""
    if draw(st.integers(0, 3)) == 0:
        return draw(edited(text))
    value = json.loads(text)
    written = value.pop("digest")
    value = draw(mutated(value))
    if draw(st.integers(0, 3)) == 0 and isinstance(value, dict):
        value["digest"] = written
    return json.dumps(value)


@FUZZ
@given(data=st.data(), spec=st.sampled_from(SPECS))
def test_any_manifest_is_read_or_refused(
    data: st.DataObject, spec: SweepSpec, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with sweep_with_rows(tmp_path_factory.getbasetemp(), spec) as paths:
        text = data.draw(manifests(paths.manifest.read_text(encoding="utf-8")))
        paths.manifest.write_bytes(text.encode(errors="surrogatepass"))

        read_all(paths, spec, data.draw(SOME))


# Parquet files


def typed(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Return what a column of a type may hold, also what it never should."""
    if pa.types.is_string(kind):
        return st.one_of(TEXTS, st.sampled_from(["ok", "failed", "diverged", "{}", "null", "[]"]))
    if pa.types.is_integer(kind):
        return st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 200)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_floating(kind):
        return st.floats()
    return st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001 - next line
        lambda moment: moment.replace(tzinfo=UTC)
    )


TYPES: Final = (
    *(pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us", tz="UTC")),
    *(pa.int8(), pa.float32(), pa.timestamp("ns"), pa.timestamp("s", tz="UTC"), pa.uint64()),
)
OTHERS: Final = (
    pa.binary(),
    pa.list_(pa.string()),
    pa.struct([("a", pa.int64())]),
    pa.dictionary(pa.int32(), pa.string()),
    pa.null(),
    pa.date32(),
)


@st.composite
def tables(draw: st.DrawFn, schema: pa.Schema) -> pa.Table:
    """Return rows of about this schema: columns of other types, too many, or too few."""
    count = draw(st.integers(0, 3))
    columns: dict[str, pa.Array] = {}
    changed = set(draw(st.lists(st.sampled_from(schema.names), max_size=2)))
    for field in schema:
        kind, values = field.type, typed(field.type)
        if field.name in changed:
            what = draw(st.sampled_from(["type", "other", "null", "missing"]))
            if what == "missing":
                continue
            if what == "type":
                kind = draw(st.sampled_from(TYPES))
                values = typed(kind) if kind in TYPES[:5] else st.none()
            elif what == "other":
                kind, values = draw(st.sampled_from(OTHERS)), st.none()
            else:
                values = st.none()
        held = draw(st.lists(values, min_size=count, max_size=count))
        columns[field.name] = pa.array(held, kind)
    if draw(st.booleans()):
        extra = draw(TEXTS.filter(lambda name: name.encode(errors="ignore").decode() == name))
        columns[extra] = pa.array([None] * count, pa.string())
    return pa.table(columns)


@st.composite
def files(draw: st.DrawFn, schema: pa.Schema) -> tuple[str, bytes]:
    """Return name and content of a Parquet file, or of what calls itself one."""
    table = draw(tables(schema))
    if draw(st.booleans()):
        replaces = draw(st.one_of(JUNK, st.lists(TEXTS, max_size=2)))
        table = table.replace_schema_metadata(
            {b"topo_sweep.replaces": json.dumps(replaces).encode()}
        )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    content = buffer.getvalue()
    harm = draw(st.sampled_from(["none", "none", "cut", "flip", "raw"]))
    if harm == "raw":
        content = draw(st.binary(max_size=100))
    elif harm != "none":
        position = draw(st.integers(0, len(content) - 1))
        flipped = bytes([content[position] ^ (1 << draw(st.integers(0, 7)))])
        content = content[:position] + (
            flipped + content[position + 1 :] if harm == "flip" else b""
        )
    name = "part-of-another-tool"
    if harm == "none" or draw(st.booleans()):
        name = f"part-{draw(st.integers(0, 10**20 - 1)):020d}-{digest(_footer(content))}"
        name += f"-{digest(content)}"
    return f"{name}.parquet", content


@FUZZ
@given(data=st.data(), spec=st.sampled_from(SPECS), folder=st.sampled_from(sorted(PARTS)))
def test_any_parquet_file_is_read_or_refused(
    data: st.DataObject, spec: SweepSpec, folder: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with sweep_with_rows(tmp_path_factory.getbasetemp(), spec) as paths:
        name, content = data.draw(files(PARTS[folder]))
        paths.part_folder(folder).mkdir(exist_ok=True)
        (paths.part_folder(folder) / name).write_bytes(content)

        read_all(paths, spec, data.draw(SOME))

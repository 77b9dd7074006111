"""`topo-sweep compare` as its users meet it: which folders it reads, what it prints where."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nas_core.errors import InputError
from nas_core.protocols.training import DataOptions, Protocol
from tests.topo_sweep.conftest import FINGERPRINT, make_sweep, small_spec
from tests.topo_sweep.paper.compare_rows import topology
from tests.topo_sweep.store.store_rows import append, trial_row
from topo_sweep.cli.compare import compare
from topo_sweep.paper.compare import open_sources
from topo_sweep.spec.networks import TopologySweep

PAPER: dict[str, Any] = {"protocol": Protocol(), "data": DataOptions(dataset="cifar10")}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder with a sweep by the paper's protocol and one on digits, each of two topologies."""
    sweep(tmp_path, small_spec(name="paper", **PAPER), 0.9)
    sweep(tmp_path, small_spec(name="tiny"), 0.8)
    (tmp_path / "studies" / "kept").mkdir(parents=True)
    sweep(tmp_path / "studies", small_spec(name="kept"), 0.7)
    return tmp_path


def sweep(folder: Path, spec: TopologySweep, test: float) -> None:
    identity = {
        "sweep": spec.name,
        "kind": spec.kind,
        "dataset": spec.data.dataset,
        "protocol_hash": spec.protocol.protocol_hash,
        "fingerprint": FINGERPRINT,
    }
    rows = [topology(i, 0, test + 0.01 * i) for i in (0, 1)]
    rows = [row | identity | {"trial_id": f"{spec.name} {row['topology']}"} for row in rows]
    append(make_sweep(folder, spec), [trial_row(**row) for row in rows])


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(compare, [str(argument) for argument in arguments])


def printed(result: Result) -> str:
    assert result.exception is None, result.output
    return result.stdout


def folders(parts: Sequence[str], results: Path) -> list[Path]:
    return [next(results.glob(f"{part}-*")) for part in parts]


def test_a_folder_of_sweeps_gives_all_its_own_sweeps_and_no_kept_study(results: Path) -> None:
    text = printed(run(results))

    assert text.count("Topology sweep (phase 1)") == 2
    assert "sweep paper-cifar10-" in text
    assert "sweep tiny-digits-" in text
    assert "kept" not in text
    assert "evaluation: init_channels 4 (paper 16), epochs 5 (paper 100)" in text
    assert (
        text.strip().splitlines()[-1].startswith("No rows for: table 2 (`topo-sweep run table2`)")
    )


def test_sweeps_and_folders_can_be_given_together_and_twice(results: Path) -> None:
    (paper,) = folders(["paper"], results)

    assert [each.name for each in open_sources([paper])] == [paper.name]
    assert len(open_sources([results, paper, results])) == 2
    (kept,) = open_sources([results / "studies"])
    assert kept.name.startswith("kept-")


def test_the_default_is_the_folder_where_sweeps_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep(Path("results"), small_spec(name="paper", **PAPER), 0.9)

    assert "sweep paper-cifar10-" in printed(run())


def test_json_and_csv_are_flat_records_and_missing_tables_go_to_stderr(results: Path) -> None:
    json_result, csv_result = (run(results, "--format", form) for form in ("json", "csv"))
    records = json.loads(printed(json_result))
    rows = list(csv.DictReader(io.StringIO(printed(csv_result))))

    assert json_result.stderr.startswith("No rows for: table 2")
    assert len(rows) == len(records) == 8
    assert [row["row"] for row in rows] == [record["row"] for record in records]
    best = next(record for record in records if record["row"] == "highest in one seed")
    assert (best["paper"], best["n"]) == ("92.44", 1)
    assert {record["table"] for record in records} == {"phases"}


def test_a_table_without_rows_is_one_sentence_that_says_what_fills_it(results: Path) -> None:
    result = run(results, "--table", "4")

    assert isinstance(result.exception, InputError)
    assert "no rows for table 4 (`topo-sweep run table4`)" in str(result.exception)


def test_no_folder_and_no_sweep_are_told_apart(tmp_path: Path) -> None:
    assert "there is no folder" in str(run(tmp_path / "nowhere").exception)
    assert "is no sweep and holds none" in str(run(tmp_path).exception)

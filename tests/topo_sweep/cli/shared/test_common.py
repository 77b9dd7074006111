"""How commands print what they know, and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click
import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError, TopoSweepError
from nas_core.protocols.training import DataOptions
from tests.topo_sweep.analysis.choice_rows import searched, topologies
from topo_sweep.cli.shared.common import (
    OUTPUT,
    PATH,
    STDOUT,
    TEXT,
    beside,
    evaluated,
    print_records,
)
from topo_sweep.store.opened import open_sweep

RECORDS = [
    {"index": 0, "edges": [[0, None]], "name": "a,b", "mean": None},
    {"index": 1, "edges": [], "name": 'say "c"', "mean": 0.5},
]


Printed = Callable[..., str]


def test_what_is_made_of_a_sweep_goes_beside_it_however_its_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = topologies(tmp_path / "results", {17: [0.9]}).folder
    monkeypatch.chdir(tmp_path)
    given = folder.relative_to(tmp_path)
    assert beside(open_sweep(Path("results"))) == beside(open_sweep(given)) == Path("results")
    assert beside(open_sweep(folder)) == tmp_path / "results"
    (folder / "figures").mkdir()
    for inside, name in ((folder, Path()), (folder / "figures", Path(".."))):
        monkeypatch.chdir(inside)
        assert beside(open_sweep(name)) == tmp_path / "results"


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """Return what is printed of these records, in this format, without the end of the line."""

    def printed(records: Any, output_format: str, text: str = "the table", **rest: Any) -> str:
        print_records(records, output_format, text, **rest)
        output, _ = capsys.readouterr()
        assert output.endswith("\n")
        return output[:-1]

    return printed


def test_json_gives_back_what_is_known_of_one_or_of_many(printed: Printed) -> None:
    for known in (RECORDS, RECORDS[0]):
        assert json.loads(printed(known, "json")) == known


def test_csv_has_a_line_each_with_lists_as_json_and_nothing_for_what_is_unknown(
    printed: Printed,
) -> None:
    assert printed(RECORDS, "csv").splitlines() == [
        "index,edges,name,mean",
        '0,"[[0, null]]","a,b",',
        '1,[],"say ""c""",0.5',
    ]
    assert printed(RECORDS[0], "csv") == printed(RECORDS[:1], "csv")
    assert printed([], "csv") == ""


def test_people_get_the_text(printed: Printed) -> None:
    assert printed(RECORDS, "table", "the table") == "the table"


@pytest.mark.parametrize(("output_format", "said"), [("table", ""), ("json", "one\ntwo\n")])
def test_remarks_go_to_stderr_where_a_program_reads(
    output_format: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_records([], output_format, "one, two", remarks=["one", "two"])
    assert capsys.readouterr().err == said


def test_records_go_to_a_file_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_records([], "table", "text in a file", output=tmp_path / "file.txt")

    assert capsys.readouterr().out == ""
    assert (tmp_path / "file.txt").read_text(encoding="utf-8") == "text in a file\n"


def test_results_elsewhere_are_called_by_their_uri_in_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = PATH.convert("s3://bucket/results", None, None)
    text = TEXT.convert("s3://bucket/results", None, None)
    assert (text, Path(text).is_dir()) == (str(folder), True)
    assert TEXT.convert("DARTS_V2", None, None) == "DARTS_V2"
    with pytest.raises(click.BadParameter, match="holds a credential"):
        TEXT.convert("s3://a:b@bucket/results", None, None)

    record = {"folder": str(folder / "sweep")}
    print_records(record, "json", "", output=tmp_path / "file.json")
    written = json.loads((tmp_path / "file.json").read_text(encoding="utf-8"))
    assert written == {"folder": "s3://bucket/results/sweep"}


def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    target = tmp_path / "no folder" / "file.txt"

    with pytest.raises(InputError) as refused:
        print_records([], "table", "text", output=target)

    assert str(refused.value) == f"cannot write {target}: No such file or directory"


def test_a_device_that_fails_is_no_mistake_of_the_user() -> None:
    with pytest.raises(TopoSweepError, match="cannot write /dev/full: No space left") as failed:
        print_records([], "table", "text", output=Path("/dev/full"))
    assert not isinstance(failed.value, InputError)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "the path is empty: name a file, or - for stdout"),
        ("folder", "folder is a folder: name a file in it"),
        ("none/file.txt", "there is no folder none: make it first"),
        ("x" * 300, "is no path: File name too long"),
    ],
)
def test_a_file_that_could_not_be_written_is_refused_before_any_work(
    value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(click.BadParameter, match=said):
        OUTPUT.convert(value, None, None)
    assert OUTPUT.convert("folder/new.txt", None, None) == Path("folder/new.txt")
    assert OUTPUT.convert("-", None, None) == STDOUT
    assert OUTPUT.convert("/dev/null", None, None) == Path("/dev/null")


def test_a_dash_is_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    print_records([], "table", "text", output=STDOUT)
    assert capsys.readouterr().out == "text\n"


@pytest.mark.parametrize(
    ("cells", "dataset", "way"),
    [
        (["PDARTS"], "digits", "evaluate {} --dataset digits"),
        (["PDARTS"], "cifar10", "evaluate {}"),
        (["PDARTS", "PDARTS"], "cifar10", "evaluate {}"),
        (["PDARTS", "DARTS_V2"], "digits", "plot skips {}"),
    ],
)
def test_a_search_without_evaluations_says_how_to_get_them(
    cells: list[str], dataset: Literal["digits", "cifar10"], way: str, tmp_path: Path
) -> None:
    sweep = searched(tmp_path, [(KNOWN_CELLS[name], []) for name in cells])
    manifest = sweep.manifest.model_copy(update={"data": DataOptions(dataset=dataset)})
    with pytest.raises(InputError, match=rf"`topo-sweep {way.format(sweep.folder)}`$"):
        evaluated(replace(sweep, manifest=manifest))

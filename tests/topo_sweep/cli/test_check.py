"""`topo-sweep check` as its reader sees it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import TINY, comparable
from tests.integration.small_searches import stored
from tests.program import done, program, refused
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.local_store import parts
from tests.topo_sweep.store.store_rows import append, trial_row


def test_damage_is_named_and_moved_aside_only_where_asked(tmp_path: Path) -> None:
    store = make_sweep(tmp_path / "results", small_spec())
    append(store, [trial_row("a")])
    folder = store.paths.folder.relative_to(tmp_path)
    assert done(tmp_path, "check").output == f"{folder}: 3 files, none damaged\n"
    (part,) = parts(store.paths.trials)
    part.write_bytes(part.read_bytes()[:-1])

    found = program(tmp_path, "check", str(folder))
    line = f"{part.relative_to(tmp_path)}: its bytes are not those that were written"
    assert found.code == 1
    assert found.output == f"{line}\n{folder}: 3 files, 1 damaged\n"
    assert found.errors.startswith("topo-sweep: 1 file damaged: --repair moves")
    assert part.exists()

    repaired = done(tmp_path, "check", "--repair")
    assert repaired.output == f"{line}; moved aside\n{folder}: 3 files, 1 damaged\n"
    assert "give the command of the sweep again" in repaired.errors
    assert done(tmp_path, "check").output == f"{folder}: 2 files, none damaged\n"


@pytest.mark.slow
@pytest.mark.parametrize("seeds", ["0", "0-1"])
def test_a_sweep_that_lost_its_sweep_json_keeps_its_rows_and_gets_another(
    seeds: str, tmp_path: Path
) -> None:
    command = ("run", "demo", *TINY, "--topologies", "0,179", "--executor", "inline")
    done(tmp_path, *command)
    before = comparable(tmp_path / "results")
    (manifest,) = tmp_path.glob("results/*/sweep.json")
    manifest.write_text("{", encoding="utf-8")
    done(tmp_path, "check", "--repair")
    assert not manifest.exists()

    done(tmp_path, *command, "--seeds", seeds)

    rows = comparable(tmp_path / "results")
    pd.testing.assert_frame_equal(rows[rows["seed"] == 0].reset_index(drop=True), before)
    assert stored(tmp_path / "results", "trials") == len(rows) == (2 if seeds == "0" else 4)
    assert done(tmp_path, "rank", "--by", "topology").output.count("\n") > 2


def test_a_study_of_an_earlier_version_says_what_cannot_be_seen(tmp_path: Path) -> None:
    store = make_sweep(tmp_path / "results", small_spec())
    append(store, [trial_row("a")])
    (part,) = parts(store.paths.trials)
    part.rename(part.with_name("part-01790000000000000000-0123abcd.parquet"))

    line = done(tmp_path, "check").output
    assert "none damaged; 1 of an earlier version, in which a changed value would not" in line


def test_what_is_left_of_a_sweep_without_its_sweep_json_is_checked_beside_other_sweeps(
    tmp_path: Path,
) -> None:
    for name in ("a", "b"):
        store = make_sweep(tmp_path / "results", small_spec(name=name))
        append(store, [trial_row(name)])
    store.paths.manifest.unlink()
    (part,) = parts(store.paths.trials)
    part.write_bytes(b"")
    folder = store.paths.folder.relative_to(tmp_path)

    for arguments in ((), (str(folder),)):
        found = program(tmp_path, "check", *arguments)
        assert found.code == 1
        assert f"{folder}: 2 files, 1 damaged; no sweep.json: give the command" in found.output
    done(tmp_path, "check", "--repair")

    assert not part.exists()
    assert f"{folder}: 1 file, none damaged; no sweep.json" in done(tmp_path, "check").output


def test_where_there_is_no_sweep_one_line_says_so(tmp_path: Path) -> None:
    assert "there is no folder none" in refused(tmp_path, "check", "none")

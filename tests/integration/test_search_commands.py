"""From a sweep of topologies to a cell and what it is worth, command by command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.cells.topology import Topology
from tests.conftest import TINY
from tests.program import done, files, png_size, the_sweep
from topo_sweep.cli.enumerate import GRID_NAMES, Grid, grid_records
from topo_sweep.spec.load import load_spec
from topo_sweep.spec.searches import SearchSweep

INLINE = ("--executor", "inline")
TRAIN = (*TINY, *INLINE)
SEARCH = (
    *("search", "--dataset", "digits", "--train-limit", "64", "--set", "cells=3"),
    *("--set", "init_channels=2", "--set", "epochs=2", "--set", "images=32"),
)
ALONG_17 = (*SEARCH, "--topology", "17", "--set", "alpha_order=1")


@pytest.fixture(scope="module")
def topologies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a sweep of three topologies with two seeds: an accuracy for each."""
    folder = tmp_path_factory.mktemp("topologies")
    done(
        folder, "run", "demo", *TRAIN, "--epochs", "1", "--topologies", "3,17,90", "--seeds", "0,1"
    )
    return folder / "results"


@pytest.fixture(scope="module")
def search_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of one search along topology 17, and what it printed."""
    folder = tmp_path_factory.mktemp("found")
    ended = done(folder, *ALONG_17)
    (folder / "printed.txt").write_text(ended.output, encoding="utf-8")
    (folder / "said.txt").write_text(ended.errors, encoding="utf-8")
    return folder


def best_topology(results: Path) -> int:
    """Return what `rank` puts first."""
    ranked = json.loads(done(results.parent, "rank", "--format", "json").output)
    index: int = ranked[0]["topology"]
    return index


def test_search_prints_the_cell_in_darts_notation_and_nothing_else(search_folder: Path) -> None:
    (line,) = (search_folder / "printed.txt").read_text(encoding="utf-8").splitlines()
    cell = Genotype.from_darts(line)
    assert cell.to_darts() == line
    assert cell.normal.topology == cell.reduction.topology == Topology.from_index(17)
    said = (search_folder / "said.txt").read_text(encoding="utf-8").splitlines()
    skips = (str(edges).count("skip_connect") for edges in (cell.normal, cell.reduction))
    told = "{} + {} skip connections (normal + reduction), epochs: 2, ".format(*skips)
    assert said[-1].startswith(told)


def test_the_same_search_again_runs_nothing_and_tells_the_same_as_json(search_folder: Path) -> None:
    before = files(search_folder / "results")
    ended = done(search_folder, *ALONG_17, "--format", "json")
    record = json.loads(ended.output)

    assert ended.errors.startswith("nothing to do: ")
    assert files(search_folder / "results") == before
    assert {"genotype", "skips", "parameters", "epochs", "seconds"} <= set(record)
    assert record["genotype"] == (search_folder / "printed.txt").read_text(encoding="utf-8").strip()
    cell = Genotype.from_darts(record["genotype"])
    assert record["skips"] == {
        "normal": str(cell.normal).count("skip_connect"),
        "reduction": str(cell.reduction).count("skip_connect"),
    }
    (row,) = the_sweep(search_folder / "results", "search").searches().to_dict("records")
    for key, column in (("supernet_parameters", "parameters"), ("seconds", "search_seconds")):
        assert record[key] == row[column] > 0
    assert (record["epochs"], record["search_id"]) == (2, row["search_id"])


@pytest.mark.slow
def test_search_writes_a_file_instead_of_printing(search_folder: Path) -> None:
    for output_format in ("text", "json"):
        printed = done(search_folder, *ALONG_17, "--format", output_format).output
        ended = done(
            search_folder, *ALONG_17, "--format", output_format, "-o", f"cell.{output_format}"
        )
        assert ended.output == ""
        assert (search_folder / f"cell.{output_format}").read_text(encoding="utf-8") == printed


@pytest.mark.slow
def test_a_search_along_the_best_of_a_sweep_says_how_sure_that_is_and_records_it(
    topologies: Path, tmp_path: Path
) -> None:
    best = best_topology(topologies)
    ended = done(tmp_path, *SEARCH, "--topology-from", str(topologies), "--set", "epochs=1")

    cell = Genotype.from_darts(ended.output)
    assert cell.normal.topology == cell.reduction.topology == Topology.from_index(best)
    warning, _, _, margin, choice = ended.errors.splitlines()[:5]
    assert warning.startswith("warning: no images were held out, so test accuracy selects")
    assert margin.startswith(f"topology {best} is ahead of topology ")
    assert "2 common seeds: " in margin
    assert choice.startswith(f"topology {best}: the best of 3 classes of demo-digits-")
    (request,) = the_sweep(tmp_path / "results", "search").manifest.requests
    assert f"topology {best}: {request.spec['origin']}" == choice
    assert request.spec["search"]["topology"] == best


@pytest.mark.slow
def test_evaluate_takes_a_name_a_file_in_either_notation_and_a_folder_and_prints_a_table(
    search_folder: Path, topologies: Path, tmp_path: Path
) -> None:
    cell = Genotype.from_darts((search_folder / "printed.txt").read_text(encoding="utf-8"))
    other = KNOWN_CELLS["PDARTS"]
    (tmp_path / "own.json").write_text(other.to_json(), encoding="utf-8")
    done(search_folder, *ALONG_17, "--format", "json", "-o", str(tmp_path / "found.json"))
    given = ("DARTS_V2", "own.json", "found.json", str(topologies))
    apart = ("--results", "evaluated")  # other tests take the newest of what `given` names
    request = ("evaluate", *given, "--protocol", "demo", *TRAIN, "--epochs", "1", *apart)

    table = done(tmp_path, *request).output.splitlines()
    assert table[1].split()[:2] == ["rank", "genotype"]
    *ranked, chosen = table
    assert len(ranked) == 2 + len(given)
    assert chosen.startswith(
        "Chosen on the test images, so optimistic on them: the best of 3 classes"
    )
    ended = done(tmp_path, *request, "--format", "json")
    records = json.loads(ended.output)
    wiring = Topology.from_index(best_topology(topologies))
    assert "nothing to do: all 4 trials" in ended.errors
    assert [record["rank"] for record in records] == sorted(record["rank"] for record in records)
    written = {record["genotype"] for record in records}
    assert {str(KNOWN_CELLS["DARTS_V2"]), str(other), str(cell)} < written
    (best,) = written - {str(KNOWN_CELLS["DARTS_V2"]), str(other), str(cell)}
    assert Genotype.from_string(best).topology == wiring


@pytest.mark.slow
def test_evaluate_more_seeds_trains_those_alone_and_shows_what_was_asked_for(
    tmp_path: Path,
) -> None:
    request = ("evaluate", "--protocol", "demo", *TRAIN, "--epochs", "1")
    done(tmp_path, *request, "DARTS_V1", "DARTS_V2")
    ended = done(tmp_path, *request, "DARTS_V2", "--seeds", "0-2", "--format", "json")

    (record,) = json.loads(ended.output)
    assert (record["genotype"], record["n"]) == (str(KNOWN_CELLS["DARTS_V2"]), 3)
    assert len(the_sweep(tmp_path / "results", "evaluate").trials()) == 4


@pytest.fixture(scope="module")
def promoted(topologies: Path) -> Path:
    """The results to which the best two topologies went on, and all to the final evaluation."""
    folder = topologies.parent
    done(folder, "promote", str(topologies), "--top", "2", *INLINE, "--results", "promoted")
    final = ("--set", "cells=10", "--set", "init_channels=2", "--set", "auxiliary=false")
    done(
        folder,
        *("promote", str(topologies), "--final", "--above", "0.0", *final, "--set", "epochs=1"),
        *(*INLINE, "--results", "promoted", "--seeds", "7"),
    )
    return folder / "promoted"


@pytest.mark.slow
def test_promote_trains_the_best_with_one_wiring_in_both_cells_on_other_seeds(
    promoted: Path, topologies: Path
) -> None:
    ranked = json.loads(done(topologies.parent, "rank", "--format", "json").output)
    sweep = the_sweep(promoted, "demo-top2")
    rows = sweep.trials()

    assert sorted(rows["seed"]) == [2, 2, 3, 3], "0 and 1 selected"
    assert sorted(set(rows["topology"])) == sorted(row["topology"] for row in ranked[:2])
    for text in rows["genotype"]:
        cells = Genotype.from_string(text)
        assert cells.normal == cells.reduction
        assert cells.normal.uniform_operation == "sep_conv_3x3"
    (request,) = sweep.manifest.requests
    assert request.spec["origin"].startswith("the best 2 of 3 classes of demo-digits-")
    assert sweep.manifest.protocol == the_sweep(topologies, "demo").manifest.protocol


@pytest.mark.slow
def test_promote_final_evaluates_the_same_networks_by_the_final_protocol(
    promoted: Path, topologies: Path
) -> None:
    sweep, before = the_sweep(promoted, "demo-final"), the_sweep(topologies, "demo").trials()
    rows = sweep.trials()

    assert sorted(set(rows["genotype"])) == sorted(set(before["genotype"]))
    assert set(rows["seed"]) == {7}
    protocol = sweep.manifest.protocol
    assert (protocol.batch_size, protocol.cutout, protocol.drop_path) == (96, 16, 0.3)
    assert "those above 0.00% of 3" in sweep.manifest.requests[0].spec["origin"]


@pytest.mark.slow
def test_compare_puts_both_phases_beside_the_paper(promoted: Path, topologies: Path) -> None:
    folders = (str(topologies), str(promoted))
    text = done(topologies.parent, "compare", *folders, "--table", "phases").output
    assert "phase 1, test accuracy, %: 3 topologies of demo-digits-" in text
    assert "phase 2, test accuracy, %: 2 topologies of demo-top2-digits-" in text
    asked = done(topologies.parent, "compare", *folders, "--table", "phases", "--format", "json")
    records = json.loads(asked.output)
    assert {record["table"] for record in records} == {"phases"}
    best = [record for record in records if record["row"].startswith("best mean: topology ")]
    assert [(record["n"], record["paper"]) for record in best] == [(2, None)] * 2
    (gain,) = [record for record in records if record["quantity"].startswith("phase 2 - phase 1")]
    assert gain["note"] == "means over seeds, 2 and 2; Welch's interval"
    assert gain["ci_low"] < gain["ours"] < gain["ci_high"]


@pytest.mark.slow
@pytest.mark.parametrize("picture", ["alphas", "skips"])
def test_a_search_alone_is_drawn_among_its_figures(picture: str, search_folder: Path) -> None:
    printed_path = done(search_folder, "plot", picture).output.strip()
    assert Path(printed_path).match(f"results/search-digits-*/figures/{picture}.png")
    assert min(png_size(search_folder / printed_path)) > 300


@pytest.mark.slow
def test_cells_and_the_search_cell_are_drawn(
    search_folder: Path, topologies: Path, tmp_path: Path
) -> None:
    for name, arguments in (
        ("known", ("cell", "DARTS_V2")),
        ("searched", ("cell", str(search_folder / "printed.txt"))),
        ("best", ("cell", str(topologies))),
        ("supernet", ("supernet", "--topology", "17", "--space", "SS3")),
    ):
        done(tmp_path, "plot", *arguments, "-o", f"{name}.png")
        assert min(png_size(tmp_path / f"{name}.png")) > 300
    contents = {path.read_bytes() for path in tmp_path.glob("*.png")}
    assert len(contents) == 4


@pytest.mark.parametrize("grid", GRID_NAMES)
def test_the_grid_that_is_listed_is_the_one_that_runs(grid: Grid, tmp_path: Path) -> None:
    listed = json.loads(done(tmp_path, "enumerate", "--grid", grid, "--format", "json").output)
    sweep = load_spec(grid)
    assert isinstance(sweep, SearchSweep)
    entries = [
        (entry.space, list(entry.protocol.operations), entry.protocol.cells, entry.seed)
        for entry in sweep.searches()
    ]
    listed_entries = [(r["space"], r["operations"], r["cells"], r["seed"]) for r in listed]
    assert sorted(listed_entries) == sorted(entries)
    assert len(listed_entries) == len(grid_records(grid)) == {"subspaces": 160, "depth": 40}[grid]


def test_protocols_are_shown_and_compared(tmp_path: Path) -> None:
    shown = done(tmp_path, "protocol", "show", "search_edarts", "--against", "paper").output
    assert "attention" in shown
    assert "topology" in shown
    differences = done(tmp_path, "protocol", "diff", "search_subset", "search_sparse").output
    assert "differ in 3 of" in differences.splitlines()[0]
    assert sorted(line.split()[0] for line in differences.splitlines()[2:]) == [
        *("alpha_at", "alpha_every", "images"),
    ]

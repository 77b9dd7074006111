"""What an overview of a folder says of each sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.cells.genotype import Genotype
from nas_core.errors import InputError
from nas_core.protocols.training import PRESETS, DataOptions
from tests.topo_sweep.analysis.adaptive.races import stored_race
from tests.topo_sweep.analysis.ranking_rows import uniform
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.runs.search_run import search_spec, stored_search
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.runs.reports.overview import overview
from topo_sweep.store.tables import SEARCHES

X, Y, Z = (str(uniform(index)) for index in (0, 1, 17))
STUDIES = Path(__file__).parents[4] / "results" / "studies"


def test_sweeps_are_told_apart_by_protocol_data_and_what_they_have(tmp_path: Path) -> None:
    demo = small_spec(name="a", protocol=PRESETS["demo"])
    other = small_spec(
        name="b",
        protocol=PRESETS["demo"].with_values({"epochs": 9}),
        data=DataOptions(dataset="digits", holdout=100),
    )
    store = make_sweep(tmp_path, demo)
    ids = list(demo.trials())
    rows = [
        trial_row(ids[0], genotype=X, seed=0, test_accuracy=0.5),
        trial_row(ids[3], genotype=X, seed=1, test_accuracy=0.7),
        trial_row(ids[1], genotype=Y, seed=0, test_accuracy=0.55),
        trial_row(ids[2], genotype=Z, seed=5, status="failed", test_accuracy=None),
    ]
    by_demo = {"protocol_hash": PRESETS["demo"].protocol_hash}
    store.append([row | by_demo for row in rows], [])
    make_sweep(tmp_path, other)

    (first, second), problems = overview(tmp_path)

    assert problems == []
    assert (first["sweep"], first["protocol"], first["holdout"]) == ("a", "demo", 0)
    assert (first["planned"], first["ok"], first["failed"], first["left"]) == (6, 3, 1, 2)
    assert (first["seeds"], first["metric"], first["best_genotype"]) == (2, "test", Y)
    assert first["best"] == pytest.approx(0.65), "as if it had the better seed, too"
    assert first["asked"] == "topologies 0-1,17"
    assert second["protocol"] == "demo, epochs 9 (not 5)"
    assert (second["metric"], second["best"], second["seeds"]) == ("val", None, 0)


def test_the_best_of_a_race_is_what_the_race_has_for_it(tmp_path: Path) -> None:
    stored_race(tmp_path)

    ((only,), _) = overview(tmp_path)

    assert Genotype.from_string(only["best_genotype"]).normal.topology.index == 7


def test_sweeps_of_searches_are_told_apart_by_how_they_search(tmp_path: Path) -> None:
    small = search_spec(name="a", seeds=(0, 1, 2))
    store = make_sweep(tmp_path, small)
    store.append([stored_search(str(seed), seed=seed) for seed in small.seeds], [], table=SEARCHES)
    alone = {"spaces": ("all",), "evaluation_seeds": ()}
    make_sweep(tmp_path, search_spec(name="b", attention=("once",), **alone))
    make_sweep(
        tmp_path, search_spec(name="c", cells=(5, 16), **(alone | {"spaces": ("SS1", "SS2")}))
    )

    (first, second, third), problems = overview(tmp_path)

    assert problems == []
    assert first["search"] == (
        "none+skip_connect+sep_conv_3x3, 3 cells, init_channels 2, epochs 1, batch_size 16, "
        "crop_padding 0, flip false, images 32"
    )
    assert first["protocol"].startswith("demo, ")
    assert first["seeds"] == 3
    assert second["search"].startswith("all operations, 3 cells, attention once, init_channels 2,")
    assert third["search"].startswith("SS1, SS2, 5 and 16 cells, init_channels 2,")
    assert second["protocol"] == third["protocol"] == ""


def test_a_kept_sweep_of_searches_says_their_attention_and_what_trains_their_cells() -> None:
    ((record,), _) = overview(STUDIES / "edarts-cifar10")

    assert record["search"] == "all operations, 5 cells, attention none and once, topology [1, 1]"
    assert record["protocol"].startswith("shallow, init_channels 8")
    assert record["seeds"] == 1


def test_a_sweep_that_cannot_be_opened_hides_no_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_sweep(tmp_path, small_spec(name=name))
    damaged = next(tmp_path.glob("a-*"))
    (damaged / "sweep.json").write_text("{")

    records, (problem,) = overview(tmp_path)

    assert [record["sweep"] for record in records] == ["b"]
    assert str(damaged) in problem


def test_a_folder_without_sweeps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no sweep and holds none"):
        overview(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        overview(tmp_path / "absent")

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError
from nas_core.protocols.training import PRESETS
from tests.integration.shipped import (
    COUNTS,
    FOUND,
    SEARCHES,
    first_lines,
    of_networks,
    of_topologies,
    shipped,
    training_cost,
)
from topo_sweep.spec.load import load_spec, shipped_names
from topo_sweep.spec.networks import GenotypeSweep


@pytest.fixture(autouse=True)
def _another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_shipped_sweeps_are_these() -> None:
    assert shipped_names() == sorted([*COUNTS, *SEARCHES])


@pytest.mark.parametrize("name", COUNTS)
def test_a_shipped_sweep_loads_from_any_folder_with_its_name_and_trials(name: str) -> None:
    spec = of_networks(name)

    assert spec.name == name
    assert spec.trial_count == COUNTS[name]
    assert len(spec.genotype_list()) * len(spec.seeds) == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_a_shipped_sweep_begins_with_what_it_repeats_and_what_it_costs(name: str) -> None:
    spec = shipped(name)
    repeats, cost = first_lines(name)

    assert "paper" in repeats
    assert training_cost(spec) in cost
    assert re.search(rf"\b{COUNTS[name]}\b", cost)


def test_table_iv_evaluates_the_published_cells_and_those_that_were_found() -> None:
    spec = of_networks("table4")

    published = [KNOWN_CELLS[name] for name in ("DARTS_V1", "DARTS_V2", "PDARTS", "PC_DARTS")]
    assert spec.genotype_list() == (*published, *FOUND.values())
    assert spec.protocol == PRESETS["final"]


def test_the_topology_sweeps_are_the_papers() -> None:
    for name in ("topologies", "classes", "demo"):
        spec = of_topologies(name)
        operations = (spec.normal_operation, spec.reduction_operation, spec.reduction_topology)
        assert operations == ("sep_conv_3x3", "max_pool_3x3", 0)
        assert spec.seeds == (0,)

    assert of_topologies("topologies").topologies == tuple(range(180))
    assert of_topologies("topologies").protocol == PRESETS["shallow"]
    assert of_topologies("demo").topologies == tuple(range(180))
    assert of_topologies("demo").protocol == PRESETS["demo"]


def test_classes_has_one_topology_of_each_class() -> None:
    for name in ("classes", "classes_small"):
        class_ids = [g.normal.topology.class_id for g in of_networks(name).genotype_list()]
        assert class_ids == list(range(79))


def test_unified_trains_one_wiring_in_both_cells_all_separable() -> None:
    for genotype in of_networks("unified").genotype_list():
        assert genotype.normal == genotype.reduction
        assert genotype.normal.uniform_operation == "sep_conv_3x3"


def test_unified_asks_for_topologies() -> None:
    with pytest.raises(InputError, match=r"unified\.yaml .*give --topologies 0-3,17"):
        load_spec("unified")


def test_known_cells_are_those_of_table_iii_with_ten_seeds() -> None:
    spec = shipped("known_cells")

    assert isinstance(spec, GenotypeSweep)
    assert spec.genotype_list() == tuple(
        KNOWN_CELLS[name] for name in ("DARTS_V1", "DARTS_V2", "PDARTS", "PC_DARTS")
    )
    assert spec.seeds == tuple(range(10))
    assert spec.protocol == PRESETS["shallow"]


def test_a_file_or_folder_here_does_not_hide_a_shipped_sweep() -> None:
    Path("demo").write_text("kind: topologies\ntopologies: 0\n", encoding="utf-8")
    Path("topologies").mkdir()

    assert shipped("demo").trial_count == 180
    assert shipped("topologies").trial_count == 180
    assert load_spec("./demo").trial_count == 1


def test_a_suffix_names_a_file() -> None:
    Path("demo.yaml").write_text("kind: topologies\ntopologies: 0\n", encoding="utf-8")
    Path("other.YML").write_text("kind: topologies\ntopologies: 0-1\n", encoding="utf-8")
    Path("plain").write_text("kind: topologies\ntopologies: 0-2\n", encoding="utf-8")

    assert load_spec("demo.yaml").trial_count == 1
    assert load_spec("other.YML").trial_count == 2
    assert load_spec("plain").trial_count == 3


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("topologis", "neither a file nor a shipped sweep (did you mean topologies?): shipped"),
        ("topologis", "shipped are ablation_deep, ablation_equal, classes, classes_small, demo,"),
        ("known", "(did you mean known_cells?)"),
        ("", "'' is neither a file nor a shipped sweep"),
        ("x" * 5000, "is neither a file nor a shipped sweep"),
        ("a\0b", r"'a\x00b' is neither a file"),
        ("demo.yml", "there is no file demo.yml"),
        ("DEMO.YAML", "there is no file DEMO.YAML"),
        ("./demo", "there is no file ./demo"),
        ("a\n/b", r"there is no file 'a\n/b'"),
        ("a\0/b", r"'a\x00/b' cannot be read"),
        ("folder", "folder is a folder: name a YAML file"),
    ],
)
def test_what_names_no_sweep_is_told_with_what_does(source: str, expected: str) -> None:
    Path("folder").mkdir()
    with pytest.raises(InputError) as caught:
        load_spec(source)

    assert expected in str(caught.value)
    assert str(caught.value).isprintable()
    if "shipped" in expected:
        assert all(name in str(caught.value) for name in shipped_names())


def test_a_files_name_that_cannot_name_a_sweep_is_told_as_such() -> None:
    Path("my sweep.yaml").write_text("kind: topologies\ntopologies: 0\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_spec("my sweep.yaml")

    expected = "my sweep.yaml: name is missing, and the file's, 'my sweep', cannot be it: write"
    assert str(caught.value).startswith(expected)

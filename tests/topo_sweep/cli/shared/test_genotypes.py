"""Genotypes as commands take them: a name, a text, a file, a folder of results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError
from tests.topo_sweep.analysis.choice_rows import topologies
from tests.topo_sweep.analysis.ranking_rows import uniform
from topo_sweep.cli.shared.genotypes import read_genotype

OWN = uniform(17)


def test_a_text_in_any_notation_is_a_genotype_called_by_its_name_if_it_has_one() -> None:
    known = KNOWN_CELLS["PDARTS"]

    for text in ("PDARTS", str(known), known.to_darts(), known.to_json()):
        assert read_genotype(text) == (known, "PDARTS")
    assert read_genotype(OWN.to_darts()) == (OWN, "")


@pytest.mark.parametrize(
    "content",
    [OWN.to_darts(), OWN.to_json(), json.dumps({"genotype": OWN.to_darts(), "epochs": 50})],
    ids=["DARTS notation", "JSON", "what a search wrote"],
)
def test_a_file_holds_a_genotype_which_is_called_after_it(content: str, tmp_path: Path) -> None:
    path = tmp_path / "own.cell"
    path.write_text(content + "\n", encoding="utf-8")

    assert read_genotype(str(path)) == (OWN, "own.cell")


def test_of_a_folder_of_results_the_best_network_is_taken_and_how_sure_that_is_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topologies(tmp_path, {3: [0.5, 0.6], 17: [0.9, 0.8]})

    genotype, name = read_genotype(str(tmp_path))

    assert genotype.topology == OWN.topology
    assert name.startswith("the best of 2 classes of small-digits-")
    assert "topology 17 is ahead of topology 3" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["none.txt", "none.json", "./none", "/none"])
def test_what_looks_like_a_file_that_is_not_there_is_said(text: str) -> None:
    with pytest.raises(InputError, match=f"there is no file {text}: name one"):
        read_genotype(text)


def test_a_file_of_other_bytes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.cell"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(InputError, match=f"cannot read {path}"):
        read_genotype(str(path))


def test_a_text_too_long_for_a_file_name_is_read_as_a_text() -> None:
    with pytest.raises(InputError, match="is no genotype"):
        read_genotype("x" * 5000)

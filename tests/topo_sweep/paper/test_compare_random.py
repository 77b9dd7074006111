"""Random cells beside searches are no part of what is compared with the paper."""

from __future__ import annotations

from pathlib import Path

from tests.topo_sweep.analysis.inference.random_beside import searched_with_random_cells
from topo_sweep.paper.compare import open_sources


def test_a_source_has_the_trainings_of_what_was_found_alone(tmp_path: Path) -> None:
    (source,) = open_sources([searched_with_random_cells(tmp_path)])

    assert source.trials["kind"].tolist() == ["search", "search"]

"""Where the files of a sweep lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.protocols.training import DataOptions, Protocol
from topo_sweep.store.paths import StorePaths

DIGITS = DataOptions(dataset="digits")


def folder(
    sweep: str = "mine",
    protocol: Protocol | None = None,
    data: DataOptions = DIGITS,
    more: str = "",
) -> Path:
    paths = StorePaths.of(
        Path("results"), sweep=sweep, protocol=protocol or Protocol(), data=data, more=more
    )
    return paths.folder


def test_a_sweep_lies_where_it_lay_in_every_version() -> None:
    """Another hash would orphan every store that was ever written."""
    assert folder() == Path("results/mine-digits-a8792945")
    assert folder(more="epochs=3") == Path("results/mine-digits-70ddcaad")


@pytest.mark.parametrize(
    "other",
    [
        folder(protocol=Protocol(epochs=7)),
        folder(data=DataOptions(dataset="digits", holdout=1)),
        folder(more="epochs=3"),
        folder(more="epochs=4"),
    ],
)
def test_what_cannot_be_compared_lies_in_another_folder(other: Path) -> None:
    assert other != folder()
    assert other.name.rpartition("-")[0] == folder().name.rpartition("-")[0]


def test_every_file_of_a_sweep_lies_in_its_folder_at_a_place_of_its_own() -> None:
    paths = StorePaths(Path("results/mine"))
    files = [
        *(paths.manifest, paths.trials, paths.epochs, paths.part_folder("searches")),
        *(paths.checkpoints, paths.figures, paths.lock, paths.progress),
    ]

    assert len(set(files)) == len(files)
    assert {path.parent for path in files} == {paths.folder}
    assert paths.checkpoint("abc").parent == paths.checkpoints
    assert paths.checkpoint("abc") != paths.checkpoint("abd")
    assert paths.part_folder("trials") == paths.trials

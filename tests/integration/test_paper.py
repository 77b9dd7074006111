"""Every experiment of the paper runs by the command that docs/experiments.md gives, made small.

The images are a handful of noise in the layout of CIFAR's Parquet files, so that data sets, folders
and protocols (the auxiliary head, which needs 32x32 images, too) are those of the commands.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.nas_core.data.cifar_files import png, some_pixels, write_shard
from tests.pages import experiments, pictures
from tests.program import done, program, refused, the_sweep
from topo_sweep.store.opened import open_sweep

LABELS = {
    "cifar10": [image % 10 for image in range(16)],
    "cifar100": [image * 99 // 15 for image in range(16)],
}
TRAIN = (
    *("--executor", "inline", "--seeds", "5", "--set", "init_channels=2", "--set", "cells=3"),
    *("--set", "epochs=1", "--set", "batch_size=16"),
)
SEARCH = (
    *("--set", "search.init_channels=2", "--set", "search.epochs=1"),
    *("--set", "search.batch_size=16"),
)
FIRST_ORDER = ("--set", "search.alpha_order=1")
"""For deep networks, of which seconds add up."""

SMALL = {
    "topologies": ("--topologies", "0,17", "--holdout", "0"),
    "subspaces": (*SEARCH, *FIRST_ORDER),
    "depth": (*SEARCH, *FIRST_ORDER),
    "ablation_deep": (*SEARCH, *FIRST_ORDER),
    "table2": (*SEARCH, "--set", "search.cells=3"),
    "ablation_equal": (*SEARCH, "--set", "search.cells=3"),
    "edarts": (*SEARCH, "--set", "search.cells=3"),
    "edarts_c100": (*SEARCH, "--set", "search.cells=3"),
    "edarts_controls": (
        *(*SEARCH, "--set", "search.cells=3", "--random-cells", "1"),
        *("--holdout", "0", "--train-limit", "16"),
    ),
    "search_darts_20": ("--set", "init_channels=2", "--set", "alpha_order=1"),
    "search_pcdarts": ("--set", "init_channels=8", "--set", "cells=3"),
    "search_pdarts": ("--set", "init_channels=2"),
}
"""What else makes a sweep, or a search by a preset, small."""


def write_images(folder: Path) -> None:
    """Write small stand-ins for both data sets; each class of CIFAR-10 is in its test images."""
    images = [png(image) for image in some_pixels(16, 32, 32)]
    for dataset, labels in LABELS.items():
        for part in ("train", "test"):
            write_shard(folder / dataset / f"{part}-00000-of-00001.parquet", images, labels)


def small(command: str, folder: Path) -> list[str]:
    """Return the arguments of a command with options behind that make it small.

    A folder whose hash nobody knows beforehand is looked up among the results.
    """
    arguments = [
        str(the_sweep(folder / "results", Path(argument).name.split("-")[0]).folder)
        if argument.endswith("-HASH")
        else argument
        for argument in shlex.split(command)[1:]
    ]
    name, what = arguments[0], arguments[2 if arguments[0] == "search" else 1]
    if name == "plot":
        return arguments
    dataset = "cifar100" if "cifar100" in arguments or what == "edarts_c100" else "cifar10"
    arguments += ["--data-dir", dataset, "--partial-data", *SMALL.get(what, ())]
    if name == "search":
        sizes = ("epochs=1", "warmup_epochs=0", "batch_size=16")
        return [*arguments, *(part for size in sizes for part in ("--set", size))]
    if name == "promote":
        arguments += ["--above", "0"] if "--final" in arguments else ["--top", "2"]
    return [*arguments, *TRAIN, *(("--seeds", "6") if name == "promote" else ())]


@pytest.mark.long
def test_every_experiment_runs_at_small_size_fills_its_table_and_can_be_drawn(
    tmp_path: Path,
) -> None:
    write_images(tmp_path)
    # What names an earlier sweep, or a cell that one found, comes after the sweeps.
    commands = sorted(experiments(), key=lambda c: "HASH" in c or "table4" in c)
    assert len(commands) >= 17
    assert len(pictures()) >= 4
    for command in [*commands, *pictures()]:
        ended = program(tmp_path, *small(command, tmp_path))
        assert ended.code == 0, f"{command}: {ended.errors}"

    searched = set(the_sweep(tmp_path / "results", "edarts").trials()["genotype"])
    for dataset in ("cifar10", "cifar100"):
        (folder,) = (tmp_path / "results").glob(f"table4-{dataset}-*")
        evaluated = set(open_sweep(folder).trials()["genotype"])
        assert searched < evaluated
        assert len(evaluated) == 6
    compared = json.loads(done(tmp_path, "compare", "--format", "json").output)
    tables = {record["table"] for record in compared if record["ours"] is not None}
    assert tables == {"2", "3", "4", "fig2", "depth", "phases", "ablations"}
    spaces = [r for r in compared if r["table"] == "fig2" and r["row"].startswith("SS")]
    quantities = {r["quantity"] for r in spaces if r["quantity"].startswith("test accuracy of")}
    assert len(quantities) == 2, "networks of 5 and of 16 cells"
    for quantity in quantities:
        runs = [r["n"] for r in spaces if r["quantity"] == quantity]
        assert runs == [1] * 8, "also spaces of which `depth` has searches"


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_cifar_100_is_asked_for_where_it_is_not_there(
    option: tuple[str, ...], tmp_path: Path
) -> None:
    line = refused(tmp_path, "run", "edarts_c100", "--topology", "17", *option)
    for part in ("no cifar100 in data", "train-*.parquet", "--data-dir", "--download"):
        assert part in line

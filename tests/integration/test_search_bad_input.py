"""What cannot be searched, evaluated, promoted, compared or drawn gets one line and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from tests.conftest import TINY
from tests.program import done, refused

INLINE = ("--executor", "inline")
DIGITS = ("--dataset", "digits", "--train-limit", "64")
ALONG_17 = ("--preset", "search_darts_1st", *DIGITS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep of topologies, one of searches, and files that are no cells."""
    folder = tmp_path_factory.mktemp("folder")
    topologies = ("--topologies", "3,17", "--seeds", "0-1", "--epochs", "1")
    done(folder, "run", "demo", *TINY, *INLINE, *topologies, "--results", "topologies")
    done(
        folder,
        *("search", *DIGITS, "--topology", "17", "--set", "cells=1", "--set", "init_channels=2"),
        *("--set", "epochs=1", "--set", "alpha_order=1", "--results", "searches"),
    )
    five = CellEdges.uniform(Topology.from_index(0, 5), "sep_conv_3x3")
    (folder / "five.txt").write_text(Genotype(five, five).to_darts(), encoding="utf-8")
    wrong = Genotype.parse("DARTS_V2").to_darts().replace("dil_conv_3x3", "dil_conv_3x4")
    (folder / "wrong.txt").write_text(wrong, encoding="utf-8")
    (folder / "letter.txt").write_text("Dear reader,", encoding="utf-8")
    (folder / "grid.yaml").write_text(
        "kind: search\nmethods: [search_dart]\nspaces: [SS9, [none, skip_connect]]\nseeds: 0\n",
        encoding="utf-8",
    )
    return folder


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (DIGITS, ("search_edarts", "fixed topology", "--topology 17", "--topology-from RESULTS")),
        (("--preset", "search_edart"), ("'search_edart'", "write search_edarts or")),
        (("--preset", "shallow"), ("'shallow'", "search_")),
        (("--space", "SS9", *ALONG_17), ("unknown space 'SS9'", "SS8", "or all")),
        (
            (*ALONG_17, "--set", "operations=none,sep_conv_3x4"),
            ("unknown operation 'sep_conv_3x4'", "use sep_conv_3x3 or"),
        ),
        (
            (*ALONG_17, "--set", "operations=none,skip_connect,max_pool_3x3"),
            ("needs a learnable operation", "sep_conv_3x3", "got none, skip_connect, max_pool_3x3"),
        ),
        ((*ALONG_17, "--set", "max_skips=9"), ("max_skips=9", "more than the 8 edges of a cell")),
        ((*ALONG_17, "--set", "cels=9"), ("cels", "mean cells")),
        ((*ALONG_17, "--set", "alpha_order=3"), ("alpha_order", "3")),
        ((*ALONG_17, "--set", "epochs"), ("--set epochs", "=VALUE")),
        ((*ALONG_17, "--train-limit", "1"), ("2 training images", "got 1")),
        ((*ALONG_17, "--seed", "-1"), ("--seed", "-1")),
        (("--topology", "180"), ("--topology", "180", "0<=x<=179")),
        (("--topology", "3", "--topology-from", "topologies"), ("--topology-from", "give one")),
        (("--topology-from", "searches"), ("kind search", "ranks no topologies")),
        (("--topology-from", "nowhere"), ("nowhere", "run a sweep first")),
        (("--topology-from", "topologies", "--space", "SS9"), ("unknown space 'SS9'",)),
    ],
)
def test_a_search_that_cannot_be(
    arguments: tuple[str, ...], parts: tuple[str, ...], folder: Path
) -> None:
    line = refused(folder, "search", *arguments)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("edarts", *DIGITS), ("search_edarts", "--topology 17", "--topology-from RESULTS")),
        (("subspaces", "--topologies", "3"), ("--topologies 3", "kind: topologies", "search")),
        (("subspaces", "--set", "search.epoch=3"), ("epoch", "mean epochs")),
        (("subspaces", "--set", "epoch=3"), ("--set epoch=3", "mean epochs")),
        (("demo", "--set", "search.epochs=3"), ("--set search.epochs=3", "kind: search")),
        (("demo", "--topology", "3"), ("--topology 3", "kind: search")),
        (("demo", "--topology-from", "topologies"), ("--topology", "kind: search")),
        (("known_cells", "--topology", "3"), ("--topology 3", "kind: genotypes")),
        (
            ("table4", "--dataset", "digits"),
            ("found:edarts", "results has no such sweep for digits", "topo-sweep run edarts"),
        ),
        (
            ("./grid.yaml",),
            ("'search_dart'", "write search_", "unknown space 'SS9'", "learnable operation"),
        ),
    ],
)
def test_a_sweep_that_cannot_be(
    arguments: tuple[str, ...], parts: tuple[str, ...], folder: Path
) -> None:
    line = refused(folder, "run", *arguments)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("five.txt", "--protocol", "demo", *INLINE), ("cells with 4 nodes", "got 5")),
        (("wrong.txt",), ("unknown operation 'dil_conv_3x4'", "use dil_conv_3x3 or")),
        (("letter.txt",), ("'Dear reader,' is no genotype", "DARTS_V2", "Genotype(normal=")),
        (("DARTS_V3",), ("'DARTS_V3' is no genotype", "DARTS_V2")),
        (("Genotype(normal=[('sep_conv_3x3', 0)])",), ("two edges", "got 1")),
        (("DARTS_V2", "--protocol", "finale"), ("'finale'", "final or final_36")),
        (("DARTS_V2", "--protocol", "search_edarts"), ("'search_edarts'", "final or final_36")),
        (("DARTS_V2", "--set", "search.epochs=3"), ("--set search.epochs=3", "kind: search")),
        (("DARTS_V2", "--protocol", "final", *INLINE), ("8x8", "auxiliary=false")),
        ((), ("GENOTYPE",)),
    ],
)
def test_an_evaluation_that_cannot_be(
    arguments: tuple[str, ...], parts: tuple[str, ...], folder: Path
) -> None:
    line = refused(folder, "evaluate", *arguments, *DIGITS)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("topologies", "--top", "3"), ("has 2 finished classes", "best 3", "--top 2")),
        (("topologies",), ("has 2 finished classes", "best 20")),
        (("searches", "--top", "1"), ("kind search", "ranks no topologies")),
        (("nowhere",), ("nowhere", "run a sweep first")),
        (("topologies", "--top", "1", "--seeds", "x"), ("--seeds 'x'", "0-3,17")),
        (("topologies", "--top", "1", "--set", "chanels=3"), ("chanels",)),
        (("topologies", "--final", "--top", "1"), ("--final", "leave out --top")),
        (("topologies", "--above", "0.9"), ("--above belongs to --final",)),
        (("topologies", "--final", "--above", "93"), ("--above", "93", "0<=x<=1")),
        (("topologies", "--final"), ("93% is of CIFAR-10", "not apply to digits", "--above")),
        (
            ("topologies", "--final", "--above", "0.93"),
            ("none of 2 networks", "above 93.00%", "a lower --above"),
        ),
        (
            ("topologies", "--final", "--above", "0", "--seeds", "1-4"),
            ("seeds 1 selected these networks", "--seeds 2-3"),
        ),
    ],
)
def test_a_promotion_that_cannot_be(
    arguments: tuple[str, ...], parts: tuple[str, ...], folder: Path
) -> None:
    line = refused(folder, "promote", *arguments)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("compare", "topologies", "--table", "2"), ("no rows for table 2", "run table2")),
        (("compare", "searches"), ("no rows for", "run subspaces", "run known_cells")),
        (("compare", "nowhere"), ("nowhere", "run a sweep first")),
        (("compare", "--table", "5"), ("'5'", "'fig2'")),
        *(
            (("plot", picture, "topologies"), (f"plot {picture} draws a sweep of searches",))
            for picture in ("subspaces", "depth", "alphas", "skips")
        ),
        (("plot", "subspaces", "searches"), ("is evaluated yet", "`topo-sweep evaluate")),
        (("plot", "alphas", "searches", "--seed", "9"), ("no search fits --seed 9",)),
        (("plot", "skips", "searches", "-o", "skips.bmp"), (".bmp", ".png")),
        (("plot", "cell", "letter.txt"), ("'Dear reader,' is no genotype",)),
        (("plot", "supernet", "--topology", "180"), ("180", "0<=x<=179")),
        (("protocol", "show", "search_edart"), ("'search_edart'", "search_edarts")),
        (("protocol", "diff", "shallow", "deep"), ("'deep'",)),
        (("enumerate", "--grid", "table2"), ("'table2'", "'subspaces'")),
        (("rank", "searches"), ("is evaluated yet", "`topo-sweep evaluate")),
    ],
)
def test_a_question_that_these_sweeps_cannot_answer(
    arguments: tuple[str, ...], parts: tuple[str, ...], folder: Path
) -> None:
    line = refused(folder, *arguments)
    assert all(part in line for part in parts), line

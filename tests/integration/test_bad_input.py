"""Bad input gets one line that says what was wrong and what to do, exit code 2, nothing written."""

from __future__ import annotations

import functools
import io
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from tests import program
from tests.conftest import TINY
from topo_sweep.spec.load import shipped_names
from topo_sweep.store.opened import open_sweep
from topo_sweep.store.paths import StorePaths

ROOT = Path(__file__).resolve().parents[2]


INLINE = ("--executor", "inline")
SMALL = ("demo", *TINY, *INLINE, "--topologies", "0")

Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOPO_SWEEP_DATA", raising=False)


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Run the program in the empty folder, see `tests.program.refused`."""
    return functools.partial(program.refused, tmp_path)


def write_images(
    *, classes: int = 10, side: int = 8, column: str = "img", colour: str = "black"
) -> None:
    """Write a Parquet data set of one PNG a class to ./data."""
    Path("data").mkdir(exist_ok=True)
    png = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(png, format="PNG")
    image = {"bytes": png.getvalue(), "path": None}
    rows = pa.table({column: [image] * classes, "label": list(range(classes))})
    for part in ("train", "test"):
        pq.write_table(rows, f"data/{part}-00000-of-00001.parquet")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of one tiny training, to be copied."""
    folder = tmp_path_factory.mktemp("trained")
    program.done(folder, "run", *SMALL)
    return folder / "results"


@pytest.fixture
def paths(trained: Path) -> StorePaths:
    """A finished sweep in ./results; its files."""
    shutil.copytree(trained, "results")
    return open_sweep(Path("results")).store.paths


def add_row(paths: StorePaths, **changed: str) -> None:
    """Add a part with a copy of the store's only row in which some columns are changed."""
    (part,) = paths.trials.glob("part-*.parquet")
    rows = pd.read_parquet(part).assign(trial_id="f" * 16, **changed)
    schema = pq.read_schema(part)
    pq.write_table(pa.Table.from_pandas(rows, schema=schema), part.with_name("part-9.parquet"))


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--dataset", "mnist"), ("mnist", "cifar10")),
        (("--topologies", "180"), ("180", "179")),
        (("--topologies", "-1"), ("-1", "0-3,17")),
        (("--topologies", "3-1"), ("3-1", "write 1-3")),
        (("--topologies", ""), ("--topologies", "0-3,17")),
        (("--seeds", ""), ("--seeds", "0-3,17")),
        (("--seeds", "x"), ("'x'", "0-3,17")),
        (
            ("--set", "epoch=3", "--set", "chanels=4"),
            ("epoch=3", "mean epochs", "chanels=4", "mean init_channels"),
        ),
        (("--set", "cells=many"), ("cells=many", "whole number")),
        (("--set", "cells"), ("--set cells", "=VALUE")),
        (("--set", "cells=0"), ("cells=0", "greater than or equal to 1")),
        (("--set", "epochs=3"), ("--epochs 2", "epochs=3", "give one")),
        (("--set", "preset=shallow"), ("preset=shallow", "in the file")),
        (("--epochs", "0"), ("--epochs", "0", "x>=1")),
        (("--train-limit", "0"), ("--train-limit", "0", "x>=1")),
        (("--cpus-per-pack", "0"), ("--cpus-per-pack", "0", "x>=1")),
        (("--gpus-per-pack", "-1"), ("--gpus-per-pack", "-1", "a number from 0 nor auto")),
        (("--executor", "slurm"), ("slurm", "ray", "inline")),
        (("--seeds", "0-99999"), ("100,000", "--yes")),
        # What does not fit the images.
        (("--holdout", "1437"), ("holdout=1437", "1437 training images")),
        (("--train-limit", "1438"), ("train_limit=1438", "1437")),
        (("--set", "auxiliary=true"), ("8x8", "auxiliary=false")),
    ],
)
def test_options_of_run_that_are_wrong_or_do_not_fit_the_images(
    options: tuple[str, ...], parts: tuple[str, ...], refused: Refused
) -> None:
    line = refused("run", *SMALL, *options)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("run", "topology"), ("'topology'", *shipped_names())),
        (("run", ""), ("''", *shipped_names())),
        (("run", "./none.yaml"), ("./none.yaml", "no file")),
        (("run", "unified", *INLINE), ("--topologies 0-3,17",)),
        (("run", "known_cells", "--topologies", "3"), ("--topologies 3", "genotypes")),
        (("status", "nowhere"), ("nowhere", "run a sweep first")),
        (("rank", "nowhere"), ("nowhere", "run a sweep first")),
        (("plot", "surface", "nowhere"), ("nowhere", "run a sweep first")),
        (("rank",), ("results", "run a sweep first")),
        (("rank", "--top", "0"), ("--top", "0", "x>=1")),
        (("enumerate", "--nodes", "9"), ("9", "1<=x<=6")),
        (("enumerate", "-o", "none/x.json"), ("there is no folder none", "make it first")),
        (("enumerate", "--format", "xml"), ("xml", "json")),
        (("plot", "surface", "--style", "pie"), ("pie", "surface3d")),
        (("plot", "pie"), ("pie",)),
        (("frobnicate",), ("frobnicate",)),
    ],
)
def test_bad_arguments(
    arguments: tuple[str, ...], parts: tuple[str, ...], refused: Refused
) -> None:
    line = refused(*arguments)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"kind: \xff", ("not UTF-8", "0xff")),
        (b"a: [", ("not YAML", "line 1")),
        (b"", ("empty", "kind: topologies")),
        (b"- 1", ("a list", "kind: topologies")),
        (b"kind: topologies\n" + b"# long\n" * 1_500_000, ("larger than 1,000,000 bytes",)),
        (b"a: &a [1]\n" + b"".join(b"%c: &%c [*a, *a]\n" % (c, c) for c in b"bcdef"), ("aliases",)),
        (b"kind: topologies\nseed: 1\nprotocol: {epoch: 3}", ("seed = 1", "mean seeds")),
    ],
    ids=["not UTF-8", "not YAML", "empty", "a list", "10 MB", "aliases", "unknown key"],
)
def test_bad_sweep_files(content: bytes, parts: tuple[str, ...], refused: Refused) -> None:
    Path("mine.yaml").write_bytes(content)
    line = refused("run", "./mine.yaml")
    assert all(part in line for part in ("mine.yaml", *parts)), line


def test_all_mistakes_of_a_file_are_reported_at_once(refused: Refused) -> None:
    Path("mine.yaml").write_text(
        "kind: topologies\nseed: 1\nprotocol: {epoch: 3, cells: x}\ndata: {dataset: mnist}",
        encoding="utf-8",
    )
    line = refused("run", "./mine.yaml")
    for part in ("seed = 1", "protocol.epoch = 3", "protocol.cells = 'x'", "'mnist'", "cifar100"):
        assert part in line


@pytest.mark.parametrize("folder", ["empty", "nowhere"])
def test_a_folder_without_data_names_what_was_looked_for(folder: str, refused: Refused) -> None:
    Path("empty").mkdir()
    line = refused("run", *SMALL, "--dataset", "cifar10", "--data-dir", folder)
    for part in (
        *(folder, "cifar-10-batches-py", "data_batch_1", "test_batch", "torchvision"),
        *("train-*.parquet", "test-*.parquet", "Hugging Face", "--data-dir", "--download"),
    ):
        assert part in line


def test_a_truncated_parquet_file_is_named(refused: Refused) -> None:
    write_images()
    shard = Path("data/train-00000-of-00001.parquet")
    shard.write_bytes(shard.read_bytes()[:-50])
    assert f"{shard} is not a readable Parquet file" in refused(
        "run", *SMALL, "--dataset", "cifar10"
    )


def test_a_truncated_pickle_is_named(refused: Refused) -> None:
    folder = Path("pickles/cifar-10-batches-py")
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(pickle.dumps({b"labels": [1]})[:-3])
    line = refused("run", *SMALL, "--dataset", "cifar10", "--data-dir", "pickles")
    assert f"{folder / 'data_batch_1'} is not a batch of CIFAR images" in line


def test_wrong_columns_are_named(refused: Refused) -> None:
    write_images(column="picture")
    line = refused("run", *SMALL, "--dataset", "cifar10")
    assert "picture" in line
    assert "expected one of img or image" in line


def test_too_many_classes_are_refused(refused: Refused) -> None:
    write_images(classes=12)
    line = refused("run", *SMALL, "--dataset", "cifar10")
    assert "label 10 means more classes in the data than the network has" in line
    assert "cifar10 has 10 classes" in line


def test_too_small_images_say_which_depth_fits(refused: Refused) -> None:
    write_images(side=2)
    options = ("--dataset", "cifar10", "--partial-data", "--train-limit", "8", "--set", "cells=5")
    line = refused("run", *SMALL, *options)
    assert "images of 2x2 are too small for 5 cells" in line
    assert "1 cell (one reduction) fits" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_said(refused: Refused) -> None:
    line = refused("run", *SMALL, "--gpus-per-pack", "1")
    assert "no CUDA device" in line
    assert "--gpus-per-pack 0" in line


@pytest.mark.parametrize("results", ["file", "file/below"])
def test_a_results_folder_that_cannot_be_written_is_said(results: str, refused: Refused) -> None:
    Path("file").touch()
    line = refused("run", *SMALL, "--results", results)
    assert f"cannot write results to {results}" in line
    assert "another folder with --results" in line


@pytest.mark.parametrize("command", [("run", *SMALL), ("status",), ("rank",), ("plot", "surface")])
def test_a_store_of_a_newer_version_is_left_alone(
    command: tuple[str, ...], paths: StorePaths, refused: Refused
) -> None:
    value = json.loads(paths.manifest.read_text(encoding="utf-8"))
    paths.manifest.write_text(json.dumps(value | {"store_version": 99}), encoding="utf-8")
    line = refused(*command)
    assert "version 99" in line
    assert "upgrade" in line


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"store_version": 1}'])
def test_a_damaged_description_of_a_sweep_is_named(content: str, refused: Refused) -> None:
    Path("mine").mkdir()
    Path("mine/sweep.json").write_text(content, encoding="utf-8")
    line = refused("rank", "mine")
    assert "mine" in line
    assert "sweep.json" in line


def test_a_folder_that_is_no_store_is_said(refused: Refused) -> None:
    Path("photos").mkdir()
    line = refused("rank", "photos")
    assert "photos is no sweep and holds none" in line
    assert "run a sweep first, or name its folder" in line


def test_a_second_driver_is_told_who_is_first(paths: StorePaths, refused: Refused) -> None:
    code = (
        "import pathlib, sys\n"
        "from topo_sweep.store.paths import StorePaths\n"
        "from topo_sweep.store.parquet import ResultStore\n"
        "with ResultStore(StorePaths(pathlib.Path(sys.argv[1]))).lock():\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(paths.folder.absolute())]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        line = refused("run", *SMALL, "--seeds", "0-3")
        assert first.communicate()[0] == ""
    assert f"{paths.folder} is in use by process {first.pid} on " in line
    assert "wait for it or stop it" in line


def test_other_images_under_the_same_name_are_refused_on_resume(refused: Refused) -> None:
    options = ("--dataset", "cifar10", "--partial-data", "--train-limit", "10")
    write_images(colour="black")
    program.done(Path(), "run", *SMALL, *options)
    before = open_sweep(Path("results")).manifest.fingerprint
    write_images(colour="white")
    for seeds in ("0-1", "0"):  # also where nothing is left to train
        line = refused("run", *SMALL, *options, "--seeds", seeds)
        assert "the cifar10 images differ" in line
        assert before in line
        assert "use the same files, or another folder with --results" in line
    open_sweep(Path("results")).store.paths.manifest.unlink()
    assert before in refused("run", *SMALL, *options, "--seeds", "0")


@pytest.mark.parametrize("command", [("status",), ("rank",), ("plot", "surface")])
def test_rows_of_other_images_are_refused_by_readers(
    command: tuple[str, ...], paths: StorePaths, refused: Refused
) -> None:
    add_row(paths, fingerprint="0123456789abcdef")
    line = refused(*command)
    assert "0123456789abcdef" in line
    assert open_sweep(paths.folder).manifest.fingerprint in line
    assert "move the foreign Parquet parts away" in line


def test_two_protocols_in_one_store_are_never_ranked_together(
    paths: StorePaths, refused: Refused
) -> None:
    add_row(paths, protocol_hash="e" * 16)
    line = refused("rank")
    assert "e" * 16 in line
    assert open_sweep(paths.folder).manifest.protocol_hash in line


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize(
    ("command", "parts"),
    [
        (("rank", "--metric", "val"), ("hold-out",)),
        (("rank", "--min-seeds", "9"), ("9",)),
        (("plot", "surface", "--metric", "val"), ("hold-out",)),
        (("plot", "surface", "-o", "surface.bmp"), (".bmp", ".png", ".svg", ".pdf")),
        (("plot", "surface", "-o", "none/surface.png"), ("there is no folder none",)),
    ],
)
def test_what_a_sweep_cannot_give(
    command: tuple[str, ...], parts: tuple[str, ...], refused: Refused
) -> None:
    line = refused(*command)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--cluster",), "joins no cluster"),
        (("--address", "127.0.0.1:9"), "joins no cluster"),
    ],
)
def test_options_that_contradict_each_other(
    options: tuple[str, ...], part: str, refused: Refused
) -> None:
    assert part in refused("run", *SMALL, *options)

"""Bad input gets one line that says what was wrong and what to do, exit code 2, nothing written."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from tests.conftest import TINY
from topo_sweep.cli import main
from topo_sweep.paths import StorePaths
from topo_sweep.results import open_sweep
from topo_sweep.store import ResultStore

INLINE = ("--executor", "inline")
SMALL = ("demo", *TINY, *INLINE, "--topologies", "0")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOPO_SWEEP_DATA", raising=False)


class Refused:
    """Runs the program and expects one line on stderr and exit code 2."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str, ignore: str = "data:") -> str:
        before = {path for path in Path().rglob("*") if path.is_file()}
        with pytest.raises(SystemExit) as end:
            main(arguments)
        output, errors = self.capsys.readouterr()
        lines = [line for line in errors.splitlines() if not line.startswith((ignore, "sweep:"))]
        assert (end.value.code, output) == (2, ""), errors
        assert len(lines) == 1, errors
        assert lines[0].startswith("topo-sweep: ")
        assert {path for path in Path().rglob("*") if path.is_file()} == before
        return lines[0]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    return Refused(capsys)


def write_images(*, classes: int = 10, side: int = 8, column: str = "img") -> None:
    """Write a Parquet data set of one PNG a class to ./data."""
    Path("data").mkdir()
    png = io.BytesIO()
    Image.new("RGB", (side, side)).save(png, format="PNG")
    image = {"bytes": png.getvalue(), "path": None}
    rows = pa.table({column: [image] * classes, "label": list(range(classes))})
    for part in ("train", "test"):
        pq.write_table(rows, f"data/{part}-00000-of-00001.parquet")


def write_sweep(*arguments: str) -> StorePaths:
    """Run a tiny sweep into ./results."""
    with pytest.raises(SystemExit) as end:
        main(["run", *SMALL, *arguments])
    assert end.value.code == 0
    return open_sweep(Path("results")).store.paths


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
        (("--set", "epoch=3", "--set", "chanels=4"), ("epoch=3", "epochs", "chanels=4", "init_ch")),
        (("--set", "cells=many"), ("cells=many", "whole number")),
        (("--set", "cells"), ("--set cells", "=VALUE")),
        (("--set", "cells=0"), ("cells=0", "greater than or equal to 1")),
        (("--epochs", "0"), ("--epochs", "0")),
        (("--holdout", "1437"), ("holdout=1437", "1437 training images")),
        (("--train-limit", "1438"), ("train_limit=1438", "1437")),
        (("--set", "auxiliary=true"), ("8x8", "auxiliary=false")),
        (("--seeds", "0-99999"), ("100,000", "--yes")),
    ],
)
def test_bad_options_of_run(
    options: tuple[str, ...], parts: tuple[str, ...], refused: Refused
) -> None:
    line = refused("run", *SMALL, *options)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("run", "topology"), ("'topology'", "topologies", "unified")),
        (("run", "./none.yaml"), ("./none.yaml", "no file")),
        (("run", "unified", *INLINE), ("--topologies 0-3,17",)),
        (("run", "known_cells", "--topologies", "3"), ("--topologies 3", "genotypes")),
        (("run", "demo", "--executor", "slurm"), ("slurm", "ray")),
        (("status", "nowhere"), ("nowhere", "run a sweep first")),
        (("rank", "nowhere"), ("nowhere", "run a sweep first")),
        (("rank",), ("results", "run a sweep first")),
        (("enumerate", "--nodes", "9"), ("9", "1<=x<=6")),
        (("enumerate", "-o", "none/x.json"), ("none/x.json", "No such file")),
        (("plot", "surface", "--style", "pie"), ("pie", "surface3d")),
        (("frobnicate",), ("frobnicate",)),
    ],
)
def test_bad_arguments(
    arguments: tuple[str, ...], parts: tuple[str, ...], refused: Refused
) -> None:
    line = refused(*arguments)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"a: [", "not YAML"),
        (b"", "empty"),
        (b"- 1", "a list"),
        (b"kind: topologies\n" + b"# long\n" * 1_500_000, "larger than"),
        (b"a: &x [1]\nb: [*x, *x, *x]", "aliases"),
        (b"kind: topologies\nseed: 1\nprotocol: {epoch: 3}", "seed = 1"),
    ],
)
def test_bad_sweep_files(content: bytes, part: str, refused: Refused) -> None:
    Path("mine.yaml").write_bytes(content)
    line = refused("run", "./mine.yaml")
    assert "mine.yaml" in line
    assert part in line


def test_all_mistakes_of_a_file_are_reported_at_once(refused: Refused) -> None:
    Path("mine.yaml").write_text(
        "kind: topologies\nseed: 1\nprotocol: {epoch: 3, cells: x}\ndata: {dataset: mnist}",
        encoding="utf-8",
    )
    line = refused("run", "./mine.yaml")
    for part in ("seed = 1", "protocol.epoch = 3", "protocol.cells = 'x'", "'mnist'", "cifar100"):
        assert part in line


def test_a_folder_without_data_names_what_was_looked_for(refused: Refused) -> None:
    Path("empty").mkdir()
    line = refused("run", *SMALL, "--dataset", "cifar10", "--data-dir", "empty")
    for part in ("empty", "cifar-10-batches-py", "train-*.parquet", "--data-dir", "--download"):
        assert part in line


def test_damaged_data_files_are_named(refused: Refused) -> None:
    write_images()
    shard = Path("data/train-00000-of-00001.parquet")
    shard.write_bytes(shard.read_bytes()[:-50])
    assert str(shard) in refused("run", *SMALL, "--dataset", "cifar10")

    folder = Path("pickles/cifar-10-batches-py")
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(pickle.dumps({b"labels": [1]})[:-3])
    line = refused("run", *SMALL, "--dataset", "cifar10", "--data-dir", "pickles")
    assert str(folder / "data_batch_1") in line


def test_wrong_columns_are_named(refused: Refused) -> None:
    write_images(column="picture")
    line = refused("run", *SMALL, "--dataset", "cifar10")
    assert "picture" in line
    assert "img" in line


def test_too_many_classes_are_refused(refused: Refused) -> None:
    write_images(classes=12)
    line = refused("run", *SMALL, "--dataset", "cifar10")
    assert "label 10 means more classes in the data than the network has" in line
    assert "cifar10 has 10 classes" in line


def test_too_small_images_say_which_depth_fits(refused: Refused) -> None:
    write_images(side=2)
    options = ("--dataset", "cifar10", "--train-limit", "8", "--set", "cells=5")
    line = refused("run", *SMALL, *options)
    assert "images of 2x2 are too small for 5 cells" in line
    assert "1 cell (one reduction) fits" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_said(refused: Refused) -> None:
    line = refused("run", *SMALL, "--gpus-per-pack", "1")
    assert "no CUDA device" in line
    assert "--gpus-per-pack 0" in line


def test_a_results_folder_that_cannot_be_written_is_said(refused: Refused) -> None:
    Path("file").touch()
    line = refused("run", *SMALL, "--results", "file")
    assert "cannot write results to file" in line
    assert "--results" in line


@pytest.mark.parametrize("command", [("run", *SMALL), ("status",), ("rank",), ("plot", "surface")])
def test_a_store_of_a_newer_version_is_left_alone(
    command: tuple[str, ...], refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_sweep()
    capsys.readouterr()
    value = json.loads(paths.manifest.read_text(encoding="utf-8"))
    paths.manifest.write_text(json.dumps(value | {"store_version": 99}), encoding="utf-8")
    line = refused(*command)
    assert "version 99" in line
    assert "upgrade" in line


def test_a_folder_that_is_no_store_is_said(refused: Refused) -> None:
    Path("photos").mkdir()
    assert "photos is no sweep and holds none" in refused("rank", "photos")


def test_a_second_driver_is_told_who_is_first(
    refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_sweep()
    capsys.readouterr()
    with ResultStore(paths).lock():
        line = refused("run", *SMALL, "--seeds", "0-3")
    assert "in use by process" in line


def test_other_images_under_the_same_name_are_refused_by_run_and_rank(
    refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_sweep()
    capsys.readouterr()
    value = json.loads(paths.manifest.read_text(encoding="utf-8"))
    other = value | {"fingerprint": "0123456789abcdef"}
    paths.manifest.write_text(json.dumps(other), encoding="utf-8")
    for command in (("run", *SMALL, "--seeds", "1"), ("rank",)):
        line = refused(*command)
        assert "0123456789abcdef" in line
        assert value["fingerprint"] in line


def test_rank_by_validation_needs_a_hold_out(
    refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep()
    capsys.readouterr()
    assert "hold-out" in refused("rank", "--metric", "val")


def test_two_protocols_in_one_store_are_never_ranked_together(
    refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_sweep()
    capsys.readouterr()
    (part,) = paths.trials.glob("part-*.parquet")
    rows = pd.read_parquet(part).assign(trial_id="f" * 16, protocol_hash="e" * 16)
    schema = pq.read_schema(part)
    pq.write_table(pa.Table.from_pandas(rows, schema=schema), part.with_name("part-9.parquet"))
    line = refused("rank")
    assert "e" * 16 in line
    assert open_sweep(Path("results")).manifest.protocol_hash in line


def test_a_picture_of_unknown_form_names_the_known_ones(
    refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep()
    capsys.readouterr()
    line = refused("plot", "surface", "-o", "surface.bmp")
    assert ".bmp" in line
    assert all(suffix in line.lower() for suffix in ("png", "svg", "pdf"))

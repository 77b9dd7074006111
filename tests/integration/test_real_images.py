"""A new user's whole way on real CIFAR-10 images: run on Ray, status, rank, plot."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import Run
from tests.program import done, png_size
from topo_sweep.store.opened import open_sweep

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10-jpeg"
TRAIN, TEST = 256, 300


@pytest.fixture
def few_images(tmp_path: Path) -> Path:
    """A small CIFAR-10 in Hugging Face's layout: the first rows of the shared one."""
    if not SHARED.is_dir():
        pytest.skip("the CIFAR-10 images beside the checkout are not there")
    folder = tmp_path / "cifar"
    folder.mkdir()
    for part, count in (("train", TRAIN), ("test", TEST)):
        rows = pq.read_table(SHARED / f"{part}-00000-of-00001.parquet").slice(0, count)
        pq.write_table(rows, folder / f"{part}-00000-of-00001.parquet")
    return folder


@pytest.mark.long
def test_a_small_sweep_on_cifar10_learns_and_is_ranked_and_drawn_and_leaves_a_token_of_ray(
    run: Run, few_images: Path, tmp_path: Path
) -> None:
    request = (
        *("run", "--dataset", "cifar10", "--data-dir", str(few_images), "--partial-data"),
        *("--topologies", "0,179"),
        *("--epochs", "4", "--set", "cells=3", "--set", "init_channels=4"),
        *("--set", "batch_size=16", "--set", "learning_rate=0.1", "--set", "drop_path=0.0"),
        *("--test-every", "4"),
    )
    home = tmp_path / "home"
    home.mkdir()
    swept = run(*request, HOME=str(home), RAY_OVERRIDE_RESOURCES='{"CPU": 1}')
    assert swept.returncode == 0, swept.stderr
    (token,) = (home / ".ray").iterdir()
    assert (token.name, token.stat().st_mode & 0o777) == ("auth_token", 0o600)
    assert "data: cifar10, 256 training and 300 test images, Hugging Face layout" in swept.stderr

    status = json.loads(done(tmp_path, "status", "--format", "json").output)
    assert [status[key] for key in ("planned", "ok", "left", "failed")] == [2, 2, 0, 0]

    curves = open_sweep(tmp_path / "results").store.epochs()
    losses = curves.pivot_table(index="trial_id", columns="epoch", values="train_loss")
    assert (losses[3] < 0.85 * losses[0]).all()
    # Chance is 0.1 with a standard deviation of 0.017 on 300 images: four of them above it.
    ranked = json.loads(done(tmp_path, "rank", "--format", "json").output)
    assert [row["rank"] for row in ranked] == [1, 2]
    assert min(row["mean"] for row in ranked) > 0.17

    drawn = done(tmp_path, "plot", "surface", "-o", "surface.png")
    assert drawn.output == "surface.png\n"
    assert min(png_size(tmp_path / "surface.png")) > 300

"""What nodes are asked, and what they answer where something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ray import cloudpickle

from nas_core.data.splits import load_dataset
from nas_core.protocols.training import DataOptions
from tests.nas_core.data.cifar_files import write_cifar10_batches
from topo_sweep.runs.images import ImagesByPath
from topo_sweep.runs.on_ray.nodes import versions_here
from topo_sweep.runs.on_ray.questions import (
    cuda_function,
    images_function,
    question,
    reading_function,
    seeing_function,
    versions_function,
    writing_function,
)

WITHOUT = """
import sys
sys.modules["topo_sweep"] = sys.modules["nas_core"] = None
from ray import cloudpickle
functions = cloudpickle.loads(sys.stdin.buffer.read())
functions[1](sys.argv[1])
print(functions[0](), functions[2](sys.argv[1], "no digest", 0)[1], functions[3]([sys.argv[1]]))
print(functions[4]("digits", "data", "a fingerprint"))
"""


@pytest.mark.slow
def test_a_node_without_topo_sweep_can_be_asked_too(tmp_path: Path) -> None:
    functions = (
        versions_function(),
        writing_function(),
        seeing_function(),
        reading_function(),
        images_function(),
    )
    asked = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path / "written")],
        input=cloudpickle.dumps(functions),
        capture_output=True,
        check=False,
    )

    assert asked.returncode == 0, asked.stderr
    said, images = asked.stdout.decode().splitlines()
    assert said == f"{versions_here()} False 0"
    assert images.startswith("cannot read images (No module named 'nas_core")


def test_a_node_reads_the_images_of_the_driver_or_says_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write_cifar10_batches(folder)
    here = ImagesByPath.of(load_dataset("cifar10", folder), DataOptions(dataset="cifar10"), folder)
    answer = images_function()

    assert answer(*question(here)) is None
    assert str(answer("cifar10", str(folder), "another")).startswith(
        "finds another cifar10 there, fingerprint "
    )
    assert answer("cifar10", str(tmp_path), here.fingerprint) == "finds no cifar10 there"
    (folder / "cifar-10-batches-py" / "test_batch").write_bytes(b"no pickle")
    assert str(answer(*question(here))).startswith(f"cannot read cifar10 there ({folder}")


def test_whoever_sees_the_results_is_asked_for_the_images_too(tmp_path: Path) -> None:
    seeing = seeing_function()

    asked = (str(tmp_path / "none"), "digest", 0)
    assert seeing(*asked) == (versions_here(), False, None, None)
    *_, wrong = seeing(*asked, "cifar10", str(tmp_path), "fingerprint")
    assert wrong == "finds no cifar10 there"


def test_a_node_that_lends_gpus_is_asked_whether_pytorch_finds_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (str(tmp_path / "none"), "digest", 0.5)
    why = f"lends GPUs to Ray, but PyTorch {torch.__version__} finds no CUDA device there"

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert seeing_function()(*asked)[2:] == (why, None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert seeing_function()(*asked)[2:] == (None, None)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert str(cuda_function()()).startswith("cannot import PyTorch (")

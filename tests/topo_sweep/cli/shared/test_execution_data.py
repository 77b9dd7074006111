"""Which images commands run on: what they say of them, keep of them and refuse."""

from __future__ import annotations

import json
from pathlib import Path

from tests.nas_core.data.cifar_files import some_pixels, write_parquet
from tests.topo_sweep.cli.program import RUN, Program
from topo_sweep import load_results
from topo_sweep.store.opened import open_sweep

CIFAR = (*RUN, "--dataset", "cifar10", "--topologies", "0", "--train-limit", "10")
PART = "not the whole set: 12 training and 2 test images"


def write_images(seed: int = 0) -> None:
    write_parquet(Path("data"), some_pixels(12, 8, 8, seed=seed), [*range(10), 0, 9])


def test_a_run_says_how_many_images_it_found(program: Program) -> None:
    program(*RUN)
    assert program.errors.splitlines()[0] == (
        "data: digits, 1,437 training and 360 test images, bundled with scikit-learn, fingerprint "
        "b69be0957a658e2f"
    )
    manifest = open_sweep(Path("results")).manifest
    assert (manifest.train_images, manifest.test_images) == (1437, 360)
    for command in ("rank", "list"):
        assert "whole" not in program(command)


def test_a_part_of_a_data_set_is_refused_by_a_run_and_a_dry_run(program: Program) -> None:
    write_images()
    commands = [
        (*CIFAR, "--executor", "inline"),
        ("search", "--topology", "1", "--dataset", "cifar10"),
        ("evaluate", "DARTS_V2", "--dataset", "cifar10", "--executor", "inline"),
    ]
    for command in commands:
        for how in ((), ("--dry-run",)):
            program(*command, *how, code=2)
            (line,) = program.errors.splitlines()
            assert "but 12 and 2 were found" in line
    assert not Path("results").exists()


def test_a_part_that_is_meant_is_kept_and_named_beside_every_number(program: Program) -> None:
    write_images()

    assert "12" in program(*CIFAR, "--partial-data", "--dry-run")
    program(*CIFAR, "--partial-data")

    assert program.errors.startswith("data: cifar10, 12 training and 2 test images, Hugging Face")
    rows = load_results()
    assert rows[["train_images", "test_images"]].to_numpy().tolist() == [[12, 2]]
    assert f"cifar10 (no hold-out, 10 trained on; {PART})" in program("rank")
    assert PART in program("list")
    (listed,) = json.loads(program("list", "--format", "json"))
    assert (listed["train_images"], listed["test_images"]) == (12, 2)
    compared = " ".join(program("compare").split())  # it is wrapped
    assert PART in compared
    assert "a data set of 12 training and 2 test images (paper 50,000 and 10,000)" in compared


def test_where_nothing_is_left_the_images_must_be_the_same_if_there_are_any(
    program: Program,
) -> None:
    write_images()
    program(*CIFAR, "--partial-data")

    program(*CIFAR)  # nothing is trained, so their number does not matter
    assert program.errors.startswith("nothing to do: the one trial is in results/demo-cifar10-")

    write_images(seed=1)
    program(*CIFAR, "--partial-data", code=2)
    (line,) = program.errors.splitlines()
    assert "the cifar10 images differ from those of this sweep: fingerprint " in line

    program(*CIFAR, "--data-dir", "nowhere")
    said = program.errors.splitlines()
    assert said[0] == "data: no cifar10 is here to compare with that of the sweep"
    assert said[1].startswith("nothing to do: ")


def test_a_store_of_before_says_nothing_of_counts_until_a_run_knows_them(program: Program) -> None:
    write_images()
    program(*CIFAR, "--partial-data")
    (path,) = Path("results").glob("*/sweep.json")
    value = json.loads(path.read_text(encoding="utf-8"))
    for key in ("train_images", "test_images", "digest"):
        del value[key]
    path.write_text(json.dumps(value), encoding="utf-8")

    for command in ("rank", "list", "compare"):
        assert "2 test images" not in program(command)
    assert load_results()["train_images"].isna().all()

    program(*CIFAR, "--partial-data", "--seeds", "0-1")
    assert PART in program("rank")

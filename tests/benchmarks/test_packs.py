"""Steps of packs beside those of a plain network, at a tiny size."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest
import torch

from tests.benchmarks.conftest import RunScript, Script
from topo_sweep.bench.record import figures_of
from topo_sweep.bench.sizes import training_size
from topo_sweep.bench.training import members_of
from topo_sweep.runs.timing.step_time import TrainingSteps


@pytest.mark.usefixtures("one_thread")
def test_seconds_of_every_repeat_are_kept_and_ratios_are_medians_of_them(
    run_script: RunScript, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "packs.json"

    run_script("packs", "--packs", "2", "--repeats", "3", "--json", str(file))

    plain, pack = figures_of(file)["rows"]
    assert (plain["name"], pack["name"]) == ("plain", "pack of 2")
    pairs = list(zip(plain["seconds_a_model"], pack["seconds_a_model"], strict=True))
    assert len(pairs) == 3
    assert pack["ratio"] == median(alone / packed for alone, packed in pairs)
    assert 0 < pack["operations_per_model"] < plain["operations_per_model"]
    assert "pack of 2" in capsys.readouterr().out


def test_operations_are_counted_without_views(script: Script) -> None:
    with script("packs").Operations() as counted:
        torch.ones(20).view(4, 5)[1:].t().sum()

    assert counted.count == len(("ones", "sum"))


@pytest.mark.usefixtures("one_thread")
def test_a_step_is_counted_that_is_like_those_after_it(script: Script) -> None:
    packs = script("packs")
    steps = packs.steps_of("digits", None)

    operations = packs.operations_a_model(steps)

    with packs.Operations() as following:
        next(steps)
    assert operations == following.count


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("preset", "batch"),
    [
        pytest.param("demo", 48, marks=pytest.mark.slow),
        # Memory for 64 images of each is not there; how many there are changes no operation.
        pytest.param("shallow", 4, marks=pytest.mark.long),
    ],
)
def test_a_step_of_sixty_as_one_takes_the_operations_that_are_aimed_at(
    preset: str, batch: int, script: Script
) -> None:
    protocol, info = training_size(preset, {"batch_size": batch}, None)
    steps = TrainingSteps(members_of(60), protocol, info, device="cpu", packed=True)

    # Augmenting the images of each member by itself would add 6.
    assert script("packs").operations_a_model(steps) <= 18

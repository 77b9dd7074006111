"""The facts about data sets that planning reads."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from nas_core.data.splits import load_dataset
from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS, dataset_info


def test_planning_learns_about_data_sets_without_torch() -> None:
    program = "import sys, nas_core.protocols.data; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("cifar1o", "cifar10"), ("CIFAR100", "cifar100"), ("digit", "digits")]
)
def test_an_unknown_name_is_refused_with_the_nearest_valid_one_first(
    wrong: str, nearest: str
) -> None:
    with pytest.raises(
        InputError, match=f"unknown data set '{wrong}': use {nearest} or "
    ) as raised:
        dataset_info(wrong)
    assert all(name in str(raised.value) for name in DATASETS)


def test_digits_are_normalised_by_the_numbers_of_their_own_training_images() -> None:
    info = DATASETS["digits"]
    scaled = load_dataset("digits").train.pixels.to(torch.float64) / 255

    for channel in range(3):
        values = scaled[:, channel]
        assert info.mean[channel] == round(values.mean().item(), 4)
        assert info.std[channel] == round(values.std(unbiased=False).item(), 4)

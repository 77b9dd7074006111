"""Checkpoints hold everything, or are not used."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
import torch

from nas_core.checkpoint import Checkpoint

TENSORS = {"a": torch.tensor([0.1, -0.0, float("inf")]), "b": torch.arange(6).reshape(2, 3).t()}


def test_tensors_and_value_come_back_bit_for_bit(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c", key="mine").save(TENSORS, [{"loss": 0.1}])

    loaded = Checkpoint(tmp_path / "c", key="mine").load()

    assert loaded is not None
    tensors, value = loaded
    assert value == [{"loss": 0.1}]
    assert set(tensors) == set(TENSORS)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())


def test_there_is_nothing_to_load_before_the_first_save(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "c", key="mine").load() is None


@pytest.mark.parametrize("damage", ["another key", "truncated", "empty"])
def test_an_unusable_file_means_starting_over_and_is_said(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "c"
    Checkpoint(path, key="other" if damage == "another key" else "mine").save(TENSORS, [])
    if damage != "another key":
        path.write_bytes(path.read_bytes()[: -10 if damage == "truncated" else 0])

    with caplog.at_level(logging.WARNING):
        assert Checkpoint(path, key="mine").load() is None
    assert "starting over" in caplog.text


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path / "c", key="mine")
    checkpoint.save(TENSORS, "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(TENSORS, "new")

    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded[1] == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_checkpoint_is_due_when_enough_time_has_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.monotonic()
    checkpoint = Checkpoint(tmp_path / "c", key="mine", every_seconds=1000)
    assert not checkpoint.is_due

    monkeypatch.setattr("time.monotonic", lambda: start + 2000)
    assert checkpoint.is_due
    checkpoint.save({}, None)
    assert not checkpoint.is_due

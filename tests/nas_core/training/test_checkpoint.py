"""Checkpoints hold everything, or are not used."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from nas_core.training.checkpoint import Checkpoint, checked_metadata

TENSORS = {
    "a": torch.tensor([0.1, -0.0, float("inf"), float("nan"), 1e-45]),
    "b": torch.arange(6).reshape(2, 3).t(),
    "bfloat16": torch.tensor([1 / 3, -0.0], dtype=torch.bfloat16),
    "float64": torch.tensor([[1 / 3]], dtype=torch.float64),
    "scalar": torch.tensor(2**40),
    "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
}


def content(tensor: torch.Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
    """Return type, shape and every bit, so that -0.0 is not 0.0 and NaN is itself."""
    return (
        tensor.dtype,
        tensor.shape,
        tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes(),
    )


def test_tensors_and_value_come_back_bit_for_bit(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c", key="mine").save(TENSORS, [{"loss": 0.1, "next": float("inf")}])

    loaded = Checkpoint(tmp_path / "c", key="mine").load()

    assert loaded is not None
    tensors, value = loaded
    assert value == [{"loss": 0.1, "next": float("inf")}]
    assert {name: content(tensor) for name, tensor in tensors.items()} == {
        name: content(tensor) for name, tensor in TENSORS.items()
    }


def test_a_save_replaces_all_that_was_there(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", key="mine")
    checkpoint.save(TENSORS, "old")
    checkpoint.save({"only": torch.ones(1)}, "new")

    loaded = checkpoint.load()
    assert loaded is not None
    assert set(loaded[0]) == {"only"}
    assert loaded[1] == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


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


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_regular_file_is_neither_followed_nor_waited_for(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = Checkpoint(tmp_path / "elsewhere", key="a")
    elsewhere.save({"w": torch.ones(3)}, [])
    checkpoint = Checkpoint(tmp_path / "a.safetensors", key="a")
    if kind == "link":
        checkpoint.path.symlink_to(elsewhere.path)
    elif kind == "pipe":
        os.mkfifo(checkpoint.path)
    else:
        checkpoint.path.mkdir()

    assert checkpoint.load() is None

    assert caplog.text.count("is unusable: it is no regular file") == 1


def test_a_file_cut_anywhere_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "c"
    checkpoint = Checkpoint(path, key="mine")
    checkpoint.save(TENSORS, [1, 2, 3])
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert checkpoint.load() is None


def test_no_bit_that_changed_changes_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c"
    checkpoint = Checkpoint(path, key="mine")
    checkpoint.save(TENSORS, [1, 2, 3])
    whole = path.read_bytes()
    read = 0
    for bit in range(0, 8 * len(whole), 11):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        if loaded := checkpoint.load():
            read += 1
            tensors, value = loaded
            assert value == [1, 2, 3]
            assert all(content(tensors[name]) == content(TENSORS[name]) for name in TENSORS)
    assert read <= 8, "of the name of the digest alone"


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(save({"a": torch.ones(1)}, metadata={"key": "mine", "value": "7"}))

    loaded = Checkpoint(path, key="mine").load()
    assert loaded is not None
    assert loaded[1] == 7


@pytest.mark.parametrize(
    "metadata", [None, {"key": "mine"}, {"key": "mine", "value": "{"}, {"value": "1"}]
)
def test_a_file_without_key_or_value_means_starting_over(
    metadata: dict[str, str] | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "c").write_bytes(save({"a": torch.ones(1)}, metadata=metadata))

    assert Checkpoint(tmp_path / "c", key="mine").load() is None
    assert "starting over" in caplog.text


@pytest.mark.parametrize(
    "header",
    [
        *("[]", "null", '"__metadata__"', '{"__metadata__": null}', '{"__metadata__": ["key"]}'),
        *('{"__metadata__": {"digest": 1}}', "[" * 100_000, '{"__metadata__": 7}'),
    ],
)
def test_a_header_that_is_none_of_a_checkpoint_means_starting_over(
    header: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = header.encode()
    (tmp_path / "c").write_bytes(len(content).to_bytes(8, "little") + content)

    assert Checkpoint(tmp_path / "c", key="mine").load() is None
    assert "its header is not that of a checkpoint" in caplog.text
    with pytest.raises(ValueError, match="header"):
        checked_metadata((tmp_path / "c").read_bytes())


def test_a_value_that_is_nested_deeply_means_starting_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = {"key": "mine", "value": "[" * 100_000}
    (tmp_path / "c").write_bytes(save({"a": torch.ones(1)}, metadata=metadata))

    assert Checkpoint(tmp_path / "c", key="mine").load() is None
    assert "starting over" in caplog.text


@pytest.mark.parametrize("failing", ["os.fsync", "pathlib.Path.replace"])
def test_a_save_that_fails_is_said_once_and_leaves_the_old_file_and_nothing_else(
    failing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    checkpoint = Checkpoint(tmp_path / "c", key="mine")
    checkpoint.save(TENSORS, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(failing, full)
    checkpoint.save(TENSORS, "new")
    checkpoint.save(TENSORS, "newer")
    (record,) = caplog.records
    assert "training goes on without: [Errno 28] No space left" in record.getMessage()
    assert not checkpoint.is_due, "the next try comes when it would have come anyway"

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

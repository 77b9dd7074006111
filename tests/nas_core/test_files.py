"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nas_core.files import is_regular, remove, write_durably, write_output
from tests.disk import full_disk


def test_a_file_is_made_and_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first and longer", b"second"):
        write_durably(path, content)

        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(step, full_disk)

    with pytest.raises(OSError, match="No space left"):
        write_durably(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_and_then_the_new_name_are_on_the_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fsync = tmp_path / "file", os.fsync
    synced: list[tuple[str, bool]] = []

    def noted(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append(("folder" if target.is_dir() else "content", path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_durably(path, b"new")

    assert synced == [("content", False), ("folder", True)]


def test_a_folder_that_is_not_there_is_the_systems_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_durably(tmp_path / "none" / "file", b"")


def test_what_is_removed_may_be_gone_and_a_disk_may_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.touch()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", full_disk)
        remove(path)
    assert path.exists()

    remove(path)
    remove(path)
    assert not path.exists()


def test_what_is_asked_for_replaces_the_file_at_the_end_of_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"old")
    link.symlink_to(file)

    write_output(link, b"new")

    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert set(tmp_path.iterdir()) == {file, link}


def test_what_is_asked_for_is_written_into_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        write_output(pipe, b"content")
        assert read.result(timeout=60) == b"content"
    assert pipe.is_fifo()


def test_a_regular_file_is_no_link_no_folder_and_no_pipe(tmp_path: Path) -> None:
    file, link, pipe = (tmp_path / name for name in ("file", "link", "pipe"))
    file.touch()
    link.symlink_to(file)
    os.mkfifo(pipe)

    assert [is_regular(path) for path in (file, link, pipe, tmp_path)] == [True, *[False] * 3]
    with pytest.raises(FileNotFoundError):
        is_regular(tmp_path / "none")

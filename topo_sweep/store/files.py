"""What is done with the files of a store, wherever it lies: written, removed, moved, looked for.

In an ordinary folder that is all. In a working copy each file is written and removed elsewhere
first, see `remote.py`, and `refresh` makes the copy of a sweep what there is. There a driver looks
at its lease before it writes, removes or moves anything: `LeaseLostError` where another has it.

Readers elsewhere see what a reader of a folder sees: rows are looked for before their curves, whose
writer wrote them first, and a part that was merged into another since is looked for again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import uuid
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Final

from nas_core import files
from nas_core.files import TEMPORARY
from topo_sweep.store.lock import check_lease, is_driven_beside
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.remote import TRIES, Remote, remote_of
from topo_sweep.store.tables import TABLES
from topo_sweep.store.uris import copy_root

_FRESH_SECONDS: Final = 1.0
"""A command that opens a sweep reads it many times, and looks for what is new once in so long."""
_MOST_LOOKS: Final = 100
_looked_at: dict[Path, tuple[float, bool]] = {}
"""When a folder was looked at in this process, and whether for all files."""


def is_elsewhere(path: Path) -> bool:
    """Return whether a path is the copy of one elsewhere."""
    return copy_root(path) is not None


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file by this content; a crash leaves the old file or the new one, whole.

    Raises:
        LeaseLostError: another driver has taken a sweep elsewhere over.
        OSError: as the file system says; of a store elsewhere, it may be there all the same.

    """
    check_lease(path, before_writing=True)
    _write(path, content, tries=2)


def write_by_worker(path: Path, content: bytes) -> None:
    """Do the same where its driver alone has a lease, and with one try: the next save comes soon.

    Raises:
        OSError: as the file system says.

    """
    _write(path, content, tries=1)


def _write(path: Path, content: bytes, *, tries: int) -> None:
    remote = remote_of(path)
    if remote is None:
        files.write_durably(path, content)
        return
    remote.put(path, content, tries=tries)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_durably(path, content)
    except OSError:  # it is durable; only the copy lacks it
        files.remove(path)


def unlink(path: Path) -> None:
    """Remove a file whose rows are elsewhere in the store; one that is gone already is no error.

    Raises:
        LeaseLostError: another driver has taken a sweep elsewhere over.
        OSError: as the file system says.

    """
    check_lease(path, before_writing=True)
    if (remote := remote_of(path)) is not None:
        remote.delete_later(path)
    path.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file that nobody needs any more; where that fails it stays."""
    with contextlib.suppress(OSError):
        unlink(path)


def move(path: Path, place: Path) -> None:
    """Give a file another name in the same sweep, a like one where something has that already.

    Raises:
        LeaseLostError: another driver has taken a sweep elsewhere over.
        OSError: as the file system says.

    """
    check_lease(path, before_writing=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place = _free(place)
    if (remote := remote_of(path)) is not None:
        remote.put(place, path.read_bytes())
        remote.delete(path)
    path.replace(place)


def copy(path: Path, place: Path) -> None:
    """Let a file have a second name in the same sweep, see `move`; a copy that is there is enough.

    Raises:
        OSError: as the file system says.

    """
    content = path.read_bytes()
    if place.is_file() and place.read_bytes() == content:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    write_durably(_free(place), content)


def _free(place: Path) -> Path:
    """Return a name that nothing has: this one, or `name-2`, `name-3` and so on."""
    remote = remote_of(place)
    there = {} if remote is None else remote.listed(place.parent)
    names = itertools.chain(
        [place], (place.with_stem(f"{place.stem}-{number}") for number in itertools.count(2))
    )
    return next(name for name in names if not (name in there or os.path.lexists(name)))


def unsure(folder: Path) -> list[Path]:
    """Return the files of a folder elsewhere that are unwanted, and may be there all the same."""
    remote = remote_of(folder)
    return [] if remote is None else sorted(path for path in remote.unsure if path.parent == folder)


def try_out(folder: Path) -> None:
    """Write a file elsewhere, read it and remove it, to see whether this user may.

    Raises:
        InputError: there is no such bucket.
        OSError: as the file system says.

    """
    if (remote := remote_of(folder)) is not None:
        probe = folder / f".probe-{uuid.uuid4().hex}{TEMPORARY}"
        remote.check_root()
        remote.put(probe, b"probe")
        remote.get(probe)
        remote.delete(probe)


def fetch(path: Path, *, tries: int = TRIES) -> None:
    """Make one file of a working copy what it is elsewhere, or remove it.

    Args:
        path: the file.
        tries: at most.

    Raises:
        OSError: as the file system says.

    """
    if not is_elsewhere(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    remote = remote_of(path)
    assert remote is not None  # noqa: S101 - it is elsewhere
    try:
        _copy(remote, path, tries=tries)
    except FileNotFoundError:
        files.remove(path)


def refresh(folder: Path, *, whole: bool = False, now: bool = False, anew: bool = False) -> None:
    """Make the working copy of a sweep, or of a folder of sweeps, what there is elsewhere.

    Args:
        folder: any; nothing is done to one that is no working copy.
        whole: fetch curves and checkpoints too, not `sweep.json` and rows alone.
        now: look, also where that was done a moment ago.
        anew: fetch what is here already, too.

    Raises:
        InputError: there is no such bucket.
        OSError: something cannot be read there, or not be written here.

    """
    remote = remote_of(folder)
    if remote is None or (not (now or anew) and _is_fresh(folder, whole=whole)):
        return
    at, paths = time.monotonic(), StorePaths(folder)
    listed = remote.listed(folder)
    if not listed:
        remote.check_root()
    if whole or _is_of_a_sweep(paths, listed) or paths.manifest.exists():
        _refresh_sweep(remote, paths, whole=whole, anew=anew)
    else:
        here = {path.parent for path in folder.glob(f"*/{paths.manifest.name}")}
        there = {path for path, size in listed.items() if size is None}
        remote.each(partial(_refresh_child, remote), sorted(here | there))
    _looked_at[folder] = at, whole


def _is_fresh(folder: Path, *, whole: bool) -> bool:
    for looked in (folder, folder.parent):
        at, was_whole = _looked_at.get(looked, (-float("inf"), False))
        if time.monotonic() - at < _FRESH_SECONDS and was_whole >= whole:
            return True
    return False


def _refresh_child(remote: Remote, folder: Path) -> None:
    paths = StorePaths(folder)
    if paths.manifest.exists() or _is_of_a_sweep(paths, remote.listed(folder)):
        _refresh_sweep(remote, paths, whole=False, anew=False)


def _is_of_a_sweep(paths: StorePaths, listed: Collection[Path]) -> bool:
    """Return whether what lies in a folder is of a sweep, which may have lost its `sweep.json`."""
    return any(path in listed for path in (paths.manifest, *map(paths.part_folder, TABLES)))


def _refresh_sweep(remote: Remote, paths: StorePaths, *, whole: bool, anew: bool) -> None:
    for _ in range(_MOST_LOOKS):
        with contextlib.suppress(FileNotFoundError):  # merged into another since it was listed
            _look_once(remote, paths, whole=whole, anew=anew)
            return
    raise OSError(f"{paths.folder} changes faster than it can be read: try again")


def _look_once(remote: Remote, paths: StorePaths, *, whole: bool, anew: bool) -> None:
    rows = [paths.part_folder(table.name) for table in TABLES.values()]
    others = [paths.part_folder(table.curve_name) for table in TABLES.values()]
    others = [*others, paths.checkpoints] if whole else []
    alone = [paths.manifest, paths.progress]
    # Before the look: what is written here by then is there by then.
    here = {path for folder in (*rows, *others) for path in folder.glob("[!.]*")}
    here |= {path for path in alone if path.exists()}
    there = remote.listed(paths.folder)
    for folders in (rows, others):  # rows before curves
        for files_there in remote.each(remote.listed, [each for each in folders if each in there]):
            there |= files_there
    # What a writer was killed over, where files are not written whole, is nobody's.
    there = {p: size for p, size in there.items() if p in alone or not p.name.startswith(".")}
    changing = {*alone, *(path for path in there if path.parent == paths.checkpoints)}
    # A driver that has this copy too writes them, and its own are newer.
    theirs = changing if is_driven_beside(paths) else set()
    # In the order in which they were written.
    for group in (
        [path for path in there if path.parent in others],
        [path for path in alone if path in there],
        [path for path in there if path.parent in rows],
    ):
        lacking = [
            path
            for path in group
            if (anew or path in changing or _bytes(path) != there[path])
            and not (path in theirs and path.exists())
        ]
        remote.each(partial(_copy, remote), lacking)
    for path in here.difference(there):
        files.remove(path)


def _copy(remote: Remote, path: Path, *, tries: int = TRIES) -> None:
    content = remote.get(path, tries=tries)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_durably(path, content)


def _bytes(path: Path) -> int | None:
    """Return the size of a file here; None where there is none."""
    try:
        return path.lstat().st_size
    except OSError:
        return None

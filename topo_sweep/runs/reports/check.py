"""Whether the files of a sweep are what was written: `sweep.json`, parts and checkpoints."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nas_core.files import is_regular
from nas_core.training.checkpoint import checked_metadata
from topo_sweep.store.check import Damage, all_parts, damaged, repair
from topo_sweep.store.opened import is_sweep, sweep_folders
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import has_digest
from topo_sweep.store.paths import StorePaths


@dataclass(frozen=True)
class Checked:
    """What a check of a sweep found."""

    files: int
    """That were read."""
    undigested: int
    """Parts of earlier versions, which can be read, but do not say what must be in them."""
    has_manifest: bool
    """Whether there was a `sweep.json`."""
    damage: list[Damage]


def folders_to_check(results: Path) -> list[Path]:
    """Return the folder itself where it is a sweep, else those of its children that are.

    A folder with parts that has lost its `sweep.json` is one too.

    Raises:
        InputError: there is no such folder, or no sweep in it.
        OSError: as the file system says.

    """
    if _is_sweep_or_rest(results):
        return [results]
    children = sorted(results.iterdir()) if results.is_dir() else []
    aside = StorePaths(results).damaged
    found = [child for child in children if child != aside and _is_sweep_or_rest(child)]
    return found or sweep_folders(results)


def _is_sweep_or_rest(folder: Path) -> bool:
    return is_sweep(folder) or bool(all_parts(StorePaths(folder)))


def check_sweep(folder: Path, *, repairs: bool) -> Checked:
    """Read every byte of a sweep's files and compare it with what was written.

    Args:
        folder: of the sweep.
        repairs: whether to move what is damaged aside; what it held is then left to run.

    Raises:
        NewerStoreError: a newer version made it.
        InputError: another process writes there.
        StoreError: a sweep elsewhere cannot be read.
        OSError: as the file system says.

    """
    store = ResultStore(StorePaths(folder))
    store.refresh(whole=True, anew=True)  # of a sweep elsewhere, what is there counts
    if not (repairs or store.is_locked):
        with contextlib.suppress(FileNotFoundError):
            checked = _checked(store.paths, repairs=False)
            # A run that began meanwhile may have written rows whose curves were not there before.
            if not (checked.damage and store.is_locked):
                return checked
    with store.lock():  # which says by whom it is held
        return _checked(store.paths, repairs=repairs)


def _checked(paths: StorePaths, *, repairs: bool) -> Checked:
    has_manifest = os.path.lexists(paths.manifest)
    parts = list(all_parts(paths))
    states = sorted(paths.checkpoints.glob("*.safetensors"))
    damage = list(_damaged_states(states))
    damage = list(repair(paths, damage)) if repairs else [*damage, *damaged(paths)]
    undigested = sum(not has_digest(part) for part in parts)
    files = has_manifest + len(parts) + len(states)
    return Checked(files, undigested, has_manifest, damage)


def _damaged_states(states: list[Path]) -> Iterator[Damage]:
    for state in states:
        if not is_regular(state):
            yield Damage(state, "it is no regular file")
            continue
        try:
            checked_metadata(state.read_bytes())
        except (KeyError, ValueError):
            yield Damage(state, "its bytes are not those that were written")

"""Whether the files of a sweep are what was written: `sweep.json`, parts and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nas_core.files import is_regular
from nas_core.training.checkpoint import checked_metadata
from topo_sweep.store.check import Damage, all_parts, damaged, move_aside, repair
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
    damage: list[Damage]


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
    paths = store.paths
    parts = list(all_parts(paths))
    states = sorted(paths.checkpoints.glob("*.safetensors"))
    damage = list(_damaged_states(states))
    if repairs or store.is_locked:  # which says by whom
        with store.lock():
            moved = list(repair(paths))
            for state in damage:
                move_aside(paths, state.path)
            damage += moved
    else:
        damage += damaged(paths)
    undigested = sum(not has_digest(part) for part in parts)
    return Checked(1 + len(parts) + len(states), undigested, damage)


def _damaged_states(states: list[Path]) -> Iterator[Damage]:
    for state in states:
        if not is_regular(state):
            yield Damage(state, "it is no regular file")
            continue
        try:
            checked_metadata(state.read_bytes())
        except (KeyError, ValueError):
            yield Damage(state, "its bytes are not those that were written")

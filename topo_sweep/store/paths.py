"""Every file name of a store, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_core.protocols.training import DataOptions, Protocol

RESULTS = Path("results")
"""Where sweeps go unless told otherwise."""


@dataclass(frozen=True)
class StorePaths:
    """The files of one sweep's folder."""

    folder: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another machine, which has not this working copy, make one of its own."""
        from topo_sweep.store.uris import uri_of

        uri = uri_of(self.folder)
        return (StorePaths, (self.folder,)) if uri is None else (_paths_of, (self.folder, uri))

    @classmethod
    def of(
        cls, results: Path, *, sweep: str, protocol: Protocol, data: DataOptions, more: str = ""
    ) -> StorePaths:
        """Return the folder of a sweep: `<sweep>-<data set>-<hash of protocol and data>`.

        `more` is what else tells two stores of one name apart, such as settings of a search.
        """
        from nas_core.protocols.training import stable_hash

        key = (protocol.canonical(), data.canonical(), *([more] if more else []))
        digits = stable_hash("store", *key, digits=8)
        return cls(results / f"{sweep}-{data.dataset}-{digits}")

    @property
    def manifest(self) -> Path:
        """What the sweep is: requests, protocol, data fingerprint, versions, hardware."""
        return self.folder / "sweep.json"

    def part_folder(self, name: str) -> Path:
        """Parquet parts of a table's rows or curves, see `store/tables.py`."""
        return self.folder / name

    @property
    def trials(self) -> Path:
        """Parquet parts with a row a finished, diverged or failed trial."""
        return self.part_folder("trials")

    @property
    def epochs(self) -> Path:
        """Parquet parts with a row an epoch of each such trial."""
        return self.part_folder("epochs")

    @property
    def checkpoints(self) -> Path:
        """States of unfinished trials."""
        return self.folder / "checkpoints"

    @property
    def damaged(self) -> Path:
        """What was found damaged and moved aside."""
        return self.folder / "damaged"

    @property
    def figures(self) -> Path:
        """Pictures."""
        return self.folder / "figures"

    @property
    def lock(self) -> Path:
        """Locked by the one driver that may write."""
        return self.folder / ".lock"

    @property
    def lease(self) -> Path:
        """On S3 and the like, in the place of a lock: who writes, renewed while it lives."""
        return self.folder / "lease.json"

    @property
    def progress(self) -> Path:
        """What the driver is doing now; advice for `status`, never truth."""
        return self.folder / ".progress.json"

    def fault(self, worker: str) -> Path:
        """Where a worker of this id leaves the name of a fatal signal."""
        return self.folder / f".fault-{worker}"

    def checkpoint(self, trial_id: str) -> Path:
        """State of one unfinished trial."""
        return self.checkpoints / f"{trial_id}.safetensors"


def _paths_of(folder: Path, uri: str) -> StorePaths:
    from topo_sweep.store.uris import copy_here

    return StorePaths(copy_here(folder, uri))

"""Finding sweeps on disk and reading what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_core.errors import InputError
from topo_sweep.runs.plan import found_by_search
from topo_sweep.spec.trials import Planned, SearchTrial, expand_all, without_void
from topo_sweep.store.manifest import Manifest, read_manifest
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.paths import RESULTS, StorePaths

if TYPE_CHECKING:
    import pandas as pd

    from nas_core.protocols.search import SearchProtocol


@dataclass(frozen=True)
class OpenedSweep:
    """A sweep that exists: its store and what it says it is.

    `chosen_from` is how many sweeps the given folder held; 1 where the folder was the sweep.
    """

    store: ResultStore
    manifest: Manifest
    chosen_from: int = 1

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return self.store.paths.folder

    def trials(self) -> pd.DataFrame:
        """Return one row a training, those of cells that searches found included.

        Raises:
            InputError: rows that were trained on other images than the sweep says.

        """
        return self._checked(self.store.trials())

    def searches(self) -> pd.DataFrame:
        """Return one row a search.

        Raises:
            InputError: rows that were searched on other images than the sweep says.

        """
        return self._checked(self.store.searches())

    def search_epochs(self) -> pd.DataFrame:
        """Return the alphas and genotypes of the searches, a row an epoch."""
        return self.store.search_epochs()

    def search_protocols(self) -> dict[str, SearchProtocol]:
        """Return the settings of every search that was asked for, by protocol hash."""
        planned = expand_all(self.manifest.specs()).values()
        protocols = [trial.protocol for trial in planned if isinstance(trial, SearchTrial)]
        return {protocol.protocol_hash: protocol for protocol in protocols}

    def _checked(self, rows: pd.DataFrame) -> pd.DataFrame:
        others = set(rows["fingerprint"]) - {self.manifest.fingerprint}
        if others:
            raise InputError(
                f"{self.folder} holds rows of other images: its data has fingerprint "
                f"{self.manifest.fingerprint}, these rows {', '.join(sorted(others))}; move the "
                "foreign Parquet parts away"
            )
        return rows

    def planned(self) -> dict[str, Planned]:
        """Return all trials and searches that were ever asked of this sweep, by id."""
        planned = expand_all(self.manifest.specs())
        return without_void(planned, found_by_search(self.store.searches()))


def open_sweep(path: Path) -> OpenedSweep:
    """Open a sweep's folder, or of a folder of sweeps the one with the newest row.

    Only the folder's own children are looked at, so kept studies further down are left alone.

    Raises:
        InputError: nothing there, or not a sweep.

    """
    if StorePaths(path).manifest.exists():
        return _opened(path)
    if not path.is_dir():
        raise InputError(f"there is no folder {path}: run a sweep first, or name its folder")
    sweeps = [_opened(child) for child in sorted(path.iterdir()) if _is_sweep(child)]
    if not sweeps:
        raise InputError(
            f"{path} is no sweep and holds none (looked for {path}/sweep.json and "
            f"{path}/*/sweep.json): run a sweep first, or name its folder"
        )
    newest = max(sweeps, key=by_newest_row)
    return OpenedSweep(newest.store, newest.manifest, chosen_from=len(sweeps))


def load_results(path: str | Path = RESULTS) -> pd.DataFrame:
    """Return the trials of a sweep as a DataFrame, one row a trial, for notebooks.

    Args:
        path: a sweep's folder, or a folder of sweeps (then the one with the newest row).

    Raises:
        InputError: nothing there, or not a sweep.

    """
    return open_sweep(Path(path)).trials()


def _opened(folder: Path) -> OpenedSweep:
    paths = StorePaths(folder)
    return OpenedSweep(ResultStore(paths), read_manifest(paths.manifest))


def _is_sweep(folder: Path) -> bool:
    return StorePaths(folder).manifest.exists()


def by_newest_row(sweep: OpenedSweep) -> tuple[str, str]:
    """Order by newest row, sweeps without rows first, by request."""
    newest = sweep.store.newest_row()
    requested = max((r.requested_at.isoformat() for r in sweep.manifest.requests), default="")
    return newest.isoformat() if newest else "", requested

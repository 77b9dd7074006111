"""What keeps `sweep.json` as it should be while a sweep runs."""

from __future__ import annotations

from pathlib import Path

from nas_core.errors import InputError
from topo_sweep.store.manifest import Manifest, read_manifest


class KeptManifest:
    """`sweep.json` while a sweep runs: written again where it is gone or says something else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[Manifest, tuple[int, int] | None] | None = None
        """What the file said last, and its stamp: it is read again only where one has changed."""

    def keep(self, manifest: Manifest) -> None:
        """Let the file say this.

        Raises:
            OSError: as the file system says.

        """
        if self._seen == (manifest, self._stamp()):
            return
        if not self._says(manifest):
            manifest.write(self._path)
        self._seen = manifest, self._stamp()

    def _says(self, manifest: Manifest) -> bool:
        try:
            return read_manifest(self._path) == manifest
        except InputError:
            return False

    def _stamp(self) -> tuple[int, int] | None:
        """Return when the file was last changed, and its size; None where it is gone."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size

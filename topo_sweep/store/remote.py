"""A place for results elsewhere, such as an S3 bucket, and the working copy of it here.

What is written goes there first, and then here: the copy never has what the place lacks. A file
appears there whole or not at all. An object store shows an object when its last byte has arrived;
elsewhere a file is written under another name and moved. What fails is tried again, with pauses
that grow. Which files a sweep has, and their order, is known to those who call.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from nas_core.errors import InputError
from nas_core.files import TEMPORARY
from topo_sweep.store.uris import Place, copy_root, place_of

Result = TypeVar("Result")

TRIES: Final = 3
"""Of reading. Rows that cannot be written are tried again by `buffered.py`, without end."""
_PAUSE_SECONDS: Final = 0.25
"""Before the second try; four times as long before each further one."""
_AT_ONCE: Final = 16
"""Files that are fetched or removed at the same time."""
_SETTLE_SECONDS: Final = 10.0
_OBJECT_STORES: Final = ("s3", "gcs")
_FOR_GOOD: Final = re.compile(
    "ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|"
    "INVALID_CLIENT_TOKEN_ID|UNRECOGNIZED_CLIENT|AccessDenied|InvalidBucketName|HTTP status 403"
)
"""What no other try changes."""
_WHAT_AWS_SAYS: Final = re.compile(r"AWS Error (?P<name>.+?) during \w+ operation: (?P<what>.*)")
_SHORTEST: Final = re.compile(r" *(\(Request ID: [^)]*\)|; Details: .*)")


def remote_of(path: Path) -> Remote | None:
    """Return the place of which a path is a copy; None where it lies in an ordinary folder.

    Raises:
        OSError: the place cannot be opened.

    """
    root = copy_root(path)
    place = None if root is None else place_of(root)
    return None if root is None or place is None else _remote(root, place.copy_id)


@cache
def _remote(root: Path, copy_id: str) -> Remote:
    place = place_of(root)
    assert place is not None and place.copy_id == copy_id, "it was just read"  # noqa: S101, PT018
    filesystem, base = _connected(place)
    return Remote(filesystem, base, root, place)


class Remote:
    """One place elsewhere. All paths are those of the working copy.

    Args:
        filesystem: pyarrow's.
        base: where the root of the working copy is in it.
        root: of the working copy.
        place: what it is called.

    All methods raise an OSError that says in a few words what is wrong where each try has failed.

    """

    def __init__(self, filesystem: pafs.FileSystem, base: str, root: Path, place: Place) -> None:
        self._filesystem = filesystem
        self._base = base
        self._root = root
        self.place = place
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="topo-sweep-remote")
        # Of their own: what waits to be removed must not keep a heartbeat waiting.
        self._removing = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="topo-sweep-removing")
        self._pending: list[Future[None]] = []
        self.unsure: set[Path] = set()
        """Files that may be there though nobody wants them: an answer was lost."""

    def uri(self, path: Path) -> str:
        """Return what a path stands for."""
        return self.place.uri("" if path == self._root else path.relative_to(self._root).as_posix())

    def put(self, path: Path, content: bytes, *, tries: int = 2) -> None:
        """Write a file whole; whatever interrupts this, it is there whole or not at all."""
        write = partial(self._write, path, content)
        try:
            # In a thread: Ctrl-C must not end it between two bytes.
            self._pool.submit(self._tried, path, write, tries=tries).result()
        except OSError:
            self.unsure.add(path)
            raise
        self.unsure.discard(path)

    def get(self, path: Path, *, tries: int = TRIES) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: there is none.

        """

        def read() -> bytes:
            key = self._key(path)
            with self._filesystem.open_input_stream(key) as stream:
                content = bytes(stream.read())
            # pyarrow asks for the size first; of a file that was replaced since it is another.
            if path.suffix != ".parquet" and self._size(key) != len(content):
                raise OSError("it changed while it was read")
            return content

        return self._tried(path, read, tries=tries)

    def delete(self, path: Path) -> None:
        """Remove a file, if it is there."""
        try:
            with contextlib.suppress(FileNotFoundError):
                self._tried(path, lambda: self._filesystem.delete_file(self._key(path)))
        except OSError:
            self.unsure.add(path)
            raise
        self.unsure.discard(path)

    def delete_later(self, path: Path) -> None:
        """Remove a file in a while; one that cannot be removed stays."""
        self._pending = [each for each in self._pending if not each.done()]
        self._pending.append(self._removing.submit(self.delete, path))

    def settle(self) -> None:
        """Wait some seconds for what should be removed; what is left stays."""
        wait(self._pending, timeout=_SETTLE_SECONDS)
        for each in self._pending:
            each.cancel()
        self._pending.clear()

    def written_at(self, path: Path) -> datetime | None:
        """Return when a file was written, by the clock of the place; None where there is none."""
        info = self._tried(path, lambda: self._filesystem.get_file_info(self._key(path)))
        return info.mtime if info.type == pafs.FileType.File else None

    def listed(self, folder: Path) -> dict[Path, int | None]:
        """Return the files in a folder with their bytes, and the folders in it with None."""
        selector = pafs.FileSelector(self._key(folder), allow_not_found=True)
        infos = self._tried(folder, lambda: self._filesystem.get_file_info(selector))
        return {
            folder / info.base_name: info.size if info.type == pafs.FileType.File else None
            for info in infos
        }

    def check_root(self) -> None:
        """Refuse a bucket that is not there: what it would hold must not look as if it were empty.

        Raises:
            InputError: there is none.

        """
        info = self._tried(self._root, lambda: self._filesystem.get_file_info(self._base))
        if info.type == pafs.FileType.NotFound:
            raise InputError(
                f"there is no {self.place.uri()}: make the bucket first, or see whether its name, "
                "the region and the endpoint are right"
            )

    def each(self, action: Callable[[Path], Result], paths: Iterable[Path]) -> list[Result]:
        """Return what an action gives for each path, many at the same time; it may not call it."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(action, paths))

    def _key(self, path: Path) -> str:
        inside = path.relative_to(self._root).as_posix()
        if inside == ".":
            return self._base
        return f"{self._base.rstrip('/')}/{inside}" if self._base else inside

    def _size(self, key: str) -> int | None:
        size: int | None = self._filesystem.get_file_info(key).size
        return size

    def _write(self, path: Path, content: bytes) -> None:
        key = self._key(path)
        if self._filesystem.type_name in _OBJECT_STORES:
            self._stream(key, content)
            return
        folder, _, name = key.rpartition("/")
        temporary = f"{folder}/.{name}.{uuid.uuid4().hex}{TEMPORARY}"
        self._filesystem.create_dir(folder)
        try:
            self._stream(temporary, content)
            self._filesystem.move(temporary, key)
        except OSError:
            with contextlib.suppress(OSError):
                self._filesystem.delete_file(temporary)
            raise

    def _stream(self, key: str, content: bytes) -> None:
        # Not `with`, which would close, and so complete, what could not be written.
        stream = self._filesystem.open_output_stream(key)
        stream.write(content)
        stream.close()

    def _tried(self, path: Path, action: Callable[[], Result], *, tries: int = TRIES) -> Result:
        """Return what an action gives, by as many tries as it needs or there are."""
        pause = _PAUSE_SECONDS
        for number in range(1, tries + 1):
            try:
                return action()
            except FileNotFoundError:
                raise
            except (OSError, pa.ArrowException) as error:
                if number == tries or _FOR_GOOD.search(str(error)):
                    raise OSError(errno.EIO, reason(error), self.uri(path)) from None
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            pause *= 4
        raise AssertionError("the last try returns or raises")


def reason(error: Exception) -> str:
    """Return in a few words what a file system says."""
    said = " ".join(str(error).split())
    if (aws := _WHAT_AWS_SAYS.search(said)) is None:
        return _SHORTEST.sub("", said)[:300] or type(error).__name__
    what = _SHORTEST.sub("", aws["what"])
    return f"{aws['name']}: {what}"[:300].rstrip(":. ")


def _connected(place: Place) -> tuple[pafs.FileSystem, str]:
    """Return the file system of a place and where it is in it; asks for credentials, if any.

    Raises:
        OSError: there is no such file system, or it cannot be reached.

    """
    try:
        if place.scheme != "s3":
            return pafs.FileSystem.from_uri(place.uri("/"))
        return _s3(place), place.root.partition("://")[2]
    except (OSError, pa.ArrowException, ImportError, NotImplementedError) as error:
        raise OSError(errno.EIO, f"cannot be opened: {reason(error)}", place.uri()) from None


def _s3(place: Place) -> pafs.S3FileSystem:
    options: dict[str, Any] = dict(place.options)
    in_environment = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    options.setdefault("region", in_environment)
    if options["region"] is None and "endpoint_override" not in options:
        options["region"] = pafs.resolve_s3_region(place.root.partition("://")[2])
    options["retry_strategy"] = pafs.AwsStandardS3RetryStrategy(max_attempts=2)
    try:
        return pafs.S3FileSystem(**options, allow_delayed_open=True)  # small files: one request
    except TypeError:  # of an earlier version
        return pafs.S3FileSystem(**options)

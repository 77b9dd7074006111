"""What a command prints to may be closed, full or gone: stderr must not matter, stdout must.

A run goes on without stderr, so its exit code always tells what became of its trials. What Python
prints there goes through a descriptor of its own: libraries write to number 2 as they like, and a
run may keep that from the user. And a working copy of results elsewhere is called by its URI.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, Self, TextIO

from nas_core.errors import TopoSweepError
from topo_sweep.store.uris import shown


class ReaderGoneError(Exception):
    """Whoever read stdout has read enough, as in `topo-sweep rank | head`."""


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Guard `sys.stdout` and `sys.stderr` inside the block.

    Raises:
        ReaderGoneError: when the other end of stdout is closed.
        TopoSweepError: when stdout cannot be written for any other reason.

    """
    _occupy_descriptors()
    before = sys.stdout, sys.stderr
    stderr, descriptor = _on_another_descriptor(sys.stderr)
    sys.stdout, sys.stderr = _Stdout(sys.stdout, 1), _Stderr(stderr, descriptor)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        if stderr is not None and stderr is not before[1]:
            with contextlib.suppress(OSError):
                stderr.close()


def _on_another_descriptor(stderr: TextIO | None) -> tuple[TextIO | None, int]:
    """Return what leads to where stderr does, and its descriptor; what is no file stays."""
    try:
        if stderr is None or stderr.fileno() != 2:
            return stderr, 2
    except (OSError, ValueError):
        return stderr, 2
    stderr.flush()
    descriptor = os.dup(2)
    stream = os.fdopen(descriptor, "w", 1, stderr.encoding, stderr.errors)
    return stream, descriptor


def _occupy_descriptors() -> None:
    """Open what is closed of 0, 1 and 2, lest a file of results gets the number of a stream.

    For reading alone, so that writing still fails.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


class _Guarded:
    """A stream that tells `failed` when it cannot be written, and then leads nowhere.

    Args:
        stream: what is guarded; None where the process was started without it.
        descriptor: of that stream.

    """

    def __init__(self, stream: TextIO | None, descriptor: int) -> None:
        self._stream = stream or os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)
        self._descriptor = descriptor

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)

    @property
    def buffer(self) -> Self:
        """The stream of bytes beneath, guarded likewise."""
        return type(self)(self._stream.buffer, self._descriptor)  # type: ignore[arg-type]

    def write(self, text: str | bytes) -> int:
        """Write; of a `buffer`, bytes."""
        if text == "":  # click asks in this way, deaf to errors, whether a stream takes text
            return 0
        with self._watched():
            said = shown(text) if isinstance(text, str) else text
            return self._stream.write(said)  # type: ignore[arg-type] # a buffer takes bytes
        return len(text)

    def flush(self) -> None:
        """Flush."""
        with self._watched():
            self._stream.flush()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is still buffered goes there too, or Python would end with its own complaint.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
            self.failed(error)

    def failed(self, error: OSError) -> None:
        """Hear why nothing can be written any more."""
        raise NotImplementedError


class _Stdout(_Guarded):
    def failed(self, error: OSError) -> None:
        """End the command."""
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError from None
        raise TopoSweepError(f"cannot write to stdout: {error.strerror or error}") from None


class _Stderr(_Guarded):
    def failed(self, error: OSError) -> None:
        """Go on in silence: what is said there is advice."""

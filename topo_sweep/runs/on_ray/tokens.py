"""The token of a cluster: where it is kept, how it is made, and whether a cluster asks for one.

Its content is never printed, logged or put into a command line: Ray reads the file itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nas_core.errors import InputError, unwritable

MODE: Final = "RAY_AUTH_MODE"
_VALUE: Final = "RAY_AUTH_TOKEN"
_PATH: Final = "RAY_AUTH_TOKEN_PATH"
_ANSWER_SECONDS: Final = 20.0
_REFUSED: Final = 3
_ASK: Final = f"""
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
try:
    GcsClient(address=sys.argv[1])
except AuthenticationError:
    sys.exit({_REFUSED})
"""

_LOGGER = logging.getLogger(__name__)


def open_warning(
    what: str, instead: str = "start it with `topo-sweep cluster start --head`"
) -> str:
    """Return what it means that a cluster asks for no token, and what to do `instead`."""
    return (
        f"warning: {what} asks for no token: anybody who reaches it over the network can run any "
        "code as you on its nodes, and read and change your files there; "
        f"{instead}, or add --insecure if that is meant"
    )


def token_file() -> Path:
    """Return where the token is, or would be: `RAY_AUTH_TOKEN_PATH`, else `~/.ray/auth_token`."""
    return Path(os.environ.get(_PATH) or Path.home() / ".ray" / "auth_token")


def token_place() -> str | None:
    """Return in words where Ray finds a token, None where it finds none."""
    if os.environ.get(_VALUE):
        return _VALUE
    return str(token_file()) if token_file().is_file() else None


def ensure_token() -> str:
    """Return in words where the token is; make one that only this user can read if there is none.

    Raises:
        InputError: it cannot be written there, is empty, or another user's.

    """
    if os.environ.get(_VALUE):
        return _VALUE
    path = token_file()
    if path.exists():
        _close(path)
        return str(path)
    try:
        _make(path)
    except OSError as error:
        raise unwritable(path, error, f"; {_PATH} names another place") from None
    return str(path)


def _make(path: Path) -> None:
    """Make a token, whole or not at all; where another process makes one meanwhile, that stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, written = tempfile.mkstemp(prefix=".auth_token-", dir=path.parent)  # of mode 600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(written, path)
    finally:
        Path(written).unlink()


def _close(path: Path) -> None:
    """Let nobody else read a token that is there; where Ray itself made it, all can.

    Raises:
        InputError: it is empty, no file, or another user's.

    """
    said = path.stat()
    if not stat.S_ISREG(said.st_mode) or not said.st_size:
        raise InputError(f"{path} holds no token: remove it, and a new one is made")
    if said.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        try:
            path.chmod(0o600)
        except OSError as error:
            raise unwritable(path, error, f"; {_PATH} names another place") from None
        _LOGGER.warning(
            "others could read the token in %s: now only you can; if somebody may have, remove it, "
            "and the next head makes a new one",
            path,
        )


def lets_in(address: str, *, with_token: bool) -> bool | None:
    """Return whether a cluster lets a client in; None where none answers there.

    In a process of its own, since Ray reads the token once a process.

    Args:
        address: HOST:PORT.
        with_token: show the token of this user; otherwise none.

    """
    mode = "token" if with_token else "disabled"
    try:
        asked = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", _ASK, address],
            env=os.environ | {MODE: mode},
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return {0: True, _REFUSED: False}.get(asked.returncode)


def mode_for(address: str) -> Mapping[str, str]:
    """Return the environment in which this user's processes get into a cluster.

    A token is shown only to a cluster that asks for one.

    Raises:
        InputError: there is no token here, it is another, or no cluster answers.

    """
    is_open = lets_in(address, with_token=False)
    if is_open is None:
        raise InputError(f"what listens at {address} does not answer as a Ray cluster does")
    if is_open:
        return {MODE: "disabled"}
    place = token_place()
    if place is None:
        raise InputError(
            f"the Ray cluster at {address} wants a token: copy that of its head to {token_file()} "
            f"and `chmod 600` it, or let {_PATH} name where it is"
        )
    if not lets_in(address, with_token=True):
        raise InputError(
            f"the Ray cluster at {address} wants another token than that of {place}: copy that of "
            "its head"
        )
    return {MODE: "token"}

"""Results that lie elsewhere, as `s3://BUCKET/PREFIX`: what may be said of them, and where.

A sweep elsewhere has a working copy in a local folder, which is what all other code sees. A file in
it says of which place it is one. Nothing is fetched or written here; see `remote.py`.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from nas_core.errors import InputError
from nas_core.files import digest, is_regular, write_durably

COPY_OF: Final = ".copy-of.json"
"""In a working copy: of which place it is one."""

_SECRET: Final = re.compile("key|secret|token|passw|credential|sig", re.IGNORECASE)
_OF_S3: Final = ("region", "scheme", "endpoint_override")
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True)
class Place:
    """A bucket, or whatever else a file system elsewhere has at its root.

    Attributes:
        root: such as `s3://bucket`.
        options: how it is reached; never a credential.
        asked: those of them that were in the URI; the others come from the environment.

    """

    root: str
    options: Mapping[str, str]
    asked: str
    copy_id: str
    """Names this working copy of it."""

    @property
    def scheme(self) -> str:
        """Such as `s3`."""
        return self.root.partition(":")[0]

    def uri(self, path: str = "") -> str:
        """Return the URI of what lies at a path in it."""
        query = f"?{self.asked}" if self.asked else ""
        return f"{self.root}{path and '/'}{path.lstrip('/')}{query}"


_shown: dict[str, Place] = {}
"""The working copies that this process knows, by their folders."""


def copies_folder() -> Path:
    """Return where working copies lie: a cache, which may be removed when no command runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache.absolute() / "topo-sweep"


def is_uri(text: str) -> bool:
    """Return whether a text is a URI and no path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def folder_of(text: str) -> Path:
    """Return the folder that a text names, of a URI that of its working copy.

    Raises:
        InputError: a URI that holds a credential, or names no place.

    """
    return working_copy(text) if is_uri(text) else Path(text)


def working_copy(uri: str) -> Path:
    """Return the local folder that stands for a URI, which need not hold anything yet.

    Raises:
        InputError: it holds a credential, an option that is not known, or names no place, or one
            in which files are not written whole or not at all.

    """
    try:
        parts = urlsplit(uri)
    except ValueError:  # what it says may repeat a secret
        raise InputError("this is no URI: write it as s3://BUCKET/PREFIX") from None
    # A secret may hold a slash, so that it looks as if it ended there.
    before, at, _ = (parts.netloc + parts.path).rpartition("@")
    has_user = parts.scheme in _BUCKETS and (at or ":" in parts.netloc)
    if has_user or ":" in before:
        raise _has_credential(parts.scheme)
    options = _options(parts.scheme, parts.query)
    bare = f"{parts.scheme}://{parts.netloc}{parts.path}"
    names = [name for name in parts.path.split("/") if name]
    if {".", ".."}.intersection(names) or parts.fragment:
        raise InputError(f"{bare} is no place for results: leave out '.', '..' and '#'")
    if parts.scheme in _SHOWN_HALF:
        raise InputError(
            f"{parts.scheme}:// is no place for results: a file is seen there, empty, before it is "
            "written; use s3://, gs://, hdfs:// or a folder"
        )
    if parts.scheme == "file":
        return Path("/", *(unquote(name) for name in names))
    if parts.scheme in _BUCKETS and not parts.netloc:
        raise InputError(f"{bare} names no bucket: write {parts.scheme}://BUCKET/PREFIX")
    root = f"{parts.scheme}://{parts.netloc}"
    return _folder_of(root, options, parts.query).joinpath(*names)


_BUCKETS: Final = ("s3", "gs", "gcs")
"""Schemes whose URIs begin with a bucket, and nobody's name."""
_SHOWN_HALF: Final = ("abfs", "abfss")
"""Azure's, where pyarrow's stream makes an empty blob when it is opened."""
_NEVER_COPIED: Final = ("file", *_SHOWN_HALF)


def _options(scheme: str, query: str) -> dict[str, str]:
    """Return how a place is reached, by its URI and the environment."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    if any(_SECRET.search(key) and key != "credential_kind" for key in options):
        raise _has_credential(scheme)
    if scheme == "s3":
        if unknown := sorted(options.keys() - set(_OF_S3)):
            raise InputError(f"s3:// has no option {unknown[0]!r}: use {', '.join(_OF_S3)}")
        endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS)), None)
        if endpoint and "endpoint_override" not in options:
            options["endpoint_override"] = endpoint
    endpoint = options.get("endpoint_override", "")
    if "@" in endpoint:
        raise _has_credential(scheme)
    if is_uri(endpoint):  # as in the environment
        options["scheme"], _, address = endpoint.partition("://")
        options["endpoint_override"] = address.strip("/")
    return options


def _has_credential(scheme: str) -> InputError:
    return InputError(
        f"this {scheme}:// URI, or the endpoint, holds a credential (or an @), which others would "
        "see: leave it out, and put it where pyarrow looks, such as AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY or ~/.aws/credentials"
    )


def _folder_of(root: str, options: Mapping[str, str], asked: str) -> Path:
    """Return the folder of a place's working copy, which is made where it is missing."""
    folder = copies_folder() / _copy_name(root, options)
    if place_of(folder) is None:
        value = {"root": root, "options": dict(options), "copy_id": uuid.uuid4().hex}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_durably(folder / COPY_OF, json.dumps(value).encode())
        except OSError as error:
            raise _no_copy(folder, root, error.strerror or str(error)) from None
    if (place := place_of(folder)) is None:
        raise _no_copy(folder, root, f"{COPY_OF} in it is not this user's, or no regular file")
    _shown[str(folder)] = Place(root, options, asked, place.copy_id)
    return folder


def _copy_name(root: str, options: Mapping[str, str]) -> str:
    reached = {key: value for key, value in options.items() if key != "region"}
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", root)[:60]
    key = digest(json.dumps([root, reached], sort_keys=True).encode())
    return f"{name}-{key[:8]}"


def _no_copy(folder: Path, root: str, reason: str) -> InputError:
    return InputError(
        f"cannot make {folder} for a working copy of {root}: {reason}; XDG_CACHE_HOME names "
        "another place"
    )


def copy_root(path: Path) -> Path | None:
    """Return the working copy in which a path lies; None where it lies in none."""
    return next((each for each in (path, *path.parents) if place_of(each) is not None), None)


def place_of(root: Path) -> Place | None:
    """Return of which place a folder is the working copy; None where it is none.

    Only what this user has in the folder of working copies, under the name that it was given
    there, is one: what is not elsewhere is removed from it. A copy of one is an ordinary folder,
    and so is any other in which there is such a file.
    """
    # One that this process knows stays one, though somebody clears the cache.
    if (known := _shown.get(str(root))) is not None:
        return known
    place = _named_place(root)
    if place is None or root.resolve().parent != copies_folder().resolve():
        return None
    return place


def _named_place(folder: Path) -> Place | None:
    """Return of which place a folder is a copy by its name and its file, which is this user's."""
    file = folder / COPY_OF
    try:
        if not is_regular(file) or file.lstat().st_uid != os.geteuid():
            return None
        said = json.loads(file.read_text(encoding="utf-8"))
        root, options = said["root"], said["options"]
        place = Place(root, options, urlencode(options), said["copy_id"])
        is_so_named = folder.resolve().name == _copy_name(root, options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return place if is_so_named and place.scheme not in _NEVER_COPIED else None


def uri_of(path: Path) -> str | None:
    """Return what a path in a working copy stands for, with all that it takes to reach it."""
    root = copy_root(path)
    place = None if root is None else place_of(root)
    return None if root is None or place is None else _whole_uri(place, path.relative_to(root))


def _whole_uri(place: Place, path: Path) -> str:
    whole = Place(place.root, place.options, urlencode(place.options), place.copy_id)
    return whole.uri("" if path == Path() else path.as_posix())


def copy_here(folder: Path, uri: str) -> Path:
    """Return the folder that stands for a URI, as another process of ours has it, or of our own.

    The other's cache may be another one, on this machine or on one that shares its disk.
    """
    for root in (folder, *folder.parents):
        place = _named_place(root)
        if place is not None and _whole_uri(place, folder.relative_to(root)) == uri:
            _shown[str(root)] = place
            return folder
    return working_copy(uri)


def shown(text: str) -> str:
    """Return a text for people in which working copies have the names of what they stand for."""
    for folder, place in _shown.items():
        if folder in text:
            parts = re.split(re.escape(folder) + r"(?:/([^\s'\"`:;,()]*))?", text)
            uris = [place.uri(path or "") for path in parts[1::2]]
            text = "".join(
                f"{before}{uri}" for before, uri in zip(parts[::2], [*uris, ""], strict=True)
            )
    return text

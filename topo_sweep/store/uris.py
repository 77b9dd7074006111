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
from nas_core.files import digest, write_durably
from topo_sweep.store.paths import COPY_OF, copies_folder

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
    reached = {key: value for key, value in options.items() if key != "region"}
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", root)[:60]
    key = digest(json.dumps([root, reached], sort_keys=True).encode())
    folder = copies_folder() / f"{name}-{key[:8]}"
    if place_of(folder) is None:
        value = {"root": root, "options": dict(options), "copy_id": uuid.uuid4().hex}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_durably(folder / COPY_OF, json.dumps(value).encode())
        except OSError as error:
            raise InputError(
                f"cannot make {folder} for a working copy of {root}: {error.strerror or error}; "
                "XDG_CACHE_HOME names another place"
            ) from None
    if (place := place_of(folder)) is not None:
        _shown[str(folder)] = Place(root, options, asked, place.copy_id)
    return folder


def copy_root(path: Path) -> Path | None:
    """Return the working copy in which a path lies; None where it lies in none."""
    for folder in (path, *path.parents):
        # One that this process knows stays one, though somebody clears the cache.
        if str(folder) in _shown or (folder / COPY_OF).is_file():
            return folder
    return None


def place_of(root: Path) -> Place | None:
    """Return of which place a folder is the working copy; None where it is none."""
    if (known := _shown.get(str(root))) is not None:
        return known
    try:
        value = json.loads((root / COPY_OF).read_text(encoding="utf-8"))
        return Place(value["root"], value["options"], urlencode(value["options"]), value["copy_id"])
    except (OSError, ValueError, KeyError):
        return None


def uri_of(path: Path) -> str | None:
    """Return what a path in a working copy stands for, with all that it takes to reach it."""
    root = copy_root(path)
    place = None if root is None else place_of(root)
    if root is None or place is None:
        return None
    whole = Place(place.root, place.options, urlencode(place.options), place.copy_id)
    return whole.uri("" if path == root else path.relative_to(root).as_posix())


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

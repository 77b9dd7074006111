"""URIs of results: their working copies, what is refused in them, and how they are shown."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nas_core.errors import InputError
from topo_sweep.store import uris
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.uris import (
    COPY_OF,
    copies_folder,
    folder_of,
    place_of,
    shown,
    uri_of,
    working_copy,
)

SECRET = "hunter2SECRET"  # noqa: S105 - of nobody


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.setattr(uris, "_shown", {})


def everything_in(folder: Path) -> str:
    return " ".join(f"{path} {path.read_bytes()!r}" for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://AKID:{SECRET}@bucket/prefix",
        f"s3://{SECRET}@bucket/prefix",
        f"s3://AKID:a/{SECRET}@bucket/prefix",
        f"s3://{SECRET}/b@bucket/prefix",
        f"s3://AKID:{SECRET}#b@bucket/prefix",
        f"s3://AKID:{SECRET}?b@bucket/prefix",
        f"hdfs://user:a/{SECRET}@host:8020/prefix",
        f"s3://bucket/prefix?access_key=AKID&secret_key={SECRET}",
        f"s3://bucket/prefix?session_token={SECRET}",
        f"s3://bucket/prefix?endpoint_override=AKID:{SECRET}@host:9000",
        f"hdfs://user:{SECRET}@host:8020/prefix",
        f"abfs://:{SECRET}@account.dfs.core.windows.net/prefix",
        f"gs://{SECRET}@bucket/prefix",
        f"other://bucket/prefix?password={SECRET}",
        f"s3://bucket/prefix?Credential={SECRET}",
    ],
)
def test_a_credential_in_a_uri_is_refused_and_neither_repeated_nor_stored(
    tmp_path: Path, uri: str
) -> None:
    with pytest.raises(InputError, match="holds a credential") as refusal:
        working_copy(uri)
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert SECRET not in everything_in(tmp_path)


def test_a_credential_in_the_endpoint_of_the_environment_is_refused_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@host:9000")
    with pytest.raises(InputError, match="holds a credential") as refusal:
        working_copy("s3://bucket/prefix")
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://[bucket/prefix", "this is no URI: write it as s3://BUCKET/PREFIX"),
        ("s3:///prefix", "names no bucket: write s3://BUCKET/PREFIX"),
        ("s3://bucket/a/../../../etc", r"leave out '\.', '\.\.' and '#'"),
        ("s3://bucket/./a", r"leave out '\.', '\.\.' and '#'"),
        ("s3://bucket/a#b", r"leave out '\.', '\.\.' and '#'"),
        ("abfs://files@account.dfs.core.windows.net/a", "abfs:// is no place for results: a file"),
        ("abfss://files/a", r"use s3://, gs://, hdfs:// or a folder"),
        ("s3://bucket/a?regoin=x", "no option 'regoin': use region, scheme, endpoint_override"),
    ],
)
def test_what_is_no_place_is_refused(uri: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        working_copy(uri)
    assert not everything_in(tmp_path)


def test_what_lies_in_one_bucket_lies_in_one_working_copy() -> None:
    results = working_copy("s3://bucket/results")
    assert working_copy("s3://bucket/results/") == results
    assert working_copy("s3://bucket//results/sweep") == results / "sweep"
    assert working_copy("s3://bucket/results?region=eu-west-1") == results
    assert working_copy("s3://bucket") == results.parent
    assert place_of(results.parent) is not None


def test_equal_names_at_other_endpoints_are_other_places(monkeypatch: pytest.MonkeyPatch) -> None:
    of_amazon = working_copy("s3://bucket/results")
    by_option = working_copy("s3://bucket/results?endpoint_override=host:9000&scheme=http")
    assert by_option != of_amazon

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://host:9000/")
    assert working_copy("s3://bucket/results") == by_option
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://host:9000")
    assert working_copy("s3://bucket/results") not in (by_option, of_amazon)


def test_a_uri_of_a_file_is_its_path_and_a_path_is_itself() -> None:
    assert working_copy("file:///some/results%20here") == Path("/some/results here")
    assert folder_of("results/sweep") == Path("results/sweep")
    assert folder_of("s3://bucket/results") == working_copy("s3://bucket/results")


def test_people_see_uris_in_the_place_of_working_copies() -> None:
    folder = working_copy("s3://bucket/results?endpoint_override=host:9000") / "sweep-1"
    line = f"done: 3 of 3 are kept in {folder}: `topo-sweep rank {folder}/a.txt` (see {folder})"
    query = "?endpoint_override=host:9000"
    assert shown(line) == (
        f"done: 3 of 3 are kept in s3://bucket/results/sweep-1{query}: `topo-sweep rank "
        f"s3://bucket/results/sweep-1/a.txt{query}` (see s3://bucket/results/sweep-1{query})"
    )
    assert shown("kept in results/sweep") == "kept in results/sweep"


def test_a_worker_on_another_machine_has_a_working_copy_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://host:9000")
    here = StorePaths(working_copy("s3://bucket/results/sweep"))
    sent = pickle.dumps(here)
    assert pickle.loads(sent) == here  # noqa: S301 - our own

    (tmp_path / "cache").rename(tmp_path / "not there")
    monkeypatch.setattr(uris, "_shown", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    there = pickle.loads(sent)  # noqa: S301 - our own
    assert there.folder.is_relative_to(tmp_path / "other")
    assert uri_of(there.folder) == (
        "s3://bucket/results/sweep?endpoint_override=host%3A9000&scheme=http"
    )


def test_a_worker_with_another_cache_has_the_working_copy_of_its_driver_where_that_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = StorePaths(working_copy("s3://bucket/results/sweep"))
    sent = pickle.dumps(here)
    monkeypatch.setattr(uris, "_shown", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))

    assert pickle.loads(sent) == here  # noqa: S301 - our own
    assert uri_of(here.folder) == "s3://bucket/results/sweep"
    assert not (tmp_path / "other").exists()


def test_a_folder_that_is_no_working_copy_is_pickled_as_it_is(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "results" / "sweep")
    assert uri_of(paths.folder) is None
    assert pickle.loads(pickle.dumps(paths)) == paths  # noqa: S301 - our own


def test_a_cache_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(InputError, match=r"^cannot make .*; XDG_CACHE_HOME names another place$"):
        working_copy("s3://bucket/results")


def test_a_cache_that_is_cleared_during_a_run_leaves_no_row_in_an_ordinary_folder(
    tmp_path: Path,
) -> None:
    folder = working_copy("s3://bucket/results")
    (tmp_path / "cache").rename(tmp_path / "gone")
    assert uri_of(folder) == "s3://bucket/results"


def received(copy: Path) -> Path:
    """Return results of another, in which a file says that they are a copy of a folder here."""
    folder = copies_folder().parents[1] / "received"
    folder.mkdir()
    value = {"root": "file:///elsewhere", "options": {}, "copy_id": "x"}
    (folder / COPY_OF).write_text(json.dumps(value), encoding="utf-8")
    assert copy.is_dir()
    return folder


def of_a_folder(copy: Path) -> Path:
    """Return a working copy of a folder, which is never made."""
    folder = copies_folder() / uris._copy_name("file:///elsewhere", {})
    received(copy).rename(folder)
    return folder


def with_a_link(copy: Path) -> Path:
    (copy / COPY_OF).rename(copy / "elsewhere")
    (copy / COPY_OF).symlink_to("elsewhere")
    return copy


@pytest.mark.parametrize(
    "make",
    [
        received,
        of_a_folder,
        with_a_link,
        lambda copy: shutil.copytree(copy, copies_folder().parent / copy.name),
        lambda copy: shutil.copytree(copy, copies_folder() / "backup"),
    ],
)
def test_what_working_copy_did_not_make_where_it_lies_is_an_ordinary_folder(
    make: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = working_copy("s3://bucket")
    monkeypatch.setattr(uris, "_shown", {})
    assert uri_of(copy / "results") == "s3://bucket/results"

    folder = make(copy)

    assert uri_of(folder / "results") is None


def test_what_another_user_put_into_the_cache_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = working_copy("s3://bucket")
    monkeypatch.setattr(uris, "_shown", {})
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    assert uri_of(copy / "results") is None
    with pytest.raises(InputError, match="is not this user's"):
        working_copy("s3://bucket/results")


def test_a_working_copy_is_one_by_whatever_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = working_copy("s3://bucket")
    (tmp_path / "link").symlink_to(copy)
    monkeypatch.chdir(copy)
    monkeypatch.setattr(uris, "_shown", {})

    assert uri_of(Path("results")) == uri_of(tmp_path / "link" / "results") == "s3://bucket/results"

"""Files elsewhere: whole or not at all, tried again, and never in more words than one line."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import get_args

import pyarrow.fs as pafs
import pytest

from nas_core.errors import InputError
from tests.s3 import S3, Fault, Kind
from topo_sweep.store import remote
from topo_sweep.store.remote import Remote, reason, remote_of
from topo_sweep.store.uris import Place, working_copy


@pytest.fixture
def folder(s3: S3) -> Path:
    return working_copy(s3.uri("results"))


@pytest.fixture
def place(folder: Path) -> Remote:
    found = remote_of(folder)
    assert found is not None
    return found


@pytest.fixture
def elsewhere(tmp_path: Path) -> Remote:
    """A file system that is no object store: a file that is being written can be seen there."""
    base, root = tmp_path / "elsewhere", tmp_path / "copy"
    base.mkdir()
    place = Place("hdfs://host:8020", {}, "", "id")
    return Remote(pafs.LocalFileSystem(), str(base), root, place)


def test_what_is_put_is_there_and_what_is_deleted_is_not(place: Remote, folder: Path) -> None:
    path = folder / "a" / "b"
    place.put(path, b"content")
    assert place.get(path) == b"content"
    assert place.listed(folder) == {folder / "a": None}
    assert place.listed(folder / "a") == {path: 7}
    place.delete(path)
    place.delete(path)
    with pytest.raises(FileNotFoundError):
        place.get(path)
    assert place.written_at(path) is None
    assert place.listed(folder / "none") == {}


@pytest.mark.parametrize("kind", ["500", "503", "drop", "lose"])
def test_what_fails_once_is_tried_again(s3: S3, place: Remote, folder: Path, kind: Kind) -> None:
    path = folder / "file"
    s3.proxy.faults += [Fault(kind, "PUT", "file"), Fault(kind, "GET", "file")]
    place.put(path, b"content")
    assert place.get(path) == b"content"
    assert len(s3.proxy.met) == 2


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    s3: S3, place: Remote, folder: Path
) -> None:
    """pyarrow has asked for its size by then, and would return no more bytes than that."""
    place.put(folder / "sweep.json", b"old")
    put = [b"newer, and longer"]

    class Opened:
        def __getattr__(self, name: str) -> object:
            return getattr(s3.direct, name)

        def open_input_stream(self, key: str) -> object:
            stream = s3.direct.open_input_stream(key)
            if put:
                place.put(folder / "sweep.json", put.pop())
            return stream

    other = Remote(Opened(), s3.bucket, folder.parent, place.place)
    assert other.get(folder / "sweep.json") == b"newer, and longer"


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up_and_asked_again(
    s3: S3, place: Remote, folder: Path
) -> None:
    s3.proxy.faults.append(Fault("hang", "PUT", "file"))
    place.put(folder / "file", b"content")
    assert s3.read("results/file") == b"content"


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind, method, step, count=100)
        for kind in get_args(Kind)[:3:2]
        for method, step in (("PUT", "partNumber=2"), ("POST", "uploadId="))
    ],
)
def test_a_large_file_that_fails_in_the_middle_leaves_nothing_to_be_seen(
    s3: S3, place: Remote, folder: Path, fault: Fault
) -> None:
    s3.proxy.faults.append(fault)
    with pytest.raises(OSError, match=r"INTERNAL_FAILURE|NETWORK"):
        place.put(folder / "large", bytes(12 * 2**20))
    assert s3.names() == []
    s3.proxy.faults.clear()
    place.put(folder / "large", bytes(12 * 2**20))
    assert len(s3.read("results/large")) == 12 * 2**20


def test_what_no_try_can_change_is_tried_once(s3: S3, place: Remote, folder: Path) -> None:
    s3.proxy.faults.append(Fault("403", "PUT", count=100))
    with pytest.raises(OSError, match="ACCESS_DENIED: try again") as refusal:
        place.put(folder / "file", b"content")
    assert refusal.value.filename == f"s3://{s3.bucket}/results/file"
    assert len(s3.proxy.met) == 1
    assert place.unsure == {folder / "file"}


def test_ctrl_c_ends_no_file_between_two_bytes(
    s3: S3, place: Remote, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.put(folder / "file", b"content")
    place.put(folder / "after", b"content")
    place.settle()
    assert s3.names("results")[0] == "after"
    assert all(s3.read(f"results/{name}") == b"content" for name in s3.names("results"))


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_not_there_is_not_an_empty_one() -> None:
    uri = "s3://no-such-bucket-of-ours"
    place = remote_of(working_copy(uri))
    assert place is not None
    with pytest.raises(InputError, match=f"there is no {uri}: make the bucket first"):
        place.check_root()


@pytest.mark.usefixtures("s3")
def test_an_endpoint_that_nobody_answers_at_is_one_line() -> None:
    folder = working_copy("s3://bucket/results?endpoint_override=127.0.0.1:1&scheme=http")
    place = remote_of(folder)
    assert place is not None
    with pytest.raises(
        OSError, match=r"NETWORK_CONNECTION: .*Could not connect to server"
    ) as error:
        place.put(folder / "file", b"content")
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("s3")
def test_a_file_system_that_pyarrow_does_not_know_is_refused() -> None:
    with pytest.raises(OSError, match="cannot be opened: Unrecognized filesystem type in URI"):
        remote_of(working_copy("nosuch://host/results"))


def test_where_files_are_seen_while_they_are_written_they_get_their_name_at_the_end(
    elsewhere: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PAUSE_SECONDS", 0.0)
    path = tmp_path / "copy" / "sweep" / "part"
    elsewhere.put(path, b"first")
    elsewhere.put(path, b"second")
    assert elsewhere.get(path) == b"second"

    def torn(_: Remote, key: str, content: bytes) -> None:
        Path(key).write_bytes(content[:2])
        raise OSError("the connection broke")

    monkeypatch.setattr(Remote, "_stream", torn)
    with pytest.raises(OSError, match="the connection broke"):
        elsewhere.put(path, b"third")
    assert elsewhere.get(path) == b"second"
    assert elsewhere.listed(path.parent) == {path: 6}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "For k: AWS Error NO_SUCH_BUCKET during PutObject operation: No such (Request ID: C1)",
            "NO_SUCH_BUCKET: No such",
        ),
        (
            "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7; Details: to x",
            "NETWORK_CONNECTION: curlCode: 7",
        ),
        ("Unable to load\nlibjvm", "Unable to load libjvm"),
        ("", "OSError"),
    ],
)
def test_what_is_wrong_is_said_in_a_few_words(said: str, expected: str) -> None:
    assert reason(OSError(said)) == expected

"""The download of CIFAR's originals, from a server on this machine."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import pickle
import shutil
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torchvision

from nas_core.data.splits import Dataset, load_dataset
from nas_core.errors import InputError
from tests.nas_core.data.cifar_files import TRAIN_BATCHES, write_cifar10_batches


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a small archive in the place of the original; the test may damage or remove it."""
    served = tmp_path / "served"
    write_cifar10_batches(served)
    path = served / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(served / "cifar-10-batches-py", "cifar-10-batches-py")
    handler = functools.partial(QuietHandler, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    source = torchvision.datasets.CIFAR10
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(source, "url", f"http://127.0.0.1:{server.server_port}/{path.name}")
    monkeypatch.setattr(source, "tgz_md5", digest)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    yield path
    server.shutdown()
    server.server_close()
    thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


# torchvision unpacks without a filter, of which Python 3.12 and 3.13 warn.
downloads = pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")


def fetched(directory: Path) -> Dataset:
    return load_dataset("cifar10", directory, download=True)


@downloads
def test_a_download_leaves_torchvisions_layout_and_nothing_half_unpacked(
    archive: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new" / "folder"

    dataset = fetched(target)

    assert dataset.layout == "torchvision layout (cifar-10-batches-py)"
    assert dataset.fingerprint == load_dataset("cifar10", archive.parent).fingerprint
    assert sorted(path.name for path in target.iterdir()) == ["cifar-10-batches-py", archive.name]


@downloads
def test_data_or_an_archive_that_are_there_are_used_without_the_network(
    archive: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    shutil.move(archive, target)  # so the server has nothing to give

    assert len(fetched(target).train) == 10
    (target / archive.name).unlink()
    assert len(fetched(target).train) == 10


@downloads
def test_a_download_completes_an_incomplete_folder(archive: Path, tmp_path: Path) -> None:
    assert archive.is_file()
    target = tmp_path / "target"
    write_cifar10_batches(target)
    (target / "cifar-10-batches-py" / "data_batch_5").unlink()

    assert len(fetched(target).train) == 10


def test_nothing_is_downloaded_unless_asked_for(archive: Path, tmp_path: Path) -> None:
    assert archive.is_file()
    target = tmp_path / "target"

    with pytest.raises(InputError, match="no cifar10 in "):
        load_dataset("cifar10", target)
    assert not target.exists()


@downloads
@pytest.mark.parametrize(
    "failure", ["no page", "another archive", "not an archive", "no server", "a file"]
)
def test_a_failed_download_is_one_line_and_leaves_no_data_set(
    failure: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = torchvision.datasets.CIFAR10
    target = tmp_path / "target"
    if failure == "no page":
        archive.unlink()
    elif failure == "another archive":
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(archive.parent / "cifar-10-batches-py", "cifar-10-batches-py")
            tar.add(Path(__file__), "more")
    elif failure == "not an archive":
        archive.write_bytes(b"")
        digest = hashlib.md5(b"", usedforsecurity=False).hexdigest()
        monkeypatch.setattr(source, "tgz_md5", digest)
    elif failure == "no server":
        monkeypatch.setattr(source, "url", "http://127.0.0.1:1/cifar-10-python.tar.gz")
    else:
        target.touch()

    with pytest.raises(
        InputError, match=r"^cannot download cifar10 from http://127\.0\.0\.1"
    ) as raised:
        fetched(target)
    assert "\n" not in str(raised.value)
    assert not (target / "cifar-10-batches-py").exists()


def test_a_download_unpickles_nothing_but_by_our_own_reader(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    hostile = pickle.dumps(Attack(), protocol=2)
    with tarfile.open(archive, "w:gz") as tar:
        for name in (*TRAIN_BATCHES, "test_batch", "batches.meta"):
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(hostile)
            tar.addfile(member, io.BytesIO(hostile))
    digest = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", digest)

    with pytest.raises(InputError, match="is not a batch of CIFAR images"):
        fetched(tmp_path / "target")
    assert not (tmp_path / "executed").exists()

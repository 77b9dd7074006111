from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import topo_sweep.store.manifest
from nas_core.errors import InputError
from nas_core.protocols.training import DataOptions, Protocol
from tests.topo_sweep.conftest import new_manifest, small_spec
from topo_sweep.spec.load import SweepSpec
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.store.manifest import (
    STORE_VERSION,
    Compiling,
    Packing,
    code_version,
    read_manifest,
)

SPECS: st.SearchStrategy[SweepSpec] = st.builds(
    small_spec,
    protocol=st.builds(Protocol, epochs=st.integers(1, 999), weight_decay=st.floats(0, 1)),
    data=st.builds(DataOptions, train_limit=st.none() | st.integers(1, 9)),
    topologies=st.sets(st.integers(0, 179), min_size=1).map(sorted),
    seeds=st.sets(st.integers(0, 99), min_size=1).map(sorted),
    reduction_topology=st.just("same") | st.integers(0, 179),
) | st.builds(
    GenotypeSweep,
    name=st.just("cells"),
    genotypes=st.sets(st.sampled_from(["DARTS_V1", "DARTS_V2", "PDARTS"]), min_size=1).map(list),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "sweep"
    folder.mkdir()
    return folder / "sweep.json"


def whole() -> dict[str, Any]:
    """Return the JSON value of a manifest with one request."""
    return new_manifest(small_spec()).with_request(small_spec()).model_dump(mode="json")


@settings(deadline=None, max_examples=20)
@given(requests=st.lists(SPECS, min_size=1, max_size=4))
def test_a_manifest_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, requests: list[SweepSpec]
) -> None:
    path = tmp_path_factory.getbasetemp() / "sweep.json"
    shared = {name: getattr(requests[0], name) for name in ("name", "protocol", "data")}
    requests = [spec.model_copy(update=shared) for spec in requests]
    manifest = new_manifest(requests[0])
    for spec in requests:
        manifest = manifest.with_request(spec)

    manifest.write(path)

    assert read_manifest(path) == manifest
    assert set(manifest.specs()) == set(requests)


@settings(deadline=None, max_examples=20)
@given(spec=SPECS)
def test_a_request_made_again_is_kept_once_also_after_reading(
    tmp_path_factory: pytest.TempPathFactory, spec: SweepSpec
) -> None:
    path = tmp_path_factory.getbasetemp() / "sweep.json"
    manifest = new_manifest(spec).with_request(spec)
    assert len(manifest.requests) == 1
    assert manifest.with_request(spec) == manifest

    manifest.write(path)

    assert read_manifest(path).with_request(spec) == manifest


def test_a_request_notes_versions_hardware_and_time() -> None:
    request = new_manifest(small_spec()).with_request(small_spec()).requests[0]

    assert request.requested_at.utcoffset() is not None
    assert request.python == platform.python_version()
    assert request.code_version.startswith("0.")
    assert {"torch", "ray", "numpy", "pandas", "pyarrow"} <= set(request.libraries)
    assert request.hardware["cores"] == os.cpu_count()


def test_a_request_that_asks_for_more_is_added_after_the_others() -> None:
    one, two = small_spec(seeds=0), small_spec(seeds=(0, 1))

    manifest = new_manifest(one).with_request(one).with_request(two).with_request(one)

    assert manifest.specs() == [one, two]


def test_a_store_of_the_first_version_opens_and_is_written_as_one_of_this(path: Path) -> None:
    later = {"sharing", "split_packs", "compiling", "packing", "packs"}
    value = {key: each for key, each in whole().items() if key not in later}
    path.write_text(json.dumps(value | {"store_version": 1}))

    manifest = read_manifest(path)
    manifest.write(path)

    assert len(manifest.requests) == 1
    assert read_manifest(path) == manifest
    assert json.loads(path.read_text())["store_version"] == STORE_VERSION == 2


def test_a_manifest_of_before_holds_no_counts_of_images(path: Path) -> None:
    value = whole()
    for key in ("train_images", "test_images"):
        del value[key]
    path.write_text(json.dumps(value))

    manifest = read_manifest(path)

    assert (manifest.train_images, manifest.test_images) == (None, None)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (Packing, {"asked", "size", "most", "device", "on_gpu", "threads", "measured"}),
        (
            Compiling,
            {"asked", "taken", "steps", "graphs", "device", "on_gpu", "threads", "measured"},
        ),
    ],
)
def test_what_was_decided_says_on_which_device_if_it_was_measured(
    kind: type[Packing | Compiling], keys: set[str]
) -> None:
    values = {"asked": "auto", "size": None, "taken": False}
    asked = {key: value for key, value in values.items() if key in keys}
    known = kind.model_validate(asked | {"device": "cpu", "on_gpu": False, "threads": 2})

    assert known.model_dump().keys() == keys
    assert known.is_of(on_gpu=False, threads=2)
    assert not known.is_of(on_gpu=True, threads=2)
    assert not known.is_of(on_gpu=False, threads=1)
    assert not kind.model_validate(asked).is_of(on_gpu=False, threads=1)


def test_a_newer_store_is_refused_with_the_advice_to_upgrade(path: Path) -> None:
    path.write_text(json.dumps({"store_version": STORE_VERSION + 1, "whatever": "it holds"}))

    with pytest.raises(InputError) as refusal:
        read_manifest(path)
    assert str(refusal.value) == (
        f"{path.parent} was made by a newer topo-sweep (store version {STORE_VERSION + 1}, "
        f"this one reads up to {STORE_VERSION}): upgrade topo-sweep"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
        b"[]",
        b"3",
        b'"store_version"',
        b"{}",
        b'{"store_version": null}',
        b'{"store_version": "1"}',
    ],
)
def test_a_file_that_is_no_manifest_is_named_in_one_line(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    check_refused(path, f"{path} ")
    with pytest.raises(InputError, match=f"`topo-sweep check {path.parent} --repair` move it asi"):
        read_manifest(path)


def test_a_folder_without_a_manifest_is_no_sweep(path: Path) -> None:
    check_refused(path, f"{path.parent} is no sweep: there is no sweep.json")


@pytest.mark.parametrize(
    ("change", "damaged_key"),
    [
        ({"sweep": 3}, "sweep"),
        ({"sweep": "../../outside"}, "sweep"),
        ({"sweep": ""}, "sweep"),
        ({"protocol": {"epochs": "many"}}, "protocol.epochs"),
        ({"protocol": {"epoch": 3}}, "protocol.epoch"),
        ({"data": None}, "data"),
        ({"requests": [{"spec": {}}]}, "requests.0."),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_damaged_value_is_named_in_one_line(
    path: Path, change: dict[str, Any], damaged_key: str
) -> None:
    path.write_text(json.dumps(whole() | change))

    check_refused(path, f"{path} is damaged: {damaged_key}")


@pytest.mark.parametrize("key", ["sweep", "kind", "protocol", "data", "fingerprint"])
def test_a_missing_key_is_named_in_one_line(path: Path, key: str) -> None:
    value = whole()
    del value[key]
    path.write_text(json.dumps(value))

    check_refused(path, f"{path} is damaged: {key}")


def test_a_request_for_a_sweep_of_another_name_is_refused(path: Path) -> None:
    path.write_text(json.dumps(whole() | {"sweep": "other"}))

    check_refused(path, f"{path} was changed by hand: it says other, protocol ")


def test_a_damaged_request_is_named_in_one_line(path: Path) -> None:
    value = whole()
    value["requests"][0]["spec"]["topologies"] = "0-999"
    path.write_text(json.dumps(value))

    with pytest.raises(InputError, match="topologies") as refusal:
        read_manifest(path).specs()
    assert "\n" not in str(refusal.value)


def check_refused(path: Path, start: str) -> None:
    with pytest.raises(InputError) as refusal:
        read_manifest(path)
    assert str(refusal.value).startswith(start)
    assert "\n" not in str(refusal.value)


def test_a_manifest_that_cannot_be_replaced_stays_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = new_manifest(small_spec())
    manifest.write(path)

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=os.strerror(28)):
        manifest.with_request(small_spec()).write(path)

    assert read_manifest(path) == manifest
    assert list(path.parent.iterdir()) == [path]


def test_a_manifest_holds_no_path_of_this_machine_and_no_environment_variable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOPO_SWEEP_TEST_TOKEN", "a-token-that-nobody-may-see")
    monkeypatch.chdir(path.parent)
    new_manifest(small_spec()).with_request(small_spec()).write(Path("sweep.json"))

    text = path.read_text()
    secrets = {"a-token-that-nobody-may-see", str(path.parent), str(Path.home()), sys.prefix}
    secrets |= {str(Path(topo_sweep.store.manifest.__file__).parent)}
    secrets |= {value for value in os.environ.values() if "/" in value and len(value) > 1}
    assert [secret for secret in secrets if secret in text] == []
    assert "TOPO_SWEEP_TEST_TOKEN" not in text


@pytest.fixture
def someones_project(tmp_path: Path) -> Path:
    """Return a git work tree with one commit, which is not ours."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    author = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    for command in (
        ["init", "--quiet"],
        [*author, "commit", "--quiet", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_the_commit_of_a_project_that_merely_contains_the_installation_is_not_ours(
    someones_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = someones_project / ".venv" / "site-packages" / "topo_sweep" / "manifest.py"
    installed.parent.mkdir(parents=True)
    installed.touch()
    monkeypatch.setattr(topo_sweep.store.manifest, "__file__", str(installed))

    assert "+" not in code_version.__wrapped__()


def test_a_manifest_that_is_a_pipe_or_a_link_is_refused(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe.json", tmp_path / "link.json"
    os.mkfifo(pipe)
    link.symlink_to(pipe)

    for path in (pipe, link):
        with pytest.raises(InputError, match="it is no regular file"):
            read_manifest(path)

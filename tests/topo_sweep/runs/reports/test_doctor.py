"""Each check of the doctor, told of machines that are well and of such that are not."""

from __future__ import annotations

import errno
import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from topo_sweep.runs.reports import doctor
from topo_sweep.runs.reports.doctor import (
    Finding,
    Gpus,
    cluster_findings,
    disk_finding,
    findings_there,
    folder_finding,
    gpus_finding,
    gpus_here,
    kernel_finding,
    machine_findings,
    node_finding,
    nodes_finding,
    open_finding,
    place_finding,
    ports_finding,
    step_finding,
    text,
    token_finding,
    versions_finding,
)
from topo_sweep.store.remote import Remote
from topo_sweep.store.uris import working_copy

VERSIONS = {"Python": "3.11", "ray": "2.60.0", "torch": "2.14.1", "topo-sweep": "0.1.0"}
NONE, MUCH = Finding("GPUs", "ok", "none"), Finding("disk", "ok", "9 GiB")
LITTLE = Finding("disk", "warn", "1 GiB", "make room")
LOST = Finding("CUDA", "fail", "lost", "start again")
H200 = ("NVIDIA H200", 139 * 2**30)


@pytest.fixture(autouse=True)
def _no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))


@pytest.mark.parametrize(
    ("finding", "level", "words"),
    [
        (versions_finding(VERSIONS), "ok", "Python 3.11, ray 2.60.0, torch 2.14.1, topo-sweep"),
        (versions_finding({**VERSIONS, "torch": "none"}), "fail", "install torch"),
        (gpus_finding(Gpus(None, None, [])), "ok", "none: networks train on CPUs"),
        (gpus_finding(Gpus(None, "12.8", [])), "ok", "none: networks train on CPUs"),
        (gpus_finding(Gpus("570.1", "12.8", [H200])), "ok", "NVIDIA H200 with 139 GiB; driver 570"),
        (gpus_finding(Gpus("570.1", None, [])), "fail", "install a PyTorch that is built for CUDA"),
        (gpus_finding(Gpus("470.1", "12.8", [])), "fail", "driver 470.1 has some, and PyTorch for"),
        (kernel_finding(0), "ok", "none"),
        (kernel_finding(1, device="cpu"), "ok", "kernels run on 1 GPU"),
        (open_finding(asks=True), "ok", "the cluster asks for a token"),
        (open_finding(asks=False), "warn", "anybody who reaches it can run any code as you"),
        (nodes_finding({"a": None, "b": None}), "ok", "2 nodes with the versions of this one"),
        (nodes_finding({"a": None, "b": "has torch 0.1"}), "fail", "b has torch 0.1: install"),
        (node_finding("a", TimeoutError("is silent")), "fail", "is silent: look at it there by"),
        (node_finding("a", ValueError("bad\nmore")), "fail", "bad: look at it there by `topo-s"),
        (node_finding("a", [MUCH, NONE]), "ok", "disk 9 GiB; GPUs none"),
        (node_finding("a", [LITTLE, NONE]), "warn", "disk 1 GiB; GPUs none: make room"),
        (node_finding("a", [LOST, LITTLE]), "fail", "CUDA lost; disk 1 GiB: start again; make r"),
        (ports_finding({}), "ok", "0 machines reached from here"),
    ],
)
def test_a_check_says_what_it_found_and_what_to_do(
    finding: Finding, level: str, words: str
) -> None:
    assert (finding.level, finding.advice == "") == (level, level == "ok")
    assert words in text([finding])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_kernel_that_does_not_run_is_a_failure() -> None:
    finding = kernel_finding(1)
    assert (finding.check, finding.level) == ("CUDA", "fail")
    assert finding.found.startswith("no kernel runs on GPU 0 (")


def test_the_driver_is_asked_and_may_not_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = SimpleNamespace(stdout="570.1\n570.1\n")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    device = SimpleNamespace(name=H200[0], total_memory=H200[1])
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: device)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    assert gpus_here() == Gpus("570.1", torch.version.cuda, [H200, H200])

    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", missing)
    assert gpus_here().driver is None


def test_a_step_of_training_is_timed_or_says_why_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = step_finding("cpu")
    assert finding.level == "ok"
    assert finding.found.endswith(" ms on the CPU, of the demo's network")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel image\nand more")

    monkeypatch.setattr(doctor, "time_steps", broken)
    failed = step_finding("cuda")
    assert (failed.level, failed.found) == ("fail", "no kernel image")


@pytest.mark.parametrize(("free", "level"), [(2**40, "ok"), (2**30, "warn"), (2**20, "fail")])
def test_little_room_is_a_warning_and_none_a_failure(
    free: int, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    results = tmp_path / "not" / "there"

    finding = disk_finding(results)

    assert finding.level == level
    assert finding.found.endswith(f" GiB free for {results}")
    assert not results.parent.exists()


def test_a_place_that_is_no_folder_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = disk_finding(tmp_path / "file" / "results")
    assert (finding.level, finding.found) == (
        "fail",
        f"nothing can be written to {tmp_path / 'file'}",
    )


def test_a_token_is_told_by_its_place_and_who_can_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token_finding().found.startswith("none yet")
    path = tmp_path / "token"
    path.write_text("5" * 64, encoding="ascii")
    path.chmod(0o640)
    assert token_finding() == Finding(
        "token", "warn", f"others can read {path}", f"chmod 600 {path}"
    )
    path.chmod(0o600)
    assert token_finding() == Finding("token", "ok", str(path))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "5" * 64)
    assert token_finding() == Finding("token", "ok", "RAY_AUTH_TOKEN")


def test_a_node_that_cannot_be_reached_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert ports_finding({"127.0.0.1": port}).level == "ok"
    finding = ports_finding({"127.0.0.1": port})
    assert (finding.level, finding.found) == ("fail", f"no way from here to 127.0.0.1:{port}")


def test_a_folder_that_not_all_see_is_a_warning(tmp_path: Path) -> None:
    asked: list[Path] = []

    def read(folder: Path) -> list[str]:
        asked.append(folder)
        return ["10.0.0.2 cannot read what 1 of 2 nodes wrote"] if len(asked) == 1 else []

    finding = folder_finding(tmp_path, read)
    assert (finding.level, "starts over" in finding.advice) == ("warn", True)
    assert folder_finding(tmp_path, read).level == "ok"
    assert folder_finding(tmp_path / "none", read).level == "warn"
    assert asked == [tmp_path, tmp_path]


def test_results_elsewhere_are_tried_out_and_need_no_folder_that_nodes_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    results = working_copy("mock://doctor/results")
    finding = place_finding(results)
    assert finding == Finding("results place", "ok", f"{results} can be written and read")
    assert f"free for the working copy of {results}" in disk_finding(results).found
    assert folder_finding(results, lambda _: ["unseen"]).level == "ok"

    def refused(*_: object) -> None:
        raise OSError(errno.EIO, "ACCESS_DENIED")

    monkeypatch.setattr(Remote, "put", refused)
    finding = place_finding(results)
    assert (finding.level, finding.found) == ("fail", f"{results}: ACCESS_DENIED")
    finding = place_finding(working_copy("nosuch://doctor/results"))
    assert (finding.level, "cannot be opened" in finding.found) == ("fail", True)


def test_a_cluster_that_cannot_be_joined_is_a_failure(tmp_path: Path) -> None:
    (finding,) = cluster_findings(tmp_path, "nowhere")
    assert (finding.check, finding.level) == ("cluster", "fail")
    assert finding.found == "a Ray address has the form HOST:PORT, got 'nowhere'"


def test_this_machine_gets_every_check_and_a_step_on_its_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[str] = []

    def step(device: str) -> Finding:
        devices.append(device)
        return Finding("training step", "ok", "")

    monkeypatch.setattr(doctor, "gpus_here", lambda: Gpus("570.1", "12.8", [H200]))
    monkeypatch.setattr(doctor, "kernel_finding", lambda count: Finding("CUDA", "ok", str(count)))
    monkeypatch.setattr(doctor, "step_finding", step)

    found = [finding.check for finding in machine_findings(tmp_path)]

    assert found == ["versions", "GPUs", "CUDA", "training step", "disk", "token"]
    assert devices == ["cuda"]


def test_a_node_looks_at_its_own_gpus_and_at_the_disk_of_a_folder_that_it_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "gpus_here", lambda: Gpus(None, "12.8", []))
    monkeypatch.setattr(doctor, "step_finding", lambda device: Finding("step", "ok", device))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    alone = findings_there(str(tmp_path / "none"), 0.0)
    assert [(each.check, each.level) for each in alone] == [
        ("GPUs", "ok"),
        ("CUDA", "ok"),
        ("step", "ok"),
    ]
    *_, lends, disk = findings_there(str(tmp_path), 1.0)
    assert (lends.check, lends.level) == ("CUDA", "fail")
    assert lends.found.startswith("lends GPUs to Ray, but PyTorch ")
    assert disk == disk_finding(tmp_path)

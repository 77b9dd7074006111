"""Two drivers on two machines, on one sweep in S3: who has the lease, who gets it, who loses it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nas_core.errors import InputError
from tests.s3 import S3, Fault
from tests.topo_sweep.conftest import Clock
from tests.topo_sweep.store.sites import site
from tests.topo_sweep.store.store_rows import append, trial_row
from topo_sweep.store import lease
from topo_sweep.store.buffered import BufferedWriter
from topo_sweep.store.files import copy, move, remove, unlink, write_by_worker, write_durably
from topo_sweep.store.lease import LeaseLostError
from topo_sweep.store.merge import merge_sweeps
from topo_sweep.store.merged_table import MergedTable
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.uris import working_copy

NewDriver = Callable[[str], ResultStore]


@pytest.fixture
def driver(s3: S3) -> NewDriver:
    def on(machine: str) -> ResultStore:
        s3.on_machine(machine)
        store = ResultStore(StorePaths(working_copy(s3.uri("results/sweep"))))
        store.create_folders()
        return store

    return on


@pytest.fixture
def dead(s3: S3, driver: NewDriver) -> ResultStore:
    """A driver that was killed: its lease is there, and nobody renews it."""
    store = driver("dead")
    value = {"owner": "dead", "process": 4321, "host": "gone", "copy_id": "of another machine"}
    with s3.direct.open_output_stream(f"{s3.bucket}/results/sweep/lease.json") as stream:
        stream.write(json.dumps(value).encode())
    return store


def taken_by(s3: S3, owner: str) -> None:
    """Let another driver have taken the lease over."""
    value = {"owner": owner, "process": 77, "host": "elsewhere", "copy_id": "of its own"}
    with s3.direct.open_output_stream(f"{s3.bucket}/results/sweep/lease.json") as stream:
        stream.write(json.dumps(value).encode())


def test_a_second_driver_is_told_process_host_and_age_of_the_first(driver: NewDriver) -> None:
    first, second = driver("first"), driver("second")
    with first.lock():
        assert second.is_locked
        with pytest.raises(InputError) as refusal, second.lock():
            pass
        said = f"in use by process {os.getpid()} on {socket.gethostname()}, last heard of "
        assert said in str(refusal.value)
        assert " s ago: wait for it or stop it" in str(refusal.value)
        append(first, [trial_row()])
    assert not second.is_locked
    with second.lock():
        assert len(second.trials()) == 1


@pytest.mark.usefixtures("dead")
def test_a_lease_leaves_nothing_but_itself_and_goes_with_its_driver(
    s3: S3, driver: NewDriver
) -> None:
    with pytest.raises(InputError, match="process 4321 on gone"), driver("next").lock():
        pass
    assert s3.names("results/sweep") == ["lease.json"]
    s3.direct.delete_file(f"{s3.bucket}/results/sweep/lease.json")
    with driver("next").lock():
        assert s3.names("results/sweep") == ["lease.json"]
    assert s3.names("results/sweep") == []


@pytest.mark.usefixtures("dead")
def test_a_lease_that_nobody_renews_is_taken_over(
    driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_LIFE_SECONDS", 0.0)
    with driver("next").lock():
        pass


@pytest.mark.usefixtures("dead")
def test_the_age_of_a_lease_is_told_by_the_clock_of_the_store_alone(
    driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    year = 365 * 24 * 3600.0
    monkeypatch.setattr(time, "time", lambda: 1.8e9 + year)
    with pytest.raises(InputError, match=r"last heard of \d s ago"), driver("next").lock():
        pass


def test_who_has_the_same_working_copy_on_the_same_machine_need_not_wait(
    s3: S3, driver: NewDriver
) -> None:
    killed = driver("one")
    copy_id = json.loads((working_copy(s3.uri()) / ".copy-of.json").read_text())["copy_id"]
    value = {"owner": "killed", "process": 4321, "host": "of a shared home", "copy_id": copy_id}
    with s3.direct.open_output_stream(f"{s3.bucket}/results/sweep/lease.json") as stream:
        stream.write(json.dumps(value).encode())
    with pytest.raises(InputError, match="process 4321 on of a shared home"), killed.lock():
        pass

    value["host"] = socket.gethostname()
    with s3.direct.open_output_stream(f"{s3.bucket}/results/sweep/lease.json") as stream:
        stream.write(json.dumps(value).encode())
    with killed.lock():
        assert killed.is_locked


def test_of_two_that_begin_at_the_same_moment_one_stays(
    s3: S3, driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(_seconds: float) -> None:
        taken_by(s3, "the other")

    said = "process 77 on elsewhere, who began"
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", overtaken)
        with pytest.raises(InputError, match=said), driver("one").lock():
            pass
    assert b"the other" in s3.read("results/sweep/lease.json")


def test_a_lease_is_renewed_and_shows_how_far_its_driver_is(
    s3: S3, driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_BEAT_SECONDS", 0.01)
    store = driver("one")
    with store.lock():
        store.paths.progress.write_text('{"running": 3}')
        deadline = time.monotonic() + 30
        while ".progress.json" not in s3.names("results/sweep") and time.monotonic() < deadline:
            time.sleep(0.01)
        beat = json.loads(s3.read("results/sweep/lease.json"))["beat"]
        assert s3.read("results/sweep/.progress.json") == b'{"running": 3}'
    assert beat > 1
    assert s3.names("results/sweep") == []


def test_a_driver_that_lost_its_lease_writes_nothing_more_and_leaves_the_lease(
    s3: S3, driver: NewDriver, clock: Clock
) -> None:
    store = driver("one")
    with store.lock():
        append(store, [trial_row("a")])
        taken_by(s3, "the other")
        clock.now += 31
        store = ResultStore(store.paths)  # a run opens it again
        with pytest.raises(LeaseLostError, match="taken over by process 77 on elsewhere"):
            append(store, [trial_row("b")])
    s3.on_machine("other")
    assert list(driver("other").trials()["trial_id"]) == ["a"]
    assert b"the other" in s3.read("results/sweep/lease.json")


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="it has no clock that sees sleep")
def test_a_driver_whose_machine_slept_looks_at_its_lease(
    s3: S3, driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = driver("one")
    with store.lock():
        taken_by(s3, "the other")
        slept = time.clock_gettime(time.CLOCK_BOOTTIME) + 31
        monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: slept}.get)
        with pytest.raises(LeaseLostError, match="taken over by process 77 on elsewhere"):
            append(store, [trial_row("a")])


@pytest.mark.parametrize(
    "change",
    [
        lambda paths, _: write_durably(paths.manifest, b"mine"),
        lambda _, part: unlink(part),
        lambda _, part: remove(part),
        lambda paths, part: move(part, paths.damaged / "trials" / part.name),
        lambda paths, part: copy(part, paths.damaged / "trials" / part.name),
    ],
    ids=["write", "unlink", "remove", "move", "copy"],
)
def test_a_driver_that_lost_its_lease_changes_no_file_of_any_kind(
    change: Callable[[StorePaths, Path], None], s3: S3, driver: NewDriver, clock: Clock
) -> None:
    store = driver("one")
    with store.lock():
        append(store, [trial_row("a")])
        (part,) = store.paths.trials.glob("part-*")
        taken_by(s3, "the other")
        there = s3.names("results/sweep")
        clock.now += 31
        with pytest.raises(LeaseLostError, match="taken over by process 77 on elsewhere"):
            change(store.paths, part)
    assert s3.names("results/sweep") == there
    assert part.exists()


def test_a_checkpoint_is_written_whoever_has_the_lease(
    s3: S3, driver: NewDriver, clock: Clock
) -> None:
    store = driver("one")
    with store.lock():
        taken_by(s3, "the other")
        clock.now += 31
        write_by_worker(store.paths.checkpoint("a"), b"state")
    assert s3.read("results/sweep/checkpoints/a.safetensors") == b"state"


def test_a_merge_that_loses_its_lease_halfway_makes_no_row_visible_and_no_sweep(
    s3: S3, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = site(tmp_path)
    out = working_copy(s3.uri("results")) / "sweep"
    monkeypatch.setattr(StorePaths, "of", lambda *_, **__: StorePaths(out))
    write_curves = MergedTable.write_curves

    def write_and_lose(self: MergedTable) -> None:
        write_curves(self)
        taken_by(s3, "the other")
        clock.now += 31

    monkeypatch.setattr(MergedTable, "write_curves", write_and_lose)

    with pytest.raises(LeaseLostError, match="taken over by process 77 on elsewhere"):
        merge_sweeps([sweep], out.parent)

    assert {name.partition("/")[0] for name in s3.names("results/sweep")} == {
        *("epochs", "lease.json")
    }


def test_a_driver_that_waits_for_its_trials_hears_that_it_lost(
    s3: S3, driver: NewDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_BEAT_SECONDS", 0.01)
    store = driver("one")
    writer = BufferedWriter(store)

    def waits() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            writer.tick()
            with contextlib.suppress(FileNotFoundError):
                s3.direct.delete_file(f"{s3.bucket}/results/sweep/lease.json")

    with store.lock(), pytest.raises(LeaseLostError, match="another run, which has ended"):
        waits()


def test_a_driver_that_was_cut_off_goes_on_where_nobody_took_its_place(
    s3: S3, driver: NewDriver, clock: Clock
) -> None:
    store = driver("one")
    with store.lock():
        clock.now += 3600
        s3.proxy.faults.append(Fault("403", count=1000))
        with pytest.raises(StoreError, match="cannot write to"):
            append(store, [trial_row("a")])
        s3.proxy.faults.clear()
        append(store, [trial_row("a")])
    assert list(driver("other").trials()["trial_id"]) == ["a"]


def test_a_lease_that_cannot_be_written_is_one_clear_line(s3: S3, driver: NewDriver) -> None:
    store = driver("one")
    s3.proxy.faults.append(Fault("403", "PUT", count=1000))
    with pytest.raises(InputError) as refusal, store.lock():
        pass
    assert "cannot write results to" in str(refusal.value)
    assert "ACCESS_DENIED" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_no_lease_of_ours_is_one_of_somebody(s3: S3, driver: NewDriver) -> None:
    with s3.direct.open_output_stream(f"{s3.bucket}/results/sweep/lease.json") as stream:
        stream.write(b"[1, 2")
    store = driver("one")
    with pytest.raises(InputError, match=r"in use by process \? on a machine"), store.lock():
        pass

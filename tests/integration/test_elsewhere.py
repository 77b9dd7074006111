"""Sweeps on S3 by the real commands: other machines see them, and no fault costs or doubles a row.

Another machine is another working copy.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import TINY, Start, comparable
from tests.integration.processes import children, kill, named, wait_until
from tests.program import done, program
from tests.s3 import ACCESS_KEY, S3, SECRET_KEY, Fault
from tests.topo_sweep.runs.interruptions import epochs_taken
from topo_sweep import load_curves, load_results
from topo_sweep.store import buffered, lease
from topo_sweep.store.uris import shown, working_copy

DEMO = ("run", "demo", *TINY, "--topologies", "0-3")
INLINE = ("--executor", "inline", "--checkpoint-seconds", "0")
EPOCHS = ("--epochs", "25")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The rows of `DEMO` by a run in an ordinary folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done(folder, *DEMO, *INLINE)
    return comparable(folder / "results")


def rows_of(s3: S3, machine: str) -> pd.DataFrame:
    """Return the rows that another machine sees, comparable ones."""
    s3.on_machine(machine)
    return comparable(working_copy(s3.uri("results")))


def rows_in_files(s3: S3) -> int:
    """Count the rows of trainings as they lie in the bucket, repeated ones too."""
    import pyarrow.parquet as pq

    parts = [name for name in s3.names() if "/trials/part-" in name]
    return sum(
        pq.read_metadata(f"{s3.bucket}/{name}", filesystem=s3.direct).num_rows for name in parts
    )


def test_a_sweep_on_s3_is_run_resumed_and_read_by_any_machine(
    s3: S3, tmp_path: Path, undisturbed: pd.DataFrame
) -> None:
    results = s3.uri("results")
    ended = done(tmp_path, *DEMO[:-1], "0-1", *INLINE, "--results", results)
    sweep = s3.names("results")[0].partition("/")[0]
    assert f"done: 2 of 2 trials are kept in {results}/{sweep}" in ended.errors

    s3.on_machine("other")
    assert "2/2" in done(tmp_path, "list", results).output
    assert f"sweep: {results}/{sweep}" in done(tmp_path, "rank", results).errors
    status = done(tmp_path, "status", f"{results}/{sweep}", "--format", "json")
    assert json.loads(status.output)["ok"] == 2
    assert "none damaged" in done(tmp_path, "check", results).output
    done(tmp_path, *DEMO, *INLINE, "--results", results)

    s3.on_machine("a third")
    ended = done(tmp_path, *DEMO, *INLINE, "--results", results)
    assert f"nothing to do: all 4 trials are in {results}/{sweep}" in ended.errors
    pd.testing.assert_frame_equal(rows_of(s3, "a fourth"), undisturbed, check_exact=True)
    assert len(load_curves(results)) == 8
    assert rows_in_files(s3) == 4
    assert not (tmp_path / "results").exists()
    assert {name.partition("/")[0] for name in s3.names(f"results/{sweep}")} == {
        *("epochs", "trials", "sweep.json")
    }


@pytest.mark.long
def test_commands_take_a_sweep_on_s3_and_put_what_they_make_beside_it(
    s3: S3, tmp_path: Path
) -> None:
    results = s3.uri("results")
    done(tmp_path, *DEMO, *INLINE, "--results", results)
    s3.on_machine("other")
    ended = done(tmp_path, "plot", "surface", results)
    picture = ended.output.strip()
    assert picture.startswith(results)
    assert picture.endswith("/figures/surface.png")
    assert s3.read(picture.removeprefix(f"s3://{s3.bucket}/")).startswith(b"\x89PNG")

    promote = ("promote", results, "--top", "1", *INLINE)
    ended = done(tmp_path, *promote)
    assert f"results: {results}/" in ended.errors
    ended = done(tmp_path, "evaluate", results, "--protocol", "demo", *TINY, *INLINE)
    assert f"results: {results}/evaluate-digits-" in ended.errors
    done(tmp_path, "protocol", "show", results)
    done(tmp_path, "plot", "cell", results, "-o", "cell.png")

    local = tmp_path / "results"
    done(tmp_path, *DEMO[:-1], "3-5", *INLINE)
    done(tmp_path, "merge", str(local), "-o", results)
    s3.on_machine("a third")
    counts = {len(load_results(f"{results}/{path}")) for path in s3_sweeps(s3, "demo-digits")}
    assert counts == {6}
    assert not list(tmp_path.glob("s3:*"))


def s3_sweeps(s3: S3, name: str) -> set[str]:
    return {path.partition("/")[0] for path in s3.names("results") if path.startswith(name)}


@pytest.mark.slow
def test_what_check_moves_aside_is_moved_in_the_bucket(s3: S3, tmp_path: Path) -> None:
    results = s3.uri("results")
    done(tmp_path, *DEMO, *INLINE, "--results", results)
    (part,) = (name for name in s3.names() if "/trials/part-" in name)
    with s3.direct.open_output_stream(f"{s3.bucket}/{part}") as stream:
        stream.write(b"not what was written")

    assert program(tmp_path, "check", results).code == 1
    done(tmp_path, "check", results, "--repair")
    assert part not in s3.names()
    assert part.replace("/trials/", "/damaged/trials/") in s3.names()
    s3.on_machine("other")
    ended = done(tmp_path, *DEMO, *INLINE, "--results", results)
    assert "done: 4 of 4" in ended.errors


@pytest.fixture
def unreliable(s3: S3) -> Iterator[S3]:
    """Let every few requests fail, in turn by each kind of fault that passes."""
    kinds = ("500", "lose", "503", "drop")
    fault_of, count = s3.proxy.fault_of, iter(range(10**9))

    def every_fifth(method: str, path: str) -> object:
        number = next(count)
        if number % 5 == 4:
            s3.proxy.faults.append(Fault(kinds[number // 5 % len(kinds)]))  # type: ignore[arg-type]
        return fault_of(method, path)

    s3.proxy.fault_of = every_fifth  # type: ignore[method-assign, assignment]
    yield s3
    s3.proxy.fault_of = fault_of  # type: ignore[method-assign]


@pytest.mark.slow
def test_a_run_whose_every_fifth_request_fails_loses_and_doubles_nothing(
    unreliable: S3, tmp_path: Path, undisturbed: pd.DataFrame
) -> None:
    results = unreliable.uri("results")
    ended = done(tmp_path, *DEMO, *INLINE, "--results", results)
    assert "done: 4 of 4" in ended.errors
    assert len(unreliable.proxy.met) > 10
    pd.testing.assert_frame_equal(rows_of(unreliable, "other"), undisturbed, check_exact=True)
    assert rows_in_files(unreliable) == 4


@pytest.mark.slow
def test_an_outage_during_a_run_costs_no_row(
    s3: S3,
    tmp_path: Path,
    undisturbed: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(buffered, "_AGAIN_SECONDS", 0.1)
    fault_of = s3.proxy.fault_of

    def fault_in_outage(method: str, path: str) -> object:
        """The first rows come through, then nothing does until others have failed a few times."""
        kind = fault_of(method, path)
        if method == "PUT" and "/trials/part-" in path and kind is None:
            s3.proxy.faults.append(Fault("503", count=10**9))
        if sum("/part-" in met for met in s3.proxy.met) >= 8:
            s3.proxy.faults.clear()
        return kind

    with monkeypatch.context() as patch:
        patch.setattr(s3.proxy, "fault_of", fault_in_outage)
        done(tmp_path, *DEMO, *INLINE, "--results", s3.uri("results"))
    assert f"cannot write to {s3.uri('results')}" in shown(caplog.text)
    assert "can be written again, no row is lost" in caplog.text
    pd.testing.assert_frame_equal(rows_of(s3, "other"), undisturbed, check_exact=True)
    assert rows_in_files(s3) == 4


@pytest.mark.long
def test_a_killed_run_goes_on_where_its_machine_has_its_place_and_not_at_once_elsewhere(
    s3: S3, start: Start, tmp_path: Path, undisturbed: pd.DataFrame
) -> None:
    request = (*DEMO, *INLINE, "--results", s3.uri("results"))
    process = start(*request)
    wait_until(lambda: any("/trials/part-" in name for name in s3.names()), process)
    kill(process.pid, *named("topo_sweep", children(process.pid)))
    process.communicate()
    assert any(name.endswith("/lease.json") for name in s3.names())

    here = os.environ["XDG_CACHE_HOME"]
    s3.on_machine("other")
    ended = program(tmp_path, *request)
    assert ended.code == 2
    assert "is in use by process" in ended.errors.splitlines()[-1]
    assert len(ended.errors.splitlines()) == 1
    os.environ["XDG_CACHE_HOME"] = here
    assert "done: 4 of 4" in done(tmp_path, *request).errors
    pd.testing.assert_frame_equal(rows_of(s3, "a third"), undisturbed, check_exact=True)
    assert rows_in_files(s3) == 4


def test_a_stopped_run_goes_on_from_its_checkpoints_on_another_machine(
    s3: S3, tmp_path: Path, undisturbed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = (*DEMO, *INLINE, "--results", s3.uri("results"))
    with monkeypatch.context() as patch:
        epochs_taken(patch, interrupt_after=5)
        ended = program(tmp_path, *request)
    assert ended.code == 130
    assert "goes on from epoch 2" in ended.errors
    assert any("/checkpoints/" in name for name in s3.names())
    assert not any(name.endswith("/lease.json") for name in s3.names())

    s3.on_machine("other")
    taken = epochs_taken(monkeypatch)
    done(tmp_path, *request)
    assert len(taken) == 8 - 5
    pd.testing.assert_frame_equal(rows_of(s3, "a third"), undisturbed, check_exact=True)
    assert not any("/checkpoints/" in name for name in s3.names())


@pytest.mark.long
def test_a_run_on_ray_whose_place_another_driver_took_ends_in_one_line_and_goes_on_there(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_BEAT_SECONDS", 0.1)
    monkeypatch.setenv("RAY_enable_worker_prestart", "0")
    training = (*DEMO[:-1], "0", *EPOCHS, "--checkpoint-seconds", "0")
    request = (*training, "--results", s3.uri("results"))
    has_ended = threading.Event()

    def other_driver() -> None:
        while not any("/checkpoints/" in name for name in s3.names()):
            if has_ended.wait(0.02):
                return
        (path,) = (name for name in s3.names() if name.endswith("/lease.json"))
        while not has_ended.wait(0.05):
            with s3.direct.open_output_stream(f"{s3.bucket}/{path}") as stream:
                stream.write(b'{"owner": "other", "process": 77, "host": "elsewhere"}')

    other = threading.Thread(target=other_driver, daemon=True)
    other.start()
    ended = program(tmp_path, *request)
    has_ended.set()
    other.join()
    assert ended.code == 1, ended.errors
    said = ended.errors.splitlines()[-1]
    assert said.startswith(f"topo-sweep: {s3.uri('results')}/demo-digits-"), ended.errors
    assert "was taken over by process 77 on elsewhere" in said
    (path,) = (name for name in s3.names() if name.endswith("/lease.json"))
    assert b"other" in s3.read(path)

    s3.direct.delete_file(f"{s3.bucket}/{path}")
    s3.on_machine("other")
    taken = epochs_taken(monkeypatch)
    done(tmp_path, *request, "--executor", "inline")
    assert 0 < len(taken) < int(EPOCHS[1])
    done(tmp_path, *training, "--executor", "inline")
    local = comparable(tmp_path / "results")
    pd.testing.assert_frame_equal(rows_of(s3, "a third"), local, check_exact=True)


@pytest.mark.slow
def test_a_run_whose_place_another_driver_took_while_it_measured_leaves_sweep_json_to_that_one(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_LIFE_SECONDS", 0.0)  # each write looks at it

    def measures(*_: object, **__: object) -> tuple[None, str]:
        (path,) = (name for name in s3.names() if name.endswith("/lease.json"))
        for name in (path, path.replace("lease", "sweep")):
            with s3.direct.open_output_stream(f"{s3.bucket}/{name}") as stream:
                stream.write(b'{"owner": "other", "process": 77, "host": "elsewhere"}')
        return None, ""

    monkeypatch.setattr("topo_sweep.runs.sweep.settled_compiling", measures)
    ended = program(tmp_path, *DEMO, *INLINE, "--results", s3.uri("results"))

    assert ended.code == 1
    assert "was taken over by process 77 on elsewhere" in ended.errors.splitlines()[-1]
    (path,) = (name for name in s3.names() if name.endswith("/sweep.json"))
    assert b"other" in s3.read(path)


def test_credentials_are_in_no_file_no_object_and_no_message(s3: S3, tmp_path: Path) -> None:
    results = s3.uri("results")
    ended = [
        done(tmp_path, *DEMO, *INLINE, "--results", results),
        program(tmp_path, "run", "demo", "--results", f"s3://{ACCESS_KEY}:{SECRET_KEY}@b/x"),
        program(tmp_path, "rank", f"s3://b/x?access_key={ACCESS_KEY}&secret_key={SECRET_KEY}"),
    ]
    s3.proxy.faults.append(Fault("403", count=10**9))
    ended.append(program(tmp_path, "rank", results))
    s3.proxy.faults.clear()
    done(tmp_path, "rank", results)
    said = " ".join(each.output + each.errors for each in ended)
    written = b" ".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    written += b" ".join(s3.read(name) for name in s3.names())
    assert "holds a credential" in said
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert secret not in said
        assert secret.encode() not in written


@pytest.mark.parametrize(
    ("place", "fault", "said"),
    [
        ("s3://no-such-bucket-of-ours/x", None, "there is no s3://no-such-bucket-of-ours: make"),
        ("s3://AKID:secret@bucket/x", None, "this s3:// URI, or the endpoint, holds a cred"),
        ("s3://bucket/x?endpoint_override=127.0.0.1:1&scheme=http", None, "NETWORK_CONNECTION"),
        ("nosuch://bucket/x", None, "cannot be opened: Unrecognized filesystem type"),
        ("results", Fault("403", count=10**9), "ACCESS_DENIED"),
        ("results", Fault("403", "PUT", count=10**9), "cannot write results to s3://"),
    ],
)
def test_a_place_that_cannot_be_reached_is_one_clear_line_before_any_work(
    s3: S3, tmp_path: Path, place: str, fault: Fault | None, said: str
) -> None:
    uri = place if "://" in place else s3.uri(place)
    s3.proxy.faults += [fault] if fault else []
    for command in ((*DEMO, *INLINE, "--results", uri), ("rank", uri)):
        if command[0] == "rank" and fault and fault.method:
            continue
        ended = program(tmp_path, *command)
        assert ended.code in (1, 2)
        assert ended.output == ""
        (line,) = ended.errors.splitlines()
        assert line.startswith("topo-sweep: ")
        assert said in line

from __future__ import annotations

import io
import itertools
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.training.epochs import Steps
from tests.disk import full_disk
from tests.topo_sweep.conftest import Clock
from topo_sweep.runs import progress as progress_module
from topo_sweep.runs.progress import Progress, reported


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal of 100 columns whatever this process runs in."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def of_trainings(epochs: int, planned: int, *trial_ids: str, **values: Any) -> Progress:
    """Return the progress of trainings of so many epochs and 100 images, some of them named."""
    names = [*trial_ids, *(f"other {number}" for number in range(planned - len(trial_ids)))]
    ended = sum(values.get(status, 0) for status in ("ok", "diverged", "failed"))
    work = dict.fromkeys(names[: planned - ended], ("trials", epochs))
    settings: dict[str, Any] = {"planned": planned, "images": 100, "work": work}
    return Progress(**(settings | values))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited for ten seconds"
        time.sleep(0.002)


# Numbers


def test_numbers_before_the_first_epoch_are_unknown(clock: Clock) -> None:
    progress = Progress(planned=3, images=100)
    assert progress.line() == "0/3 done · 0 running"
    progress.waits_for_machines = True
    assert progress.line() == "0/3 done · 0 running · waits for machines"
    progress.waits_for_machines = False

    progress.start("a")
    clock.now += 10

    assert progress.images_per_second is None
    assert progress.seconds_left is None
    assert progress.line() == "0/3 done · 1 running"


def test_speed_and_time_left_follow_from_the_epochs_trained_so_far(clock: Clock) -> None:
    progress = of_trainings(5, 10, "a", "b", ok=2, diverged=1, failed=1)
    progress.start("a")
    progress.start("b")
    clock.now += 10
    progress.epoch("a", 1, seconds=10.0)
    progress.epoch("b", 1, seconds=10.0)

    # 2 epochs of 100 images in 10 s; 6 trials of 5 epochs are left, less the 2 that are done.
    assert progress.images_per_second == 20
    assert progress.seconds_left == 4 * 10 + 2 * 50

    progress.end("a", "diverged")
    assert (progress.done, progress.left, progress.running) == (4, 5, {"b": 1})
    assert progress.seconds_left == 4 * 10 + 2 * 50, "one worker has three others before it"

    clock.now += 10
    progress.epoch("b", 2, seconds=10.0)
    assert progress.images_per_second == 15
    assert progress.seconds_left == 3 * 10 + 2 * 50


@pytest.mark.parametrize(("took", "stands_for"), [(0.004, 0.0), (0.2, 10.0)])
def test_an_estimate_that_takes_long_stands_for_a_while(
    took: float, stands_for: float, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = itertools.count(step=took)
    monkeypatch.setattr(time, "thread_time", lambda: next(times))
    progress = of_trainings(5, 10, "a")
    progress.start("a")
    clock.now += 10
    progress.epoch("a", 1, seconds=10.0)
    before = progress.seconds_left

    progress.end("a", "ok")
    clock.now += 0.9 * stands_for
    assert (progress.seconds_left == before) == (stands_for > 0)
    clock.now += 0.1 * stands_for
    assert progress.seconds_left == 9 * 50


@pytest.mark.parametrize("announced", [3, 0])
def test_epochs_of_an_earlier_run_are_neither_left_nor_trained_now(
    clock: Clock, announced: int
) -> None:
    progress = of_trainings(5, 1, "resumed")
    progress.start("resumed", announced)
    clock.now += 10

    progress.epoch("resumed", 4, seconds=10.0)

    assert progress.images_per_second == 10
    assert progress.seconds_left == 1 * 10


def test_time_before_the_first_trial_does_not_count(clock: Clock) -> None:
    progress = of_trainings(2, 1, "a")
    clock.now += 1000
    progress.start("a")
    clock.now += 4

    progress.epoch("a", 1, seconds=4.0)

    assert progress.images_per_second == 25


@given(endings=st.lists(st.sampled_from(["ok", "diverged", "failed"]), max_size=20))
def test_each_trial_is_counted_once_as_it_ended(endings: list[str]) -> None:
    progress = Progress(planned=20)
    for number, status in enumerate(endings):
        progress.start(str(number))
        assert str(number) in progress.running
        progress.end(str(number), status)

    counts = {"ok": progress.ok, "diverged": progress.diverged, "failed": progress.failed}
    assert counts == {status: endings.count(status) for status in counts}
    assert progress.done == progress.ok + progress.diverged
    assert progress.planned == progress.done + progress.failed + progress.left
    assert progress.running == {}


def test_the_line_says_everything_that_is_known(clock: Clock) -> None:
    progress = of_trainings(5, 1200, "a", ok=2, diverged=1, failed=3, images=50_000)
    progress.start("a")
    clock.now += 2
    progress.epoch("a", 1, seconds=2.0)
    progress.best = (0.92344, "topology 17")
    progress.metric = "val"

    # 1194 trials of 5 epochs less 1, at 2 s each: 11,938 s, within a quarter after one epoch.
    assert progress.line() == (
        "3/1200 done · 1 running, 1 of 5 epochs · 1 diverged · 3 failed · 25,000 images/s · "
        "3 h 18 min (2 h 29 min to 4 h 08 min) left · "
        "best val 92.34% (topology 17)"
    )


def test_the_epochs_of_one_trial_are_told_but_not_those_of_many() -> None:
    progress = of_trainings(5, 3, "a", "b")
    progress.start("a", epochs_done=2)  # by its checkpoint
    assert progress.line() == "0/3 done · 1 running, 2 of 5 epochs"

    progress.start("b")

    assert progress.line() == "0/3 done · 2 running"


def test_a_search_has_epochs_of_its_own() -> None:
    progress = Progress(planned=2, work={"s": ("searches", 50), "t": ("trials", 5)})
    progress.epoch("s", 24, seconds=1.0)
    assert "1 running, 24 of 50 epochs" in progress.line()


# The file for `topo-sweep status`


def test_what_is_published_are_the_numbers_of_now(tmp_path: Path, clock: Clock) -> None:
    progress = of_trainings(2, 2, "a")
    path = tmp_path / "progress.json"
    progress.publish(path)
    unknown = {"running": 0, "images_per_second": None, "seconds_left": None}
    assert json.loads(path.read_text()) == unknown | {"from_first_steps": False}

    progress.start("a")
    clock.now += 2
    progress.steps("a", Steps(share=0.5, epoch_seconds=4.0))
    progress.publish(path)
    guessed = {"running": 1, "images_per_second": None, "seconds_left": 14}
    assert json.loads(path.read_text()) == guessed | {"from_first_steps": True}

    clock.now += 3
    progress.epoch("a", 1, seconds=5.0)
    progress.publish(path)
    known = {"running": 1, "images_per_second": 20, "seconds_left": 15}
    assert json.loads(path.read_text()) == known | {"from_first_steps": False}


def test_a_reader_never_sees_half_of_what_is_published(tmp_path: Path) -> None:
    progress = Progress(planned=1)
    path = tmp_path / "progress.json"
    progress.publish(path)

    def publish_often() -> None:
        for _ in range(60):
            progress.publish(path)

    writer = threading.Thread(target=publish_often)
    writer.start()
    while writer.is_alive():
        assert json.loads(path.read_text())["running"] == 0
    writer.join()

    assert list(tmp_path.iterdir()) == [path]


def test_failing_to_publish_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress(planned=1)
    progress.publish(tmp_path / "missing" / "progress.json")
    progress.publish(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    progress.publish(tmp_path / "progress.json")

    assert list(tmp_path.iterdir()) == []


# On the screen


def test_the_file_is_there_exactly_while_a_run_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    with reported(Progress(planned=1), path, io.StringIO()):
        assert json.loads(path.read_text())["running"] == 0
    assert list(tmp_path.iterdir()) == []


def test_where_the_file_cannot_be_removed_a_run_ends_as_it_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        with reported(Progress(planned=1), tmp_path / "progress.json", io.StringIO()):
            monkeypatch.setattr(Path, "unlink", full_disk)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_what_a_killed_run_published_is_gone_as_soon_as_the_next_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    path.write_text('{"running": 7, "images_per_second": 1, "seconds_left": 1}')

    with reported(Progress(planned=1), path, io.StringIO()):
        assert json.loads(path.read_text())["running"] == 0


def test_the_file_is_renewed_while_a_run_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_PUBLISH_SECONDS", 0.005)
    path = tmp_path / "progress.json"
    progress = Progress(planned=1)
    with reported(progress, path, io.StringIO()):
        progress.start("a")
        wait_until(lambda: json.loads(path.read_text())["running"] == 1)


def test_a_stream_that_is_no_terminal_gets_plain_lines_and_the_last_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_PLAIN_SECONDS", 0.005)
    stream = io.StringIO()
    progress = Progress(planned=2)
    with reported(progress, tmp_path / "progress.json", stream):
        wait_until(lambda: stream.getvalue().count("\n") >= 3)
        progress.start("a")
        progress.end("a", "ok")

    lines = stream.getvalue().splitlines()
    assert lines[0] == "0/2 done · 0 running"
    assert lines[-1] == "1/2 done · 0 running"
    assert stream.getvalue().endswith("\n")
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_a_short_run_gets_one_plain_line(tmp_path: Path) -> None:
    stream = io.StringIO()
    with reported(Progress(planned=2), tmp_path / "progress.json", stream):
        pass
    assert stream.getvalue() == "0/2 done · 0 running\n"


def interrupted(progress: Progress) -> None:
    progress.end("a", "failed")
    raise KeyboardInterrupt


def test_the_last_state_is_shown_also_where_a_run_breaks_off(tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = Progress(planned=2)
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt), reported(progress, tmp_path / "progress.json", stream):
        interrupted(progress)
    assert stream.getvalue() == "0/2 done · 0 running · 1 failed\n"
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads


def test_progress_goes_to_stderr_unless_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reported(Progress(planned=2), tmp_path / "progress.json"):
        pass
    assert capsys.readouterr() == ("", "0/2 done · 0 running\n")


def test_a_terminal_gets_one_live_line_that_ends_with_the_last_state(
    tmp_path: Path, terminal: Terminal
) -> None:
    progress = Progress(planned=2)
    with reported(progress, tmp_path / "progress.json", terminal):
        wait_until(lambda: "0/2 done · 0 running" in terminal.getvalue())
        progress.end("a", "ok")

    text = terminal.getvalue()
    assert text.rindex("1/2 done · 0 running") > text.rindex("0/2 done · 0 running")
    assert "\x1b[2K" in text  # the line is wiped and written again
    assert text.count("\n") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is shown again


def test_a_live_line_stays_one_line_in_a_narrow_terminal(
    tmp_path: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "16")
    with reported(Progress(planned=2, failed=1), tmp_path / "progress.json", terminal):
        pass
    text = terminal.getvalue()
    assert text.count("\n") == 1
    assert "0/2 done" in text
    assert "failed" not in text

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from topo_sweep.runs.interrupts import Interrupts

EACH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@EACH
def test_a_signal_raises_at_the_next_safe_point_and_not_before(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with interrupts.caught():
        interrupts.check()
        signal.raise_signal(number)  # would end the test if it raised here
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


@EACH
def test_a_signal_raises_at_once_where_that_does_no_harm(number: signal.Signals) -> None:
    interrupts = Interrupts()
    reached = []

    def work() -> None:
        reached.append("before")
        signal.raise_signal(number)
        reached.append("after")

    with interrupts.caught(), pytest.raises(KeyboardInterrupt), interrupts.immediate():
        work()
    assert reached == ["before"]


def test_a_hang_up_that_nohup_ignores_is_not_heard() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupts = Interrupts()
        with interrupts.caught(), interrupts.immediate():
            signal.raise_signal(signal.SIGHUP)
            interrupts.check()
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_interrupts_a_wait() -> None:
    interrupts = Interrupts()
    started = time.monotonic()
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    with interrupts.caught():
        timer.start()
        with pytest.raises(KeyboardInterrupt), interrupts.immediate():
            time.sleep(30)
    timer.join()
    assert time.monotonic() - started < 20


def test_a_signal_that_came_before_is_not_forgotten() -> None:
    interrupts = Interrupts()
    reached = []
    with interrupts.caught():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), interrupts.immediate():
            reached.append("inside")
    assert reached == []


class SignalledAfterCheck(Interrupts):
    """A signal arrives right after the first check."""

    checked = False

    def check(self) -> None:
        super().check()
        if not self.checked:
            self.checked = True
            signal.raise_signal(signal.SIGINT)


def test_a_signal_on_the_way_into_an_immediate_block_is_not_forgotten() -> None:
    interrupts = SignalledAfterCheck()
    reached = []
    with interrupts.caught(), pytest.raises(KeyboardInterrupt), interrupts.immediate():
        reached.append("inside")
    assert reached == []


def test_after_an_immediate_block_signals_wait_again() -> None:
    interrupts = Interrupts()
    with interrupts.caught():
        with interrupts.immediate():
            pass
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


@EACH
def test_handlers_are_restored_however_the_block_ends(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupts().caught():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before

    with pytest.raises(ZeroDivisionError), Interrupts().caught():
        raise ZeroDivisionError
    assert signal.getsignal(number) == before


def test_outside_the_main_thread_nothing_is_caught_and_nothing_fails() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def run() -> None:
        interrupts = Interrupts()
        with interrupts.caught(), interrupts.immediate():
            interrupts.check()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


@EACH
@pytest.mark.parametrize("second_is_immediate", [False, True])
def test_a_second_signal_ends_the_process_at_once(
    number: signal.Signals, second_is_immediate: bool
) -> None:
    script = f"""
import contextlib, signal, time
from topo_sweep.runs.interrupts import Interrupts

interrupts = Interrupts()
with interrupts.caught():
    try:
        signal.raise_signal({number.value})
        signal.raise_signal({signal.SIGTERM.value})  # sent to all processes of a run
        print("first", flush=True)
        time.sleep(0.6)
        with contextlib.suppress(KeyboardInterrupt):
            interrupts.check()
        interrupts._immediate = {second_is_immediate}
        signal.raise_signal({number.value})
    finally:
        print("never", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.returncode == -number
    assert done.stdout == "first\n"
    assert done.stderr == ""

"""Sides are measured in turn, after one run of each that does not count."""

from __future__ import annotations

import time

import pytest

from topo_sweep.bench.turns import in_turn, ratio, seconds_text, sides_table, spread, timed


def test_sides_alternate_and_their_first_run_does_not_count() -> None:
    calls: list[str] = []
    told: list[str] = []

    def side(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    seconds = in_turn({"a": lambda: side("a"), "b": lambda: side("b")}, 2, told.append)

    assert calls == ["a", "b"] * 3
    assert seconds == {"a": [3.0, 5.0], "b": [4.0, 6.0]}
    assert told[-1] == "turn 2 of 2"


def test_work_is_timed_from_its_start_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [10.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def work() -> None:
        clock[0] += 2.5

    assert timed(work) == 2.5


def test_a_ratio_is_the_median_over_turns_and_a_spread_has_its_ends() -> None:
    assert ratio([2.0, 4.0, 60.0], [1.0, 1.0, 20.0]) == 3.0
    assert spread([3.0, 1.0, 2.0]) == {
        "seconds": 2.0,
        "least_seconds": 1.0,
        "greatest_seconds": 3.0,
    }


@pytest.mark.parametrize(
    ("value", "text"), [(0.012, "0.0120"), (1.234, "1.23"), (45.67, "45.7"), (123.4, "123")]
)
def test_seconds_have_three_digits_that_count(value: float, text: str) -> None:
    assert seconds_text(value) == text


def test_a_table_of_sides_shows_their_spread_and_what_else_is_asked_for() -> None:
    side = {"side": "a", **spread([0.012, 2.0, 123.4]), "share": 0.5}

    assert sides_table("step of", [side]).splitlines() == [
        "step of     s   least  greatest",
        "a        2.00  0.0120       123",
    ]
    assert sides_table("step of", [side], {"of it": "{share:.1%}"}).split()[-1] == "50.0%"

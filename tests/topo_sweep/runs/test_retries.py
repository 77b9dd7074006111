"""How often a failure is tried again, and when."""

from __future__ import annotations

from topo_sweep.runs.retries import Retries


def test_each_failure_waits_longer_until_it_was_enough() -> None:
    retries = Retries(6)

    waits = [retries.seconds_until("a", epochs=0, is_lost=False) for _ in range(7)]

    assert waits == [1.0, 4.0, 16.0, 60.0, 60.0, 60.0, None]
    assert retries.seconds_until("b", epochs=0, is_lost=False) == 1.0, "each has its own"


def test_a_lost_machine_counts_for_nothing_but_the_wait_after_the_next_one() -> None:
    retries = Retries(1)

    waits = [retries.seconds_until("a", epochs=0, is_lost=True) for _ in range(50)]

    assert waits == [0.0, 1.0, 4.0, 16.0, *[60.0] * 46]
    assert retries.seconds_until("a", epochs=0, is_lost=False) == 1.0
    assert retries.seconds_until("a", epochs=0, is_lost=False) is None


def test_without_retries_the_first_failure_is_enough() -> None:
    assert Retries(0).seconds_until("a", epochs=0, is_lost=False) is None


def test_what_got_further_than_ever_begins_to_count_anew() -> None:
    retries = Retries(1)

    def tried(*reached: int, is_lost: bool = False) -> list[float | None]:
        return [retries.seconds_until("a", epochs=each, is_lost=is_lost) for each in reached]

    assert tried(2, 3, 5, 6) == [1.0] * 4
    assert tried(7, 7) == [1.0, None]
    assert tried(3, 7) == [None, None], "not only further than the last time"
    assert tried(8, 8, 8, 9, is_lost=True) == [0.0, 1.0, 4.0, 0.0]

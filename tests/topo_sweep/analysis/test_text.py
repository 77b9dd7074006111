"""Words for people: lengths of time."""

from __future__ import annotations

import pytest

from topo_sweep.analysis.text import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (42.4, "42 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (5 * 3600 + 10 * 60, "5 h 10 min"),
        (47.99 * 3600, "47 h 59 min"),
        (48 * 3600, "2.0 days"),
        (10.42 * 86400, "10.4 days"),
    ],
)
def test_durations_read_as_a_person_says_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text

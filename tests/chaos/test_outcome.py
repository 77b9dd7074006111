"""What a campaign finds where a sweep is not what it would have been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.outcome import Outcome, Tally, compared, is_told
from tests.topo_sweep.conftest import make_sweep, new_manifest, small_spec
from tests.topo_sweep.store.store_rows import curve_of, trial_row

A, B = trial_row("a", test_accuracy=0.5), trial_row("b", test_accuracy=0.6)


def sweep(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Path:
    """Make a sweep with these rows and their curves, whose last epoch has some other values."""
    curves = [epoch for row in rows for epoch in curve_of(row)]
    curves[-1] |= changes
    make_sweep(folder, small_spec()).append(rows, curves)
    return folder


@pytest.mark.parametrize(
    ("disturbed", "expected"),
    [
        (lambda folder: sweep(folder, [B, A]), Outcome()),
        (lambda folder: sweep(folder, [A]), Outcome(lost=1)),
        (lambda folder: sweep(folder, [A, B, A]), Outcome(doubled=1)),
        (lambda folder: sweep(folder, [A, B | {"parameters": 1}]), Outcome(changed=1)),
        (lambda folder: sweep(folder, [A, B], train_loss=9.0), Outcome(changed=1)),
        (lambda folder: sweep(folder, [A, B | {"status": "failed"}]), Outcome(failed=1)),
    ],
)
def test_what_is_lost_twice_other_or_failed_is_counted(
    disturbed: Callable[[Path], Path], expected: Outcome, tmp_path: Path
) -> None:
    whole = sweep(tmp_path / "whole", [A, B])

    assert compared(disturbed(tmp_path / "disturbed"), whole) == expected
    assert expected.is_clean == (expected == Outcome())


def test_of_what_was_halved_and_what_it_found_last_digits_may_differ(tmp_path: Path) -> None:
    found = trial_row("found", search_id="halved")
    whole = sweep(tmp_path / "whole", [A, B, found])
    other = [A | {"parameters": 1}, B, found | {"parameters": 1}]
    disturbed = sweep(tmp_path / "disturbed", other, train_loss=9.0)
    store = make_sweep(disturbed, small_spec())
    split = new_manifest(small_spec()).with_split(("halved", "other"), [("halved",), ("other",)])
    split.write(store.paths.manifest)

    assert compared(disturbed, whole) == Outcome(changed=1, split=1)


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, "done: 4 of 4 trials are kept", True),
        (0, "Traceback (most recent call last):\ndone", False),
        (-9, "", True),
        (130, "stopped\ngo on with\n  topo-sweep run demo", True),
        (2, "topo-sweep: cannot make results: No space left on device", True),
        (1, "Ray's own last words", False),
        (1, "", False),
    ],
)
def test_an_end_is_told_in_lines_that_say_how_to_go_on(
    code: int, said: str, *, expected: bool
) -> None:
    assert is_told(code, said) == expected


def test_a_fault_is_survived_where_all_came_right_in_its_sweep() -> None:
    tally = Tally([("0 packs", ["a", "a", "b"], Outcome()), ("1 packs", ["b"], Outcome(lost=2))])
    tally.in_vain["c"] += 1

    first, second, third, end, sweep_with_loss = tally.text().splitlines()[1:]
    assert [line.split()[1:] for line in (first, second, third)] == [
        ["2", "2", "0"],
        ["2", "1", "0"],
        ["0", "0", "1"],
    ]
    assert end.startswith("4 faults in 2 sweeps")
    assert "2 lost, 0 doubled" in end
    assert sweep_with_loss.startswith("1 packs: 2 lost")

"""What a campaign finds where a sweep is not what it would have been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.outcome import Outcome, Tally, compared, is_over, is_told
from tests.program import program
from tests.topo_sweep.cli.program import RUN, Unlucky
from tests.topo_sweep.conftest import make_sweep, new_manifest, small_spec
from tests.topo_sweep.runs.search_run import search_curve_of, search_spec, stored_search
from tests.topo_sweep.store.store_rows import curve_of, trial_row
from topo_sweep.spec.load import SweepSpec
from topo_sweep.store.tables import SEARCHES

SPEC = small_spec()
A, B, C = (trial_row(name, test_accuracy=0.5) for name in "abc")


def sweep(
    folder: Path,
    rows: list[dict[str, Any]],
    *,
    without_curve: str = "",
    spec: SweepSpec = SPEC,
    **changes: Any,
) -> Path:
    """Make a sweep with these rows and their curves, whose last epoch has some other values."""
    curves = [epoch for row in rows if row["trial_id"] != without_curve for epoch in curve_of(row)]
    curves[-1] |= changes
    make_sweep(folder, spec).append(rows, curves)
    return folder


def searched(folder: Path, *, without_alphas: str = "", **losses: float) -> Path:
    """Make a sweep of searches a, b and c with these losses in all their epochs."""
    store = make_sweep(folder, search_spec())
    rows = [stored_search(name) for name in "abc"]
    alphas = [
        epoch | {"train_loss": losses.get(row["search_id"], 1.0)}
        for row in rows
        if row["search_id"] != without_alphas
        for epoch in search_curve_of(row)
    ]
    store.append(rows, alphas, table=SEARCHES)
    return folder


def halve(folder: Path, spec: SweepSpec, *pack: str) -> None:
    """Let the manifest of a sweep say that this pack was halved."""
    halves = [(each,) for each in pack]
    new_manifest(spec).with_request(spec).with_split(pack, halves).write(
        make_sweep(folder, spec).paths.manifest
    )


@pytest.mark.parametrize(
    ("disturbed", "expected"),
    [
        (lambda folder: sweep(folder, [B, A]), Outcome()),
        (lambda folder: sweep(folder, [A]), Outcome(lost=1)),
        (lambda folder: sweep(folder, [A, B, A]), Outcome(doubled=1)),
        (lambda folder: sweep(folder, [A, B | {"parameters": 1}]), Outcome(changed=1)),
        (lambda folder: sweep(folder, [A, B], train_loss=9.0), Outcome(changed=1)),
        (lambda folder: sweep(folder, [A, B], without_curve="b"), Outcome(lost=1)),
        (lambda folder: sweep(folder, [A, B, C]), Outcome(changed=1)),
        (lambda folder: sweep(folder, [A, B | {"status": "failed"}]), Outcome(failed=1)),
        (
            lambda folder: sweep(folder, [A, B | {"status": "failed"}], without_curve="b"),
            Outcome(failed=1),
        ),
        (
            lambda folder: sweep(folder, [A, B], spec=small_spec(topologies=(0,))),
            Outcome(miscounted=4),
        ),
        (lambda folder: folder, Outcome(lost=6)),
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
    halve(disturbed, SPEC, "halved", "other")

    assert compared(disturbed, whole) == Outcome(changed=1, split=1)


def test_of_searches_that_were_halved_alone_the_alphas_may_differ(tmp_path: Path) -> None:
    whole = searched(tmp_path / "whole")
    disturbed = searched(tmp_path / "disturbed", a=2.0, b=2.0, c=2.0)
    assert compared(disturbed, whole) == Outcome(changed=3)

    halve(disturbed, search_spec(), "a", "b")
    assert compared(disturbed, whole) == Outcome(changed=1, split=2)


def test_alphas_of_a_search_that_was_halved_may_not_be_lost(tmp_path: Path) -> None:
    whole = searched(tmp_path / "whole")
    disturbed = searched(tmp_path / "disturbed", without_alphas="a")
    halve(disturbed, search_spec(), "a", "b")

    assert compared(disturbed, whole) == Outcome(lost=1, split=2)


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, "done: 4 of 4 trials are kept", True),
        (0, "Traceback (most recent call last):\ndone", False),
        (-9, "", True),
        (130, "stopped\ngo on with\n  topo-sweep run demo", True),
        (2, "topo-sweep: cannot make results: No space left on device", True),
        (1, "1 failed in all: see topo-sweep status, and run again with --retry-failed", True),
        (1, "Ray's own last words", False),
        (1, "stopped\ngo on with\n  topo-sweep run demo\nRay's own last words", False),
        (1, "topo-sweep: no room: go on with `topo-sweep run demo`\nRay's own last words", False),
        (1, "", False),
    ],
)
def test_an_end_is_told_in_lines_that_say_how_to_go_on(
    code: int, said: str, *, expected: bool
) -> None:
    assert is_told(code, said) == expected


@pytest.mark.slow
def test_a_sweep_is_over_once_nothing_is_left_but_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topo_sweep.runs.runner.Training", Unlucky)
    for _ in range(2):  # the second has nothing to do
        ended = program(tmp_path, *RUN, "--seeds", "1", "--retries", "0")
        assert ended.code == 1
        assert is_over(ended.code, ended.errors)
        assert is_told(ended.code, ended.errors)

    assert is_over(0, "done: 4 of 4 trials are kept")
    assert not is_over(1, "topo-sweep: Ray ended this run: go on with `topo-sweep run demo`")
    assert not is_over(-9, "")


def test_a_fault_is_survived_where_all_came_right_in_its_sweep() -> None:
    bad = Outcome(lost=2, doubled=3, changed=4)
    tally = Tally([("0 packs", ["a", "a", "b"], Outcome()), ("1 packs", ["b"], bad)])
    tally.in_vain["c"] += 1

    head, first, second, third, end, sweep_with_loss = tally.text().splitlines()
    columns = ["injected", "survived", "lost", "doubled", "changed", "in", "vain"]
    assert head.split() == ["fault", *columns]
    assert [line.split() for line in (first, second, third)] == [
        ["a", "2", "2", "0", "0", "0", "0"],
        ["b", "2", "1", "2", "3", "4", "0"],
        ["c", "0", "0", "0", "0", "0", "1"],
    ]
    assert end.startswith("4 faults in 2 sweeps")
    assert "2 lost, 3 doubled" in end
    assert sweep_with_loss.startswith("1 packs: 2 lost")

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.errors import InputError
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.runs.search_run import FOUND, search_of, search_spec, stored_search
from tests.topo_sweep.store.store_rows import ON_DISK, T0, trial_row
from topo_sweep.runs.plan import make_plan
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.spec.trials import Evaluation
from topo_sweep.store.opened import open_sweep
from topo_sweep.store.parquet import Row
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import SEARCHES

SPEC = small_spec()
IDS = list(SPEC.trials())


@ON_DISK
@given(
    statuses=st.fixed_dictionaries(
        {trial_id: st.sampled_from([None, "ok", "diverged", "failed"]) for trial_id in IDS}
    )
)
def test_what_is_left_is_what_has_no_row_and_on_request_what_failed(
    tmp_path_factory: pytest.TempPathFactory, statuses: dict[str, str | None]
) -> None:
    results = tmp_path_factory.mktemp("results")
    rows = [trial_row(key, status=status) for key, status in statuses.items() if status]
    make_sweep(results, SPEC).append([*rows, trial_row("another request's", status="ok")], [])

    plan = make_plan(SPEC, results)
    again = make_plan(SPEC, results, retry_failed=True)

    assert list(plan.left) == [key for key in IDS if statuses[key] is None]
    assert list(again.left) == [key for key in IDS if statuses[key] in (None, "failed")]
    assert all(trial.trial_id == trial_id for trial_id, trial in plan.left.items())
    for status in ("ok", "diverged", "failed"):
        assert plan.count(status) == list(statuses.values()).count(status)


def test_everything_is_left_where_there_is_no_store_and_none_is_made(tmp_path: Path) -> None:
    results = tmp_path / "results"

    plan = make_plan(SPEC, results)

    assert list(plan.left) == IDS
    assert plan.manifest is None
    assert not results.exists()


def test_rows_whose_manifest_was_lost_are_done_and_say_on_which_images(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, SPEC)
    store.append([trial_row(IDS[0], fingerprint="these images")], [])
    store.paths.manifest.unlink()

    plan = make_plan(SPEC, tmp_path)

    assert plan.manifest is None
    assert list(plan.left) == IDS[1:]
    assert plan.fingerprints == {"these images"}


def test_planning_writes_nothing(tmp_path: Path) -> None:
    make_sweep(tmp_path, SPEC).append([trial_row(IDS[0])], [])

    def state() -> dict[Path, tuple[int, bytes | None]]:
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
            for path in tmp_path.rglob("*")
        }

    before = state()
    make_plan(small_spec(seeds=(0, 1, 2)), tmp_path, retry_failed=True)

    assert state() == before


def test_more_seeds_of_the_same_sweep_find_its_rows(tmp_path: Path) -> None:
    make_sweep(tmp_path, SPEC).append([trial_row(trial_id) for trial_id in IDS], [])
    more = small_spec(seeds=(0, 1, 2))

    plan = make_plan(more, tmp_path)

    assert {trial.seed for trial in plan.left.values()} == {2}
    assert len(plan.left) == 3
    assert plan.manifest is not None


def test_another_protocol_has_another_store(tmp_path: Path) -> None:
    make_sweep(tmp_path, SPEC).append([trial_row(trial_id) for trial_id in IDS], [])
    longer = small_spec(protocol=SPEC.protocol.with_values({"epochs": 50}))

    assert len(make_plan(longer, tmp_path).left) == len(IDS)


def test_every_attempt_at_a_failed_trial_is_counted(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, SPEC)
    for attempt in (1, 2, 3):
        finished_at = T0 + timedelta(minutes=attempt)
        row = trial_row(IDS[0], status="failed", attempt=attempt, finished_at=finished_at)
        store.append([row], [])

    assert make_plan(SPEC, tmp_path, retry_failed=True).attempts[IDS[0]] == 3


# Searches


def stored(results: Path, spec: SearchSweep, rows: Sequence[Row], searches: Sequence[Row]) -> None:
    """Make the sweep's store with these rows."""
    store = make_sweep(results, spec)
    store.append(rows, [])
    store.append(searches, [], table=SEARCHES)


SEARCH_SPEC = search_spec(seeds=(0, 1), evaluation_seeds=(0, 1))
FIRST, EVALUATION, OTHER_EVALUATION, SECOND, *REST = list(SEARCH_SPEC.trials())
PROTOCOL_HASH = search_of(SEARCH_SPEC).protocol.protocol_hash


def test_of_searches_everything_is_left_where_there_is_no_store(tmp_path: Path) -> None:
    plan = make_plan(SEARCH_SPEC, tmp_path)

    assert list(plan.left) == [FIRST, EVALUATION, OTHER_EVALUATION, SECOND, *REST]
    assert plan.cells_found == {}


def test_a_search_that_ended_is_done_and_what_it_found_is_known(tmp_path: Path) -> None:
    rows = [trial_row(EVALUATION, status="diverged", search_id=FIRST)]
    searched = stored_search(FIRST, protocol_hash=PROTOCOL_HASH, epochs=1)
    stored(tmp_path, SEARCH_SPEC, rows, [searched])

    plan = make_plan(SEARCH_SPEC, tmp_path)

    assert plan.finished == {FIRST: "ok", EVALUATION: "diverged"}
    assert plan.cells_found == {FIRST: FOUND}
    assert list(plan.left) == [OTHER_EVALUATION, SECOND, *REST]
    assert (plan.count("ok"), plan.count("diverged"), plan.count("failed")) == (1, 1, 0)


def test_a_search_that_diverged_with_a_cell_has_its_evaluations_left(tmp_path: Path) -> None:
    stored(tmp_path, SEARCH_SPEC, [], [stored_search(FIRST, status="diverged")])

    plan = make_plan(SEARCH_SPEC, tmp_path)

    assert plan.cells_found == {FIRST: FOUND}
    assert list(plan.left) == [EVALUATION, OTHER_EVALUATION, SECOND, *REST]


@pytest.mark.parametrize("retry_failed", [False, True])
def test_a_search_that_diverged_without_a_cell_has_nothing_to_evaluate(
    tmp_path: Path, retry_failed: bool
) -> None:
    stored(tmp_path, SEARCH_SPEC, [], [stored_search(FIRST, status="diverged", genotype=None)])

    plan = make_plan(SEARCH_SPEC, tmp_path, retry_failed=retry_failed)

    assert list(plan.trials) == [FIRST, SECOND, *REST]
    assert list(plan.left) == [SECOND, *REST]
    assert plan.cells_found == {}
    assert set(open_sweep(plan.store.paths.folder).planned()) == {FIRST, SECOND, *REST}


def test_a_failed_search_runs_again_on_request_and_its_evaluations_wait(
    tmp_path: Path,
) -> None:
    failed = stored_search(FIRST, status="failed", genotype=None, attempt=2)
    stored(tmp_path, SEARCH_SPEC, [], [failed])

    plan = make_plan(SEARCH_SPEC, tmp_path)
    again = make_plan(SEARCH_SPEC, tmp_path, retry_failed=True)

    assert list(plan.left) == [SECOND, *REST]
    assert plan.blocked == {EVALUATION, OTHER_EVALUATION}
    assert {EVALUATION, OTHER_EVALUATION} <= set(plan.trials)
    assert not again.blocked
    assert list(again.left) == [FIRST, EVALUATION, OTHER_EVALUATION, SECOND, *REST]
    assert plan.count("failed") == 1
    assert again.attempts == {FIRST: 2}
    assert again.cells_found == {}


def test_more_evaluation_seeds_search_nothing_again(tmp_path: Path) -> None:
    stored(tmp_path, SEARCH_SPEC, [], [stored_search(FIRST), stored_search(SECOND)])
    more = search_spec(seeds=(0, 1), evaluation_seeds=(0, 1, 2))

    plan = make_plan(more, tmp_path)

    assert all(isinstance(trial, Evaluation) for trial in plan.left.values())
    assert len(plan.left) == 6
    assert set(plan.cells_found) == {FIRST, SECOND}


def test_searches_with_other_settings_find_no_rows_here(tmp_path: Path) -> None:
    stored(tmp_path, SEARCH_SPEC, [], [stored_search(FIRST)])
    other = search_spec(search={"epochs": 9}, seeds=(0, 1), evaluation_seeds=(0, 1))

    assert len(make_plan(other, tmp_path).left) == 6
    assert make_plan(other, tmp_path).manifest is None


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    paths = StorePaths.of(tmp_path, sweep=SPEC.name, protocol=SPEC.protocol, data=SPEC.data)
    paths.folder.mkdir()
    paths.manifest.write_text('{"store_version": 99}')

    with pytest.raises(InputError, match="upgrade topo-sweep"):
        make_plan(SPEC, tmp_path)

"""In which order a run hands out its work, and what waits for what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import Genotype
from tests.topo_sweep.analysis.ranking_rows import uniform
from tests.topo_sweep.conftest import Clock, small_spec
from tests.topo_sweep.runs.search_run import FOUND, OTHER, search_spec
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.packing.packs import Pack, planned_packs, with_packs
from topo_sweep.spec.trials import Evaluation, Planned, Runnable, SearchTrial, Trial

PLANNED = dict(search_spec(seeds=(0, 1), evaluation_seeds=(0, 1)).trials())
IDS = list(PLANNED)
FIRST, SECOND = IDS[0], IDS[3]
WITH_NONE = uniform(17, operation="none")
"""A cell of which no pack can be made."""


def agenda(left: list[str] = IDS, cells_found: dict[str, Genotype] | None = None) -> Agenda:
    return Agenda({trial_id: PLANNED[trial_id] for trial_id in left}, cells_found or {})


def handed_out(agenda: Agenda) -> list[Runnable]:
    """Take all that can start now."""
    taken = []
    while (trial := agenda.next()) is not None:
        assert not isinstance(trial, Pack)
        taken.append(trial)
    return taken


def taken_ids(agenda: Agenda) -> list[str]:
    return [trial.trial_id for trial in handed_out(agenda)]


def test_trainings_are_handed_out_once_each_in_order() -> None:
    planned = small_spec().trials()
    work = Agenda(planned, {})

    assert not work.is_exhausted
    assert handed_out(work) == list(planned.values())
    assert work.is_exhausted
    assert work.next() is None


def test_evaluations_wait_for_their_search() -> None:
    work = agenda()

    assert taken_ids(work) == [FIRST, SECOND]
    assert not work.is_exhausted, "what waits is still to come"


def test_what_a_search_found_is_evaluated_before_the_next_search_starts() -> None:
    work = agenda()
    first = work.next()
    assert isinstance(first, SearchTrial)

    assert work.search_ended(FIRST, FOUND) == []

    assert taken_ids(work) == [IDS[1], IDS[2], SECOND]


def test_evaluations_train_what_their_own_search_found() -> None:
    work = agenda()
    handed_out(work)
    work.search_ended(SECOND, OTHER)
    work.search_ended(FIRST, FOUND)

    trials = handed_out(work)

    assert work.is_exhausted
    assert all(isinstance(trial, Trial) for trial in trials)
    assert [
        (trial.trial_id, trial.genotype, trial.search_id)
        for trial in trials
        if isinstance(trial, Trial)
    ] == [
        (IDS[1], FOUND, FIRST),
        (IDS[2], FOUND, FIRST),
        (IDS[4], OTHER, SECOND),
        (IDS[5], OTHER, SECOND),
    ]


def test_evaluations_of_a_search_that_found_nothing_never_run_and_are_named() -> None:
    work = agenda()
    handed_out(work)

    assert work.search_ended(FIRST, None) == [IDS[1], IDS[2]]
    assert work.next() is None
    assert not work.is_exhausted
    assert work.search_ended(SECOND, FOUND) == []
    assert taken_ids(work) == IDS[4:]
    assert work.is_exhausted


def test_evaluations_that_go_together_wait_together_for_their_search() -> None:
    packs = with_packs(PLANNED, PLANNED, planned_packs(PLANNED, PLANNED, (), 8))
    work = Agenda(PLANNED, {}, packs)
    assert [work.next(), work.next(), work.next()] == [PLANNED[FIRST], PLANNED[SECOND], None]

    work.search_ended(SECOND, OTHER)
    assert work.search_ended(FIRST, None) == IDS[1:3]

    pack = work.next()
    assert isinstance(pack, Pack)
    assert pack.trial_ids == tuple(IDS[4:])
    assert {trial.genotype for trial in pack.members if isinstance(trial, Trial)} == {OTHER}
    work.pack_ended(pack)
    assert work.is_exhausted


def test_of_evaluations_that_do_not_fit_a_pack_only_those_without_a_row_are_handed_out() -> None:
    left = {key: PLANNED[key] for key in (IDS[2], IDS[4], IDS[5])}
    packs = (tuple(IDS[1:3]), tuple(IDS[4:]))
    cells = {FIRST: WITH_NONE, SECOND: FOUND}
    work = Agenda(left, cells, with_packs(left, PLANNED, packs))

    alone, pack = work.next(), work.next()

    assert isinstance(alone, Trial)
    assert alone.trial_id == IDS[2], "the first one has ended"
    assert isinstance(pack, Pack)
    assert pack.trial_ids == tuple(IDS[4:])


def test_a_search_that_ends_twice_is_evaluated_once() -> None:
    work = agenda()
    handed_out(work)
    work.search_ended(FIRST, FOUND)
    assert work.search_ended(FIRST, None) == []
    assert work.search_ended(FIRST, OTHER) == []

    assert [t.genotype for t in handed_out(work) if isinstance(t, Trial)] == [FOUND, FOUND]


def test_evaluations_of_what_an_earlier_run_found_are_ready_at_once() -> None:
    work = agenda([IDS[2], *IDS[3:]], {FIRST: FOUND})

    trials = handed_out(work)

    assert [trial.trial_id for trial in trials] == [IDS[2], SECOND]
    assert isinstance(trials[0], Trial)
    assert trials[0].genotype == FOUND


def test_evaluations_of_a_search_that_failed_and_is_not_retried_keep_nobody_waiting() -> None:
    work = agenda([IDS[1], IDS[2]])

    assert work.next() is None
    assert work.is_exhausted


def test_an_empty_agenda_is_exhausted() -> None:
    assert agenda([]).is_exhausted


def test_a_pack_that_runs_may_come_back_as_its_halves_which_go_first() -> None:
    planned = small_spec().trials()
    pack, other = Pack(tuple(planned.values())[:3]), tuple(planned.values())[3]
    work = Agenda(planned, {}, [pack, other])

    assert work.next() == pack
    work.pack_ended(pack, *pack.halves)
    assert [work.next() for _ in range(3)] == [*pack.halves, other]
    assert not work.is_exhausted, "a half of two may be halved again"
    for half in pack.halves:
        work.pack_ended(half)
    assert work.is_exhausted


@pytest.mark.parametrize("order", [IDS, IDS[::-1]])
def test_it_does_not_matter_whether_a_search_is_listed_before_its_evaluations(
    order: list[str],
) -> None:
    work = agenda(order)

    assert set(taken_ids(work)) == {FIRST, SECOND}
    work.search_ended(FIRST, FOUND)
    work.search_ended(SECOND, FOUND)
    assert set(taken_ids(work)) == set(IDS) - {FIRST, SECOND}


@given(data=st.data())
def test_whenever_searches_end_everything_is_handed_out_once_and_nothing_before_its_search(
    data: st.DataObject,
) -> None:
    planned: dict[str, Planned] = dict(
        search_spec(seeds=(0, 1, 2), evaluation_seeds=(0, 1)).trials()
    )
    finds = {
        trial_id: data.draw(st.sampled_from([FOUND, None]))
        for trial_id, trial in planned.items()
        if isinstance(trial, SearchTrial)
    }
    work = Agenda(planned, {})
    running: list[str] = []
    ended: list[str] = []
    handed: list[str] = []
    void: list[str] = []
    while not work.is_exhausted or running:
        trial = work.next() if not running or data.draw(st.booleans()) else None
        if trial is not None:
            assert not isinstance(trial, Pack)
            handed.append(trial.trial_id)
            if isinstance(trial, SearchTrial):
                running.append(trial.trial_id)
            else:
                assert isinstance(trial, Trial)
                assert trial.search_id in ended
        elif running:
            search_id = running.pop(data.draw(st.integers(0, len(running) - 1)))
            ended.append(search_id)
            void += work.search_ended(search_id, finds[search_id])

    assert sorted(handed + void) == sorted(planned)
    assert set(void) == {
        trial_id
        for trial_id, trial in planned.items()
        if isinstance(trial, Evaluation) and finds[trial.search.search_id] is None
    }


def test_what_failed_comes_again_after_its_time_and_not_before(clock: Clock) -> None:
    work = Agenda(small_spec().trials(), {})
    failed = handed_out(work)[0]
    work.again(failed, after=4.0)

    assert work.next() is None
    assert not work.is_exhausted
    clock.now += 3.9
    assert work.next() is None
    clock.now += 0.2
    assert work.next() == failed
    assert work.is_exhausted


def test_a_pack_that_failed_is_out_again_when_it_is_handed_out(clock: Clock) -> None:
    pack = Pack(tuple(small_spec().trials().values()))
    work = Agenda({}, {}, [pack])
    assert work.next() == pack
    work.again(pack, after=0.0)
    clock.now += 0.1

    assert work.next() == pack
    assert not work.is_exhausted
    work.pack_ended(pack)
    assert work.is_exhausted

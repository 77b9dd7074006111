"""Which trainings go together, so that workers finish together."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.protocols.training import PRESETS
from tests.topo_sweep.conftest import small_spec
from tests.topo_sweep.runs.search_run import FOUND, search_spec
from topo_sweep.runs.packing.packs import (
    Pack,
    Packs,
    WaitingPack,
    begun_packs,
    planned_packs,
    with_packs,
)
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.spec.random_cells import RandomSweep
from topo_sweep.spec.trials import Evaluation, Trial

SEVEN = small_spec(topologies=(0, 1, 17, 18, 60, 99, 120), seeds=(0, 1)).trials()
ALL = small_spec(topologies="all", seeds=(0, 1, 2)).trials()
NO_CELL = ";".join(["none@0+none@1"] * 4)


def sizes(packs: Packs) -> list[int]:
    return [len(pack) for pack in packs]


def cells(*texts: str, seeds: tuple[int, ...] = (0,)) -> dict[str, Trial]:
    """Return the trainings of these genotypes."""
    protocol = PRESETS["demo"]
    return GenotypeSweep(name="cells", protocol=protocol, genotypes=texts, seeds=seeds).trials()


# Which fit


def test_trainings_of_one_seed_go_together_in_packs_of_about_one_size() -> None:
    packs = planned_packs(ALL, ALL, (), 64)

    assert sizes(packs) == [58, 61, 61] * 3, "three a seed, where classes end"
    assert all(len({ALL[key].seed for key in pack}) == 1 for pack in packs)
    assert planned_packs(ALL, ALL, (), 1) == tuple((key,) for pack in packs for key in pack)
    assert planned_packs(ALL, ALL, (), None) == ()


def test_each_seed_has_packs_of_the_same_networks() -> None:
    packs = planned_packs(ALL, ALL, (), 64)

    networks = [tuple(ALL[key].genotype for key in pack) for pack in packs]

    assert networks[:3] == networks[3:6] == networks[6:]


def test_a_class_is_not_torn_apart_where_packs_may_be_a_little_larger() -> None:
    def torn(packs: Packs) -> int:
        owners: dict[object, set[int]] = {}
        for number, pack in enumerate(packs):
            for key in pack:
                topology = ALL[key].genotype.topology
                assert topology is not None
                owners.setdefault((ALL[key].seed, topology.class_id), set()).add(number)
        return sum(len(packs) > 1 for packs in owners.values())

    assert torn(planned_packs(ALL, ALL, (), 64)) == 0
    assert max(sizes(planned_packs(ALL, ALL, (), 60))) == 60, "no more than is asked for"


def test_seeds_go_together_where_one_has_too_few_networks() -> None:
    assert sizes(planned_packs(SEVEN, SEVEN, (), 3)) == [2, 3, 3, 3, 3]
    assert sizes(planned_packs(SEVEN, SEVEN, (), 7)) == [7, 7], "one seed each"
    ten = cells("DARTS_V2", seeds=tuple(range(10)))
    assert planned_packs(ten, ten, (), 16) == (tuple(ten),)
    assert sizes(planned_packs(ten, ten, (), 4)) == [3, 3, 4]


def test_trainings_of_other_shapes_do_not_go_together() -> None:
    known = cells("DARTS_V1", "DARTS_V2", str(KNOWN_CELLS["PDARTS"]))
    assert planned_packs(known, known, (), 8) == tuple((key,) for key in known)
    empty = cells(f"{NO_CELL}|{NO_CELL}")
    assert planned_packs(empty, empty, (), 8) == (), "a pack has no form of the operation none"


def test_evaluations_of_one_search_go_together_and_wait_for_it() -> None:
    trials = search_spec(seeds=(0, 1), evaluation_seeds=(0, 1)).trials()
    ids = list(trials)

    packs = planned_packs(trials, trials, (), 8)

    assert packs == ((ids[1], ids[2]), (ids[4], ids[5]))
    handed_out = list(with_packs(trials, trials, packs))
    assert [type(each).__name__ for each in handed_out] == ["SearchTrial", "WaitingPack"] * 2
    waiting = handed_out[1]
    assert isinstance(waiting, WaitingPack)
    assert waiting.waits_for == ids[0]
    (pack,) = waiting.of(FOUND)
    assert isinstance(pack, Pack)
    found = {trial.genotype for trial in pack.members if isinstance(trial, Trial)}
    assert (pack.trial_ids, found) == (packs[0], {FOUND})


def test_searches_that_differ_in_seed_go_together_where_they_may() -> None:
    spec = search_spec(seeds=(0, 1, 2), cells=(2, 3), evaluation_seeds=())
    trials = spec.trials()
    by_depth = [
        tuple(s.trial_id for s in spec.searches() if s.protocol.cells == cells) for cells in (2, 3)
    ]

    packs = planned_packs(trials, trials, (), 8, searches=True)

    assert sorted(packs) == sorted(by_depth)
    handed_out = list(with_packs(trials, trials, packs))
    assert [each.trial_ids for each in handed_out if isinstance(each, Pack)] == by_depth
    assert planned_packs(trials, trials, (), 8) == ()
    assert planned_packs(trials, trials, (), 1, searches=True) == ()
    assert [len(pack) for pack in planned_packs(trials, trials, (), 2, searches=True)] == [2, 2]


def test_searches_go_together_so_that_workers_end_together() -> None:
    trials = search_spec(seeds=(0, 1, 2, 3), evaluation_seeds=()).trials()
    packs = planned_packs(trials, trials, (), 8, workers=2, searches=True)
    assert [len(pack) for pack in packs] == [2, 2]


def test_searches_in_stages_go_alone() -> None:
    stages = [
        {"cells": 2, "operations_kept": 3, "skip_dropout": 0.0},
        {"cells": 3, "operations_kept": 2, "skip_dropout": 0.4},
    ]
    small = search_spec().search | {"stages": stages}
    trials = search_spec(search=small, cells=(2,), seeds=(0, 1), evaluation_seeds=()).trials()
    assert len(trials) == 2
    assert planned_packs(trials, trials, (), 8, searches=True) == ()


def test_evaluations_of_a_cell_that_no_pack_can_hold_go_alone() -> None:
    trials = search_spec(evaluation_seeds=(0, 1)).trials().values()
    waiting = WaitingPack(tuple(trial for trial in trials if isinstance(trial, Evaluation)))
    (empty,) = cells(f"{NO_CELL}|{NO_CELL}").values()

    found = waiting.of(empty.genotype)

    assert [type(trial) for trial in found] == [Trial, Trial]


def test_what_was_begun_alone_joins_no_new_pack_but_stays_in_one_that_was_planned() -> None:
    ids = list(SEVEN)
    searches = search_spec(seeds=(0, 1, 2), evaluation_seeds=()).trials()
    first, *others = list(searches)

    packs = planned_packs(SEVEN, SEVEN, (), 7, saved=ids[:1])
    assert [set(pack) for pack in packs] == [set(ids[1:7]), set(ids[7:])]
    assert planned_packs(SEVEN, SEVEN, (tuple(ids[:7]),), 7, saved=ids[:1])[0] == tuple(ids[:7])
    assert planned_packs(searches, searches, (), 8, searches=True, saved=[first]) == (
        tuple(others),
    )


# How many


def test_there_are_as_many_packs_for_each_worker_where_that_ends_earlier() -> None:
    seventy_nine = small_spec(topologies="classes", seeds=(0,)).trials()

    assert sizes(planned_packs(seventy_nine, seventy_nine, (), 60, workers=4)) == [19, 20, 20, 20]
    assert sizes(planned_packs(seventy_nine, seventy_nine, (), 30, workers=2)) == [19, 20, 20, 20]
    assert len(planned_packs(ALL, ALL, (), 64, workers=4)) == 12
    few = planned_packs(SEVEN, SEVEN, (), 7, workers=16)
    assert sizes(few) == [1] * 14, "nobody waits"


def test_where_small_packs_take_as_long_as_large_ones_there_are_few() -> None:
    seventy_nine = small_spec(topologies="classes", seeds=(0,)).trials()

    packs = planned_packs(seventy_nine, seventy_nine, (), 60, workers=4, seconds=lambda _: 1.0)

    assert sizes(packs) == [39, 40]


@given(
    topologies=st.integers(1, 30),
    seeds=st.integers(1, 4),
    size=st.integers(1, 20),
    workers=st.integers(1, 9),
)
def test_every_training_is_in_one_pack_and_none_is_too_large(
    topologies: int, seeds: int, size: int, workers: int
) -> None:
    spec = small_spec(topologies=tuple(range(topologies)), seeds=tuple(range(seeds)))
    trials = spec.trials()

    packs = planned_packs(trials, trials, (), size, workers=workers)

    assert Counter(key for pack in packs for key in pack) == Counter(list(trials))
    assert max(sizes(packs)) <= size


# What was planned before


def test_a_pack_that_was_begun_stays_whole_and_what_is_new_joins_none() -> None:
    ids = list(SEVEN)
    known = (tuple(ids[:3]), tuple(ids[3:6]))
    left = {key: SEVEN[key] for key in (*ids[1:3], *ids[6:])}

    packs = planned_packs(left, SEVEN, begun_packs(known, left, ()), 3)

    assert packs[0] == known[0], "with its first member, which has ended"
    assert known[1] not in packs, "all of it has ended"
    assert {key for pack in packs[1:] for key in pack} == set(ids[6:])
    assert known[0] not in planned_packs(left, SEVEN, known, 2), "smaller packs, another plan"
    assert planned_packs(left, SEVEN, known, None) == ()


def test_a_pack_with_a_checkpoint_stays_whatever_size_is_asked_for() -> None:
    ids = list(SEVEN)
    known = (tuple(ids[:3]), tuple(ids[3:6]))
    saved = {Pack(tuple(SEVEN[key] for key in known[1])).pack_id}

    assert planned_packs(SEVEN, SEVEN, known, None, saved=saved) == (known[1],)
    smaller = planned_packs(SEVEN, SEVEN, known, 2, saved=saved)
    assert smaller[0] == known[1]
    assert max(len(pack) for pack in smaller[1:]) == 2


def test_only_packs_of_which_something_was_done_are_begun() -> None:
    ids = list(SEVEN)
    packs = (tuple(ids[:3]), tuple(ids[3:6]), tuple(ids[6:9]))
    left = {key: SEVEN[key] for key in ids[1:]}

    assert begun_packs(packs, left, {Pack(tuple(SEVEN[key] for key in packs[1])).pack_id}) == (
        packs[0],
        packs[1],
    )


def test_a_pack_of_more_than_is_asked_for_is_planned_anew() -> None:
    ids = list(SEVEN)
    narrower = {key: SEVEN[key] for key in ids[1:3]}

    assert planned_packs(narrower, narrower, (tuple(ids[:3]),), 3) == (tuple(ids[1:3]),)


def test_a_pack_is_handed_out_in_the_place_of_its_first_member_that_is_left() -> None:
    ids = list(SEVEN)
    left = {key: SEVEN[key] for key in ids[1:5]}

    handed_out = list(with_packs(left, SEVEN, ((ids[0], ids[2], ids[3]),)))

    assert handed_out == [
        SEVEN[ids[1]],
        Pack(tuple(SEVEN[ids[k]] for k in (0, 2, 3))),
        SEVEN[ids[4]],
    ]


def test_random_cells_of_one_shape_go_together_and_else_their_seeds() -> None:
    def packed(*operations: str) -> Packs:
        spec = RandomSweep(
            name="r", protocol=PRESETS["demo"], count=6, space=operations, seeds=(0, 1)
        )
        trials = spec.trials()
        return planned_packs(trials, trials, (), 6)

    assert sizes(packed("sep_conv_3x3")) == [6, 6], "wirings alone differ"
    assert sizes(packed("sep_conv_3x3", "sep_conv_5x5")) == [2] * 6
    beside = search_spec(random_cells=3, evaluation_seeds=(0, 1)).trials()
    assert sizes(planned_packs(beside, beside, (), 8)) == [2] * 4

"""What is left and how long it takes: by rows made alike, else by steps that are timed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.protocols.search import SEARCH_PRESETS, SearchProtocol
from nas_core.protocols.training import DataOptions, Protocol
from nas_core.training.pack import Member
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.runs.search_run import search_spec
from tests.topo_sweep.runs.timing.forecasts import A_TRIAL, ALONE, STEP, Timed, images, of, rows
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.packing.packs import pack_id
from topo_sweep.runs.packing.size import packs_of_run
from topo_sweep.runs.plan import Plan, make_plan
from topo_sweep.runs.reports.dry_run import outline
from topo_sweep.runs.timing import forecast as module
from topo_sweep.runs.timing.forecast import forecast, seconds_of_search
from topo_sweep.spec.load import Overrides, SweepSpec, load_spec
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.store.manifest import Compiling, Packing, read_manifest


def test_a_new_sweep_is_forecast_from_steps_that_are_timed(tmp_path: Path, timed: Timed) -> None:
    found = of(small_spec(), tmp_path)

    assert found.work == pytest.approx(6 * A_TRIAL)
    assert found.wall == found.work
    assert found.workers == 1
    assert (found.packs, found.largest_pack) == (0, 0)
    assert found.basis == "7 steps of 500 ms timed here now, 1 thread on the CPU"
    assert len(timed.kinds) == 1
    assert timed.how["processes"] == 1
    assert timed.how["at_most_seconds"] == 5.0


def test_workers_time_at_once_and_one_of_them_ends_last(tmp_path: Path, timed: Timed) -> None:
    found = of(small_spec(topologies=(0, 1, 2, 3), seeds=(0,)), tmp_path, Execution(gpus=0))

    # Four trials on three workers: one has two of them.
    assert found.workers == timed.how["processes"] == 3
    assert found.wall == pytest.approx(2 * (A_TRIAL + 0.05))
    assert "by 3 processes at once" in found.basis


@pytest.mark.usefixtures("timed")
def test_accuracies_that_are_not_measured_take_no_time(tmp_path: Path) -> None:
    rarely = of(small_spec(), tmp_path, replace(ALONE, test_every=5))
    assert rarely.work == pytest.approx(6 * (A_TRIAL - 4 * 360 * 0.01))


def test_workers_of_a_cluster_are_not_known(tmp_path: Path, timed: Timed) -> None:
    found = of(small_spec(), tmp_path, Execution(gpus=0, cluster=True))
    assert found.workers is None
    assert timed.how["processes"] == 1


def test_packs_are_timed_with_their_members_and_share_the_seconds(
    tmp_path: Path, timed: Timed
) -> None:
    spec = small_spec(topologies=tuple(range(8)), seeds=(0, 1))
    found = of(spec, tmp_path, replace(ALONE, pack_size=3))

    # Eight of a seed go as 2 + 3 + 3, and a pack of three takes what was timed.
    assert (found.packs, found.largest_pack) == (6, 3)
    (kind,) = timed.kinds
    assert kind.packed
    trained = {Member(t.genotype, t.seed) for t in spec.trials().values() if t.seed == 0}
    assert len(set(kind.members)) == 3
    assert set(kind.members) < trained
    assert found.work == pytest.approx(16 / 3 * A_TRIAL)


def test_what_processes_timed_is_said_where_fewer_could_be_started(
    tmp_path: Path, timed: Timed
) -> None:
    timed.processes = 1
    assert "processes" not in of(small_spec(), tmp_path, Execution(gpus=0)).basis


def test_a_pack_of_which_a_half_was_timed_takes_as_long_as_its_halves(
    tmp_path: Path, timed: Timed
) -> None:
    timed.fits = 2
    spec = small_spec(topologies=(0, 1, 2, 3), seeds=(0,))

    assert of(spec, tmp_path, replace(ALONE, pack_size=4)).work == pytest.approx(2 * A_TRIAL)


def test_seeds_that_fill_no_pack_alone_go_together(tmp_path: Path, timed: Timed) -> None:
    spec = small_spec(topologies=(5,), seeds=tuple(range(6)))

    found = of(spec, tmp_path, replace(ALONE, pack_size=4))

    assert (found.packs, found.largest_pack) == (2, 3)
    (kind,) = timed.kinds
    assert [member.seed for member in kind.members] == [0, 1, 2]
    assert found.work == pytest.approx(2 * A_TRIAL)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("size", [1, 4, 30])
@pytest.mark.parametrize(
    "spec",
    [
        small_spec(topologies=(17,), seeds=tuple(range(10))),
        small_spec(topologies=tuple(range(8)), seeds=(0, 1)),
        search_spec(seeds=(0, 1), evaluation_seeds=(0, 1, 2)),
    ],
)
@pytest.mark.usefixtures("timed")
def test_the_packs_of_trainings_of_the_forecast_are_those_of_the_run(
    tmp_path: Path, spec: SweepSpec, size: int, workers: int
) -> None:
    execution = ALONE if workers == 1 else Execution(gpus=0)
    packing, plan = Packing(asked=size, size=size), make_plan(spec, tmp_path)

    found = of(spec, tmp_path, replace(execution, pack_size=size))

    planned = [
        pack
        for pack in packs_of_run(plan, packing, workers=workers)
        if not plan.trials[pack[0]].finds_cell
    ]
    assert (found.packs, found.largest_pack) == (len(planned), max(map(len, planned)))


def test_of_more_trials_than_are_planned_one_seed_stands_for_all(
    tmp_path: Path, timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topo_sweep.runs.reports.dry_run._MOST_PLANNED", 10)
    spec = small_spec(topologies=(0, 1, 2, 3), seeds=(0, 1, 2))

    found = of(spec, tmp_path, replace(ALONE, pack_size=4))

    assert (found.packs, found.largest_pack) == (3, 4)
    assert {member.seed for member in timed.kinds[0].members} == {0}


@pytest.mark.usefixtures("timed")
def test_packs_of_auto_are_forecast_as_they_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packing = Packing(asked="auto", size=3)
    monkeypatch.setattr(module, "settled_packing", lambda *_, **__: (packing, "measured"))
    spec = small_spec(topologies=tuple(range(8)), seeds=(0,))

    found = of(spec, tmp_path, replace(ALONE, pack_size="auto"))
    assert (found.packs, found.largest_pack) == (3, 3)

    # Where nothing may be measured and nothing was, each is taken to train alone.
    parts = outline(spec, tmp_path).parts
    assert forecast(parts, images(), replace(ALONE, pack_size="auto"), measure=False) is None


def test_rows_that_were_made_alike_count_and_nothing_is_timed(tmp_path: Path, timed: Timed) -> None:
    spec = small_spec()
    made = {"device": "cpu", "pack_size": 1, "threads": 1}
    make_sweep(tmp_path, spec).append(rows(spec, made), [])

    found = of(spec, tmp_path, measure=False)

    assert found.work == pytest.approx(4 * 55.0)
    assert found.basis == "2 rows of this store"
    assert found.error == 0.1
    assert timed.kinds == []


def test_rows_of_compiled_networks_count_where_auto_took_to_compile(tmp_path: Path) -> None:
    spec, auto = small_spec(), replace(ALONE, compile="auto")
    store, made = make_sweep(tmp_path, spec), {"device": "cpu", "threads": 1, "compiled": True}
    store.append(rows(spec, made), [])
    assert forecast(outline(spec, tmp_path).parts, images(), auto, measure=False) is None

    taken = {"compiling": Compiling(asked="auto", taken=True)}
    read_manifest(store.paths.manifest).model_copy(update=taken).write(store.paths.manifest)

    assert of(spec, tmp_path, auto, measure=False).basis == "2 rows of this store"


@pytest.mark.parametrize(
    "execution",
    [
        replace(ALONE, pack_size=2),
        replace(ALONE, cpus=2),
    ],
)
def test_rows_that_were_made_otherwise_do_not_count(
    tmp_path: Path, timed: Timed, execution: Execution
) -> None:
    spec = small_spec()
    made = {"device": "cpu", "pack_size": 1, "threads": 1}
    make_sweep(tmp_path, spec).append(rows(spec, made), [])

    assert "timed here now" in of(spec, tmp_path, execution).basis
    assert len(timed.kinds) == 1


def test_a_pack_that_goes_on_counts_by_rows_of_packs_and_what_trains_alone_is_timed(
    tmp_path: Path, timed: Timed
) -> None:
    spec = small_spec(topologies=tuple(range(8)), seeds=(0,))
    made = {"device": "cpu", "pack_size": 3, "packed": True, "threads": 1}
    store = make_sweep(tmp_path, spec)
    store.append(rows(spec, made), [])
    begun = tuple(list(spec.trials())[2:5])
    read_manifest(store.paths.manifest).with_packs([begun]).write(store.paths.manifest)
    store.paths.checkpoint(pack_id(begun)).touch()

    found = of(spec, tmp_path)

    assert (found.packs, found.largest_pack) == (1, 3)
    assert found.work == pytest.approx(3 * 55.0 + 3 * A_TRIAL)
    (kind,) = timed.kinds
    assert not kind.packed


def test_nothing_is_measured_where_nothing_is_left(
    tmp_path: Path, timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(module, "settled_packing", refused)
    spec = small_spec()
    made = {"device": "cpu", "pack_size": 1, "threads": 1}
    make_sweep(tmp_path, spec).append(rows(spec, made, count=6), [])
    parts = outline(spec, tmp_path).parts

    assert forecast(parts, images(), replace(ALONE, pack_size="auto")) is None
    assert timed.kinds == []


def test_auto_is_measured_of_all_seeds_together(
    tmp_path: Path, timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Plan] = []

    def settled(plan: Plan, *_: object, **__: object) -> tuple[Packing, None]:
        given.append(plan)
        return Packing(asked="auto", size=6), None

    monkeypatch.setattr(module, "settled_packing", settled)
    spec = small_spec(topologies=(17,), seeds=tuple(range(6)))

    of(spec, tmp_path, replace(ALONE, pack_size="auto"))

    assert [plan.trials.keys() for plan in given] == [spec.trials().keys()]
    assert [len(kind.members) for kind in timed.kinds] == [6]


@pytest.mark.parametrize(("made_in", "count"), [(4, True), (8, True), (1, False), (9, False)])
@pytest.mark.usefixtures("timed")
def test_rows_count_that_were_made_in_packs_of_about_the_size_that_is_planned(
    tmp_path: Path, made_in: int, count: bool
) -> None:
    spec = small_spec()
    made = {"device": "cpu", "pack_size": made_in, "threads": 1, "packed": True}
    make_sweep(tmp_path, spec).append(rows(spec, made), [])

    found = of(spec, tmp_path, replace(ALONE, pack_size=64))

    assert (found.packs, found.largest_pack) == (1, 4), "the four that are left"
    assert (found.basis == "2 rows of this store") == count


def test_where_nothing_is_known_and_nothing_may_be_timed_there_is_no_forecast(
    tmp_path: Path, timed: Timed
) -> None:
    parts = outline(small_spec(), tmp_path).parts
    assert forecast(parts, images(), ALONE, measure=False) is None
    assert timed.kinds == []


def test_a_search_and_the_trainings_of_what_it_finds_are_timed_both(
    tmp_path: Path, timed: Timed
) -> None:
    spec = load_spec("search_demo", Overrides(search={"topology": (1, 1)}))
    found = forecast(outline(spec, tmp_path).parts, images(train_limit=432), ALONE)

    assert [type(kind.protocol) for kind in timed.kinds] == [Protocol, SearchProtocol]
    assert timed.how["at_most_seconds"] == 5.0
    assert found is not None
    # 192 images of either half in batches of 64, 50 epochs; three trainings of 432 images.
    search = 50 * (3 * 0.5 + 2.0) + 192 * 0.01 + 0.25
    assert found.work == pytest.approx(search + 3 * (5 * (9 * 0.5 + 360 * 0.01) + 0.25))
    assert found.basis.startswith("14 steps of 2 kinds of work")


def test_searches_of_a_pack_are_forecast_one_by_one(tmp_path: Path, timed: Timed) -> None:
    spec = search_spec(seeds=(0, 1), evaluation_seeds=())

    together, alone = (of(spec, tmp_path, replace(ALONE, pack_size=n)) for n in (4, None))

    assert packs_of_run(make_plan(spec, tmp_path), Packing(asked=4, size=4), workers=1)
    assert not timed.kinds[0].packed
    assert (together.packs, together.work) == (0, alone.work)


def test_warm_up_epochs_and_later_stages_of_a_search_count_as_they_are() -> None:
    search = SearchProtocol(images=100, epochs=3, batch_size=50, alpha_every="epoch")
    staged = SEARCH_PRESETS["search_pdarts"].with_values({"images": 96, "warmup_epochs": 0})
    weights_and_alphas = 25 * (0.5 + 2.0)

    assert seconds_of_search(search, STEP, 100) == pytest.approx(3 * (2 * 0.5 + 2.0) + 1.0)
    warmed = seconds_of_search(search.with_values({"warmup_epochs": 1}), STEP, 100)
    assert warmed == pytest.approx(2 * (2 * 0.5 + 2.0) + 2 * 0.5 + 1.0)
    # 5, 11 and 17 cells with 8, 5 and 3 operations.
    assert seconds_of_search(staged, STEP, 96) == pytest.approx(
        weights_and_alphas * (1 + 55 / 40 + 51 / 40) + 0.96
    )


def test_kinds_beyond_the_first_few_count_by_their_size(tmp_path: Path, timed: Timed) -> None:
    cells = [KNOWN_CELLS[name] for name in ("DARTS_V1", "DARTS_V2", "PDARTS", "PC_DARTS")]
    mixed = [Genotype(one.normal, other.reduction) for one in cells for other in cells]
    spec = GenotypeSweep(
        name="cells",
        protocol=Protocol(cells=5, init_channels=4, epochs=5),
        data=DataOptions(dataset="digits"),
        genotypes=tuple(str(genotype) for genotype in mixed),
        seeds=(0,),
    )
    found = of(spec, tmp_path)

    assert len(timed.kinds) == 5
    assert timed.how["at_most_seconds"] == 3.0
    assert found.work == pytest.approx(16 * A_TRIAL)
    assert found.error > 0.15


def test_what_there_was_no_time_for_is_told_from_what_is_cheaper(
    tmp_path: Path, timed: Timed
) -> None:
    timed.most = 1
    spec = load_spec("depth", Overrides(dataset="digits"))
    found = forecast(outline(spec, tmp_path).parts, images(), ALONE)

    assert found is not None
    assert found.error > 0.15
    cells = [
        kind.protocol.cells for kind in timed.kinds if isinstance(kind.protocol, SearchProtocol)
    ]
    assert cells == sorted(cells)

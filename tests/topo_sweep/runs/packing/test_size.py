"""What `--pack auto` measures, what it takes, and that it is measured once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.training.pack import Member
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.runs.pack_run import manifest_of, spec, swept
from tests.topo_sweep.runs.search_run import search_spec
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.packing import size
from topo_sweep.runs.packing.packs import Packs, pack_id
from topo_sweep.runs.packing.size import (
    Candidates,
    ask_here,
    bfloat16_remark,
    fastest,
    gain_of_bfloat16,
    measured_sizes,
    packs_of_run,
    saved_keys,
    seconds_by_size,
    settled_packing,
)
from topo_sweep.runs.plan import Plan, make_plan
from topo_sweep.runs.timing.step_time import StepTime
from topo_sweep.spec.load import SweepSpec
from topo_sweep.store.manifest import Packing, PackTime, read_manifest
from topo_sweep.store.opened import load_results

HERE = Execution(executor="inline", gpus=0.0)
ON_GPU = replace(HERE, gpus=1.0)
MEGABYTE = 2**20


def candidates(count: int) -> Candidates:
    protocol = small_spec().protocol
    members = tuple(Member(KNOWN_CELLS["DARTS_V2"], seed) for seed in range(count))
    return Candidates(members=members, protocol=protocol, dataset="digits", execution=HERE)


Asked = list[tuple[int, bool]]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    """Let steps take what is said, by size, 0 for a training alone; return what is timed."""

    def pretended(
        images_per_second: Mapping[int, float], *, memory: Mapping[int, int] | None = None
    ) -> Asked:
        asked: Asked = []

        def timed(
            members: Sequence[Member], protocol: Any, *_: Any, packed: bool, **__: Any
        ) -> Any:
            size = len(members)
            asked.append((size, packed))
            speed = images_per_second[size if packed else 0]
            if speed == 0:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return StepTime(
                size=size,
                seconds=size * protocol.batch_size / speed,
                evaluation_seconds=0.1,
                steps=4,
                peak_memory_bytes=(memory or {}).get(size, MEGABYTE),
            )

        monkeypatch.setattr(size, "time_steps", timed)
        return asked

    return pretended


# What is measured


def test_sizes_double_until_that_gains_nothing_twice(pretend: Callable[..., Asked]) -> None:
    asked = pretend({0: 90, 1: 100, 2: 190, 4: 180, 8: 300, 16: 310, 32: 280, 64: 999})

    device, times = measured_sizes(candidates(100))

    assert asked == [(1, False), *((size, True) for size in (1, 2, 4, 8, 16, 32))]
    assert device == "cpu"
    assert [round(each.images_per_second) for each in times] == [90, 100, 190, 180, 300, 310, 280]
    assert fastest(times) == 8, "the smallest within 5% of the fastest"


def test_no_more_go_together_than_there_are(pretend: Callable[..., Asked]) -> None:
    asked = pretend({0: 90, 1: 100, 2: 200, 4: 400, 6: 600})

    _, times = measured_sizes(candidates(6))

    assert asked[-2:] == [(4, True), (6, True)]
    assert fastest(times) == 6
    pretend({0: 90, 1: 100})
    assert [each.size for each in measured_sizes(candidates(1))[1]] == [1, 1]


@pytest.mark.parametrize(
    ("speeds", "memory"),
    [
        ({4: 400, 8: 800}, {4: 30 * MEGABYTE}),  # 8 would need 60 of 100
        ({4: 400, 8: 800}, {4: 10 * MEGABYTE, 8: 51 * MEGABYTE}),
        ({4: 400, 8: 0}, {}),  # out of memory
    ],
)
def test_half_of_the_memory_is_the_limit(
    speeds: dict[int, float],
    memory: dict[int, int],
    pretend: Callable[..., Asked],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(size, "_memory_bytes", lambda _: 100 * MEGABYTE)
    pretend({0: 90, 1: 100, 2: 200} | speeds, memory=memory)

    _, times = measured_sizes(candidates(64))

    assert fastest(times) == 4


def test_a_training_alone_is_taken_where_packs_gain_nothing(pretend: Callable[..., Asked]) -> None:
    pretend({0: 100, 1: 104, 2: 90, 4: 80})
    assert fastest(measured_sizes(candidates(8))[1]) is None
    pretend({0: 100, 1: 160, 2: 165, 4: 80})
    assert fastest(measured_sizes(candidates(8))[1]) == 1


def test_a_network_that_does_not_fit_into_memory_is_left_to_fail(
    tmp_path: Path, pretend: Callable[..., Asked]
) -> None:
    pretend({0: 0, 1: 0})

    packing, said = settled(make_plan(small_spec(), tmp_path))

    assert (packing.size, packing.measured) == (None, ())
    assert said is not None
    assert said.endswith("images/s: not even one fits into memory; each alone")
    assert gain_of_bfloat16((candidates(8), None)) == 1.0


def test_real_steps_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size, "_AT_MOST_SECONDS", 0.05)
    tiny = small_spec().protocol.with_values({"cells": 1, "init_channels": 2, "batch_size": 4})
    alone, pack = (
        replace(candidates(2), protocol=tiny).timed(size, packed=size > 1) for size in (1, 2)
    )

    assert (alone.size, alone.packed, pack.size, pack.packed) == (1, False, 2, True)
    assert all(each.images_per_second > 0 and each.memory_bytes for each in (alone, pack))


def test_what_lies_between_measured_sizes_takes_between_their_times() -> None:
    times = [
        PackTime(size=1, packed=False, images_per_second=1, memory_bytes=None),
        PackTime(size=1, packed=True, images_per_second=1, memory_bytes=None),
        PackTime(size=2, packed=True, images_per_second=2, memory_bytes=None),
        PackTime(size=4, packed=True, images_per_second=2, memory_bytes=None),
    ]
    seconds = seconds_by_size(Packing(asked="auto", size=4, measured=tuple(times)))
    assert seconds is not None

    assert [seconds(size) for size in (1, 2, 3, 4, 8)] == [1, 1, 1.5, 2, 4]
    assert seconds_by_size(Packing(asked=4, size=4)) is None


# When it is measured


def settled(
    plan: Plan, execution: Execution = HERE, *, workers: int = 1
) -> tuple[Packing, str | None]:
    return settled_packing(plan, "auto", execution, workers=workers, ask=ask_here)


def plan_of(results: Path, sweep: SweepSpec, packing: Packing | None = None) -> Plan:
    """Return the plan of a sweep that was asked for before and then put together like this."""
    store = make_sweep(results, sweep)
    manifest = make_plan(sweep, results).manifest
    assert manifest is not None
    manifest.model_copy(update={"packing": packing}).write(store.paths.manifest)
    return make_plan(sweep, results)


def test_trainings_a_worker_are_the_most_that_go_together(
    tmp_path: Path, pretend: Callable[..., Asked]
) -> None:
    asked = pretend({0: 1, 1: 1, 2: 2, 3: 3, 6: 6, 4: 4})
    plan = make_plan(small_spec(), tmp_path)  # of six

    assert settled(plan)[0].most == 6
    assert settled(plan, workers=2)[0].most == 3
    assert (6, True) in asked
    assert settled_packing(plan, 5, HERE, workers=2, ask=ask_here) == (
        Packing(asked=5, size=5),
        None,
    )


def test_what_was_measured_and_taken_is_said_in_a_line(
    tmp_path: Path, pretend: Callable[..., Asked]
) -> None:
    pretend({0: 662, 1: 1005, 2: 2010, 4: 4020, 6: 6030})

    _, said = settled(make_plan(small_spec(), tmp_path))

    assert said == (
        "--pack auto, measured in 0 s on cpu with 1 thread, images/s: 662 alone, 1,005 in a pack "
        "of 1, 2,010 of 2, 4,020 of 4, 6,030 of 6; packs of up to 6"
    )


def test_what_was_measured_stays(tmp_path: Path, pretend: Callable[..., Asked]) -> None:
    asked = pretend(dict.fromkeys(range(65), 100.0))
    known = Packing(asked="auto", size=2, most=6, device="cpu", on_gpu=False, threads=1)
    plan = plan_of(tmp_path, small_spec(), known)

    assert settled(plan) == (known, "--pack auto: packs of up to 2, as measured before")
    assert settled(plan, workers=3)[0] == known, "whatever the workers are"
    assert not asked
    assert settled(plan, replace(HERE, cpus=2))[0].threads == 2, "other devices are others"
    assert asked


def test_more_trainings_than_before_are_measured_where_only_their_number_was_the_limit(
    tmp_path: Path, pretend: Callable[..., Asked]
) -> None:
    pretend(dict.fromkeys(range(65), 100.0))
    known = Packing(asked="auto", size=6, most=6, device="cpu", on_gpu=False, threads=1)
    more = small_spec(seeds=(0, 1, 2))
    plan_of(tmp_path, small_spec(), known)

    assert settled(make_plan(small_spec(), tmp_path))[0] == known
    assert settled(make_plan(more, tmp_path))[0].most == 9
    plan_of(tmp_path, small_spec(), known.model_copy(update={"size": 4}))
    assert settled(make_plan(more, tmp_path))[0].size == 4


def test_a_known_cell_stands_for_one_that_is_still_searched_for(tmp_path: Path) -> None:
    given: list[Candidates] = []

    def ask(_function: object, asked: Candidates) -> tuple[str, list[PackTime]]:
        given.append(asked)
        return "cpu", [PackTime(size=1, packed=False, images_per_second=1, memory_bytes=None)]

    plan = make_plan(search_spec(evaluation_seeds=(3, 4)), tmp_path)
    settled_packing(plan, "auto", HERE, workers=1, ask=ask)

    assert given[0].members == tuple(Member(KNOWN_CELLS["DARTS_V2"], seed) for seed in (3, 4))
    nothing = make_plan(search_spec(evaluation_seeds=()), tmp_path)
    assert settled_packing(nothing, "auto", HERE, workers=1, ask=ask)[0].size is None
    assert len(given) == 1


@pytest.mark.slow
def test_a_run_keeps_choice_measurements_and_packs_and_goes_on_with_them(
    tmp_path: Path, pretend: Callable[..., Asked]
) -> None:
    asked = pretend({0: 100, 1: 100, 2: 200, 4: 190})
    assert swept(tmp_path, pack_size="auto").progress.ok == 4

    first = manifest_of(tmp_path)
    assert first.packing is not None
    assert (first.packing.asked, first.packing.size) == ("auto", 2)
    assert [each.images_per_second for each in first.packing.measured] == pytest.approx(
        [100, 100, 200, 190]
    )
    assert [len(pack) for pack in first.packs] == [2, 2]
    assert '"pack_size": 2, "packed": true' in str(load_results(tmp_path)["execution"].iloc[0])
    asked.clear()
    swept(tmp_path, pack_size="auto", sweep=spec().model_copy(update={"seeds": (0, 1)}))
    assert not asked
    assert manifest_of(tmp_path).packing == first.packing
    assert manifest_of(tmp_path).packs[:2] == first.packs


# The packs of a run


def test_packs_that_were_begun_stay_where_others_are_asked_for_now(tmp_path: Path) -> None:
    ids = tuple(small_spec().trials())
    planned = (ids[:3], ids[3:])
    paths = plan_of(tmp_path, small_spec(), Packing(asked=3, size=3)).store.paths
    read_manifest(paths.manifest).with_packs(planned).write(paths.manifest)

    def packs(size: int) -> Packs:
        return packs_of_run(
            make_plan(small_spec(), tmp_path), Packing(asked=size, size=size), workers=1
        )

    assert packs(3) == planned, "as before"
    assert packs(6) == (ids,), "none was begun"
    paths.checkpoint(pack_id(planned[1])).touch()
    assert packs(6)[0] == planned[1]
    assert set(packs(6)[1]) == set(planned[0])
    assert packs(2)[0] == planned[1]
    assert max(map(len, packs(2)[1:])) == 2


def test_a_pack_of_which_only_a_member_was_begun_alone_is_planned_anew(tmp_path: Path) -> None:
    ids = tuple(small_spec().trials())
    planned, packing = (ids[:3], ids[3:]), Packing(asked=3, size=3)
    paths = plan_of(tmp_path, small_spec(), packing).store.paths
    read_manifest(paths.manifest).with_packs(planned).write(paths.manifest)

    paths.checkpoint(ids[0]).touch()
    assert packs_of_run(make_plan(small_spec(), tmp_path), packing, workers=1) == (
        planned[1],
        ids[1:3],
    )
    paths.checkpoint(pack_id(planned[0])).touch()
    assert packs_of_run(make_plan(small_spec(), tmp_path), packing, workers=1) == planned


def test_packs_whose_plan_was_lost_are_planned_as_at_first(tmp_path: Path) -> None:
    sweep, packing = small_spec(topologies=tuple(range(7))), Packing(asked=3, size=3)
    at_first = packs_of_run(make_plan(sweep, tmp_path), packing, workers=2)
    store = make_sweep(tmp_path, sweep)
    store.append([trial_row(key) for key in (*at_first[1], at_first[2][0])], [])
    store.paths.manifest.unlink()

    plan = make_plan(sweep, tmp_path)

    assert len(plan.left) == 14 - len(at_first[1]) - 1
    assert packs_of_run(plan, packing, workers=2) == at_first


def test_a_new_sweep_has_saved_nothing(tmp_path: Path) -> None:
    assert saved_keys(make_plan(small_spec(), tmp_path)) == set()


# What bfloat16 would save


def test_a_sweep_in_float32_on_a_gpu_is_told_once_what_bfloat16_would_save(tmp_path: Path) -> None:
    given: list[Any] = []

    def ask(function: object, request: Any) -> float:
        assert function is gain_of_bfloat16
        given.append(request)
        return 1.84

    new, size_4 = make_plan(small_spec(), tmp_path), Packing(asked=4, size=4)

    said = bfloat16_remark(new, size_4, ON_GPU, ask)

    assert said is not None
    assert said.startswith("bfloat16 would train 1.8 times as fast here, by a few steps of each; ")
    assert given[0][1] == 4
    assert bfloat16_remark(new, None, HERE, ask) is None, "on a CPU"
    assert bfloat16_remark(plan_of(tmp_path, small_spec()), None, ON_GPU, ask) is None, "not new"
    other = small_spec(protocol=small_spec().protocol.with_values({"precision": "tf32"}))
    assert bfloat16_remark(make_plan(other, tmp_path), None, ON_GPU, ask) is None
    assert bfloat16_remark(new, None, ON_GPU, lambda *_: 1.01) is None, "nothing to speak of"


def test_precisions_are_compared_in_packs_of_the_size_that_trains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, int, bool]] = []

    def timed(self: Candidates, size: int, *, packed: bool) -> PackTime:
        precision = self.protocol.precision
        asked.append((precision, size, packed))
        speed = 300.0 if precision == "bfloat16" else 200.0
        return PackTime(size=size, packed=packed, images_per_second=speed, memory_bytes=None)

    monkeypatch.setattr(Candidates, "timed", timed)

    assert gain_of_bfloat16((candidates(8), 4)) == 1.5
    assert gain_of_bfloat16((candidates(8), None)) == 1.5
    assert asked == [
        ("float32", 4, True),
        ("bfloat16", 4, True),
        ("float32", 1, False),
        ("bfloat16", 1, False),
    ]

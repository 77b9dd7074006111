"""How many packs share a GPU: what is measured, what bounds it, and that memory ran out before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_core.protocols.data import DATASETS
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.runs.search_run import search_spec
from topo_sweep.runs.execution import Execution, times_in_one
from topo_sweep.runs.packing import gpu_share
from topo_sweep.runs.packing.gpu_share import (
    GpuShare,
    Memory,
    Work,
    measured_memory,
    part_of_gpu,
    settled_sharing,
)
from topo_sweep.runs.packing.packs import Pack, Packs
from topo_sweep.runs.plan import Plan, make_plan
from topo_sweep.runs.timing.at_once import Kind, kind_of
from topo_sweep.spec.load import SweepSpec
from topo_sweep.store.manifest import Packing, Sharing

AUTO = Execution(gpus="auto")
GIB = 2**30
TRIALS = list(small_spec().trials().values())
MEASURED = Sharing(
    asked="auto",
    packs=4,
    trainings=1,
    device="A GPU",
    on_gpu=True,
    threads=1,
    pack_bytes=2 * GIB,
    gpu_bytes=10 * GIB,
)


class Asked:
    """Answers what a pack takes of 10 GiB, and keeps what was asked."""

    def __init__(self, gib: float = 2.0) -> None:
        self.gib = gib
        self.works: list[Work] = []

    def __call__(self, function: object, work: Work) -> Memory:
        assert function is measured_memory
        self.works.append(work)
        return Memory(device="A GPU", pack_bytes=int(self.gib * GIB), gpu_bytes=10 * GIB)


def settled(
    plan: Plan,
    execution: Execution = AUTO,
    *,
    ask: Any = None,
    packs: Packs = (),
    packing: Packing | None = None,
    gpus: int = 1,
    most: int = 16,
) -> tuple[Sharing | None, str | None]:
    return settled_sharing(
        plan, packs, packing, execution, gpus=gpus, most=most, ask=ask or Asked()
    )


def plan_of(results: Path, sharing: Sharing | None = None, sweep: SweepSpec | None = None) -> Plan:
    """Return the plan of a sweep, of which that was settled before."""
    spec = sweep or small_spec()
    store = make_sweep(results, spec)
    manifest = make_plan(spec, results).manifest
    assert manifest is not None
    manifest.model_copy(update={"sharing": sharing}).write(store.paths.manifest)
    return make_plan(spec, results)


# What is taken


@pytest.mark.parametrize(
    ("gib", "bounds", "packs", "why"),
    [
        (2.0, {}, 4, "as its memory holds"),  # 8 of 10, since a fifth is left free
        (2.0, {"most": 3}, 3, "as its node has CPUs for"),
        (2.0, {"gpus": 3}, 2, "as there are to train"),  # six trials
        (9.0, {}, 1, "as its memory holds"),
        (2.0, {"most": 0}, 1, "as its node has CPUs for"),
    ],
)
def test_as_many_share_a_gpu_as_memory_processors_and_work_allow(
    gib: float, bounds: dict[str, Any], packs: int, why: str, tmp_path: Path
) -> None:
    found, said = settled(make_plan(small_spec(), tmp_path), ask=Asked(gib), **bounds)

    assert found is not None
    assert found == MEASURED.model_copy(update={"packs": packs, "pack_bytes": int(gib * GIB)})
    shared = "each has a GPU of its own" if packs == 1 else f"{packs} share a GPU"
    assert said == (
        f"--gpus-per-pack auto, measured in 0 s on A GPU: a pack takes up to {gib} of 10.0 GiB; "
        f"{shared}, {why}"
    )


def test_what_was_measured_stays_and_so_does_it_that_memory_ran_out(tmp_path: Path) -> None:
    ask = Asked()
    plan = plan_of(tmp_path, MEASURED)

    found, said = settled(plan, ask=ask)
    assert (found, ask.works) == (MEASURED, [])
    assert said is not None
    assert said.startswith("--gpus-per-pack auto, as measured before: a pack takes up to 2.0 of")
    found, said = settled(plan_of(tmp_path, MEASURED.model_copy(update={"ran_out_at": (4,)})))
    assert found is not None
    assert found.packs == 2
    assert str(said).endswith("2 share a GPU, since memory ran out with more")


@pytest.mark.parametrize(
    "now",
    [
        {"execution": replace(AUTO, cpus=2)},
        {"packs": (tuple(trial.trial_id for trial in TRIALS[:2]),)},
        {"packing": Packing(asked=2, size=2)},
    ],
)
def test_it_is_measured_again_where_packs_are_others_or_their_threads(
    now: dict[str, Any], tmp_path: Path
) -> None:
    ask = Asked()

    settled(plan_of(tmp_path, MEASURED), ask=ask, **now)

    assert len(ask.works) == 1


def test_a_part_that_was_asked_for_is_taken_until_memory_has_run_out(tmp_path: Path) -> None:
    quarter = Execution(gpus=0.25)
    found, said = settled(make_plan(small_spec(), tmp_path), quarter)
    assert (found, said) == (Sharing(asked=0.25, packs=4), None)

    less = Sharing(asked=0.25, packs=2, ran_out_at=(4,))
    plan = plan_of(tmp_path, less)
    assert settled(plan, quarter) == (
        less,
        "--gpus-per-pack 0.25: 2 share a GPU, since memory ran out with more",
    )
    assert settled(plan, Execution(gpus=0.2))[0] == Sharing(asked=0.2, packs=5), "asked anew"


@pytest.mark.parametrize("gpus", [None, 0.0, 0.6, 1.0, 2.0])
def test_where_each_has_gpus_of_its_own_nothing_is_shared(
    gpus: float | None, tmp_path: Path
) -> None:
    assert settled(make_plan(small_spec(), tmp_path), Execution(gpus=gpus)) == (None, None)


# What is measured


def test_the_largest_of_each_kind_of_work_is_measured(tmp_path: Path) -> None:
    ids = [trial.trial_id for trial in TRIALS]
    ask = Asked()
    settled(make_plan(small_spec(), tmp_path), ask=ask, packs=(tuple(ids[:2]), tuple(ids[2:5])))

    (work,) = ask.works
    assert (work.dataset, work.execution) == ("digits", AUTO)
    assert [(kind.packed, len(kind.members), count) for kind, count in work.kinds] == [
        (True, 3, 1),
        (False, 1, 1),
    ]


def test_searches_of_a_pack_count_as_often_as_there_are(tmp_path: Path) -> None:
    plan = make_plan(search_spec(seeds=(0, 1, 2), evaluation_seeds=(0,)), tmp_path)
    searches = tuple(key for key, trial in plan.trials.items() if trial.finds_cell)
    ask = Asked()
    settled(plan, ask=ask, packs=(searches,))

    kinds = {len(kind.members): (kind.packed, count) for kind, count in ask.works[0].kinds}
    assert kinds == {0: (False, len(searches)), 1: (False, 1)}


class Gpu:
    """A GPU of 1,000 bytes, of which the context takes 100 and each step more than the one before.

    What a process has taken stays taken until it gives it back.
    """

    def __init__(self, patch: pytest.MonkeyPatch, takes: Sequence[int | Exception]) -> None:
        self.free, self.takes = 900, list(takes)
        patch.setattr(torch.cuda, "mem_get_info", lambda: (self.free, 1000))
        patch.setattr(torch.cuda, "empty_cache", self.empty)
        patch.setattr(gpu_share, "time_batches", self.step)
        patch.setattr(gpu_share, "_image_bytes", lambda _: 7)

    def step(self, *_: object) -> None:
        taken = self.takes.pop(0)
        if isinstance(taken, Exception):
            raise taken
        self.free -= taken

    def empty(self) -> None:
        self.free = 900


KIND = kind_of(TRIALS[0])


@pytest.mark.parametrize(
    ("counts", "takes", "taken"),
    [
        ((1,), (50,), 157),
        ((1, 1), (50, 30), 157),
        ((3,), (50,), 257),  # the context counts once
        ((1, 1), (50, torch.OutOfMemoryError("CUDA out of memory")), 1007),
    ],
)
def test_a_pack_takes_what_is_no_longer_free_and_its_images(
    counts: tuple[int, ...],
    takes: tuple[int | Exception, ...],
    taken: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Gpu(monkeypatch, takes)
    kinds = tuple((KIND, count) for count in counts)

    found = measured_memory(Work(kinds=kinds, dataset="digits", execution=Execution(gpus=0.0)))

    assert found == Memory(device="cpu", pack_bytes=taken, gpu_bytes=1000)


def test_real_steps_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (900, 1000))
    monkeypatch.setattr(gpu_share, "_SECONDS_A_KIND", 0.05)
    tiny = {"cells": 1, "init_channels": 2, "batch_size": 4}
    kind = Kind(KIND.protocol.with_values(tiny), KIND.members)

    found = measured_memory(
        Work(kinds=((kind, 1),), dataset="digits", execution=Execution(gpus=0.0))
    )

    info = DATASETS["digits"]
    images = info.train_images + info.test_images
    assert found.pack_bytes == 100 + images * (3 * 8 * 8 + 8)


# What a pack gets


def test_parts_of_a_gpu_go_into_it_as_often_as_they_should() -> None:
    for packs in range(1, 60):
        part = part_of_gpu(packs)
        assert times_in_one(part) == packs
        assert packs * round(part * 10_000) <= 10_000, "as Ray counts"


def test_fewer_share_a_gpu_from_when_memory_ran_out_on() -> None:
    share = GpuShare(Sharing(asked=0.2, packs=5))
    execution, (first, second, third) = Execution(gpus=0.2), TRIALS[:3]
    assert (share.packs, share.gpus(execution)) == (5, 0.2)
    share.begins(first)
    share.begins(second)

    share.ran_out(share.packs_with(first))
    share.ran_out(share.packs_with(second))  # it began when five were there

    assert (share.packs, share.gpus(execution)) == (2, 0.5)
    share.begins(third)
    share.ran_out(share.packs_with(third))
    assert (share.packs, share.gpus(execution)) == (1, 1.0)
    assert share.sharing is not None
    assert share.sharing.ran_out_at == (5, 2)
    share.begins(third)
    assert share.packs_with(third) == 1


def test_a_part_that_goes_into_a_gpu_with_a_rest_is_left_as_it_was_asked_for() -> None:
    assert GpuShare(Sharing(asked=0.4, packs=2)).gpus(Execution(gpus=0.4)) == 0.4
    assert GpuShare(Sharing(asked="auto", packs=3)).gpus(Execution(gpus="auto")) == 0.3333


def test_without_shared_gpus_each_gets_what_was_settled() -> None:
    share = GpuShare()
    pack = Pack(tuple(small_spec().trials().values()))
    share.begins(pack)

    assert share.gpus(Execution(gpus=2.0)) == 2.0
    assert share.packs_with(pack) == 1

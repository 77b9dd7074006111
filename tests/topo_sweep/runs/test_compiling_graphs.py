"""How many steps of graphs are left, and how many graphs they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.topo_sweep.runs.pack_run import spec
from topo_sweep.runs.compiling import Work, work_left
from topo_sweep.runs.plan import make_plan
from topo_sweep.spec.trials import Trial


def test_trainings_alone_make_a_graph_for_each_wiring(tmp_path: Path) -> None:
    plan = make_plan(spec(), tmp_path)

    # Four topologies, three epochs of 40 images in batches of eight.
    assert work_left(plan, (), images=40, workers=1) == Work(steps=60, graphs=4)
    assert work_left(plan, (), images=47, workers=3) == Work(steps=60, graphs=4)


def test_graphs_that_a_worker_forgets_are_made_again(tmp_path: Path) -> None:
    def graphs(wirings: int, seeds: int, *, workers: int = 1, size: int = 1) -> int:
        many = {"topologies": tuple(range(wirings)), "seeds": tuple(range(seeds))}
        plan = make_plan(spec().model_copy(update=many), tmp_path)
        ids = tuple(plan.trials)
        cut = tuple(ids[first : first + size] for first in range(0, len(ids), size))
        packs = cut if size > 1 else ()  # else each alone
        return work_left(plan, packs, images=40, workers=workers).graphs

    assert graphs(25, 2) == 25
    # The 51st network comes after all were forgotten: each seed of more wirings makes all anew.
    assert graphs(60, 2) == 120
    assert graphs(30, 10) == 180
    assert graphs(60, 2, workers=3) == 120
    assert graphs(25, 4, size=50) == 1
    assert graphs(25, 4, size=50, workers=2) == 2, "workers share none"
    assert graphs(1, 120, size=2) == 2
    assert graphs(1, 120, size=2, workers=2) == 2


def test_steps_that_run_no_graph_are_not_counted(tmp_path: Path) -> None:
    # The first of three epochs drops no path.
    plan = make_plan(spec(drop_path=0.3), tmp_path)
    assert work_left(plan, (), images=47, workers=1).steps == 40
    assert work_left(plan, (), images=7, workers=1).steps == 0


def graphs_of(results: Path, packs: list[list[tuple[int, int]]], **fields: Any) -> int:
    """Count the graphs that one worker makes for packs of (topology, seed)."""
    asked = {"topologies": (0, 60, 120, 179), "seeds": (0, 1, 2, 3)} | fields
    plan = make_plan(spec().model_copy(update=asked), results)
    ids = {
        (trial.genotype.normal.topology.index, trial.seed): key
        for key, trial in plan.trials.items()
        if isinstance(trial, Trial)
    }
    chosen = tuple(tuple(ids[member] for member in pack) for pack in packs)
    rest = dict.fromkeys(set(plan.trials) - {key for pack in chosen for key in pack}, "ok")
    work = work_left(replace(plan, finished=rest), chosen, images=40, workers=1)
    assert work.steps == 15 * len(packs)
    return work.graphs


def test_packs_of_one_size_that_read_the_same_states_share_a_graph(tmp_path: Path) -> None:
    seeds = [[(60, 0), (60, 1)], [(60, 2), (60, 3)]]

    assert graphs_of(tmp_path, seeds) == 1
    assert graphs_of(tmp_path, [*seeds, [(60, 0), (60, 1), (60, 2)]]) == 2
    one_seed = [(0, 0), (179, 0)]
    assert graphs_of(tmp_path, [one_seed, [(179, 1), (0, 1)]]) == 1
    assert graphs_of(tmp_path, [one_seed, [(179, 1), (0, 2)]]) == 2, "each sees its own images"


def test_packs_that_read_other_states_have_graphs_of_their_own(tmp_path: Path) -> None:
    alone = [[(topology, seed)] for topology in (0, 60, 120, 179) for seed in (0, 1)]

    assert graphs_of(tmp_path, alone) == 4
    assert graphs_of(tmp_path, [[(0, 0), (60, 0)], [(120, 0), (179, 0)]]) == 2


def test_in_phase_2_packs_have_graphs_of_their_own_where_more_columns_stride(
    tmp_path: Path,
) -> None:
    first = [(0, 0), (179, 0), (179, 1)]

    def graphs(second: list[tuple[int, int]]) -> int:
        return graphs_of(
            tmp_path,
            [first, second],
            reduction_topology="same",
            reduction_operation="sep_conv_3x3",
        )

    assert graphs([(179, 2), (179, 3), (0, 1)]) == 1
    assert graphs([(0, 1), (0, 2), (179, 2)]) == 2

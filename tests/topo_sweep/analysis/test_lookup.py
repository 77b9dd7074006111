"""A sweep as a benchmark: what a query answers, from exact rows or from a class, and what not."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.cells.topology import Topology, isomorphism_classes
from nas_core.errors import InputError
from tests.pages import blocks
from tests.topo_sweep.analysis.inference.random_beside import (
    FOUND_ACCURACIES,
    RANDOM_ACCURACIES,
    searched_with_random_cells,
)
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.store_rows import curve_of, trial_row
from topo_sweep.analysis.lookup import Benchmark
from topo_sweep.spec.load import SweepSpec
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.spec.trials import Trial

MEMBERS = isomorphism_classes()[1]
"""Six topologies of one class."""


def accuracy(trial: Trial) -> float:
    """A made-up accuracy that tells topology and seed."""
    return 0.5 + trial.genotype.normal.topology.index / 1000 + trial.seed / 100


def benchmark(
    results: Path, spec: SweepSpec, changes: dict[int, dict[str, Any]] | None = None
) -> Benchmark:
    """Return that of a sweep in which all has ended; `changes` are to the row with a number."""
    store = make_sweep(results, spec)
    rows, curves = [], []
    for number, trial in enumerate(spec.trials().values()):
        assert isinstance(trial, Trial)
        row = trial_row(**trial.identity(), test_accuracy=accuracy(trial), epochs=5)
        row |= (changes or {}).get(number, {})
        rows.append(row | {"kind": spec.kind})
        curves += [
            epoch | {"test_accuracy": accuracy(trial) - (4 - epoch["epoch"]) / 10}
            for epoch in curve_of(row)
        ]
    store.append(rows, curves)
    return Benchmark.load(store.paths.folder)


def test_a_query_is_the_mean_over_seeds_one_seed_or_one_of_the_trainings(tmp_path: Path) -> None:
    found = benchmark(tmp_path, small_spec(topologies=(0, 17), seeds=(3, 4, 5)))
    topology = Topology.from_index(17)

    mean = found.query(topology)
    assert mean.test_accuracy == pytest.approx(0.517 + 0.04)
    assert (mean.n, mean.runs, mean.seed, mean.match, mean.status) == (3, 3, None, "genotype", "ok")
    assert (mean.seconds, mean.parameters, mean.multiply_adds) == (10.0, 1234, 56789)
    assert (mean.train_accuracy, mean.val_accuracy) == (0.75, None)
    assert found.query(topology, seed="mean") is mean

    one = found.query(topology, seed=5)
    assert one.test_accuracy == pytest.approx(0.567)
    assert (one.n, one.seed) == (1, 5)
    drawn = Counter(found.query(topology, seed="sample").seed for _ in range(300))
    assert set(drawn) == {3, 4, 5}
    assert min(drawn.values()) > 60


def test_draws_are_the_same_for_the_same_seed_of_theirs(tmp_path: Path) -> None:
    folder = benchmark(tmp_path, small_spec(seeds=tuple(range(5)))).folder
    first, again, other = (
        [b.query(Topology.from_index(1), seed="sample").seed for _ in range(20)]
        for b in (Benchmark.load(folder, sample_seed=seed) for seed in (0, 0, 1))
    )
    assert first == again != other


def test_an_epoch_is_that_of_the_curves_and_its_seconds_are_those_until_then(
    tmp_path: Path,
) -> None:
    found = benchmark(tmp_path, small_spec(topologies=(0, 17), seeds=(0, 1)))
    topology = Topology.from_index(17)

    second = found.query(topology, epoch=1)

    assert second.test_accuracy == pytest.approx(0.522 - 0.3)
    assert (second.epoch, second.seconds) == (1, 10.0)
    last = found.query(topology, epoch=4, seed=1).test_accuracy
    assert last == pytest.approx(found.query(topology, seed=1).test_accuracy)
    with pytest.raises(InputError, match=r"there is no epoch 5: they are 0\.\.4"):
        found.query(topology, epoch=5)


def test_another_member_of_a_class_is_answered_by_those_that_were_trained(tmp_path: Path) -> None:
    first, second, third = MEMBERS[:3]
    found = benchmark(tmp_path, small_spec(topologies=(first.index, second.index, 17)))

    answer = found.query(third)

    both = [found.query(member).test_accuracy or 0 for member in (first, second)]
    assert answer.test_accuracy == pytest.approx(sum(both) / 2)
    assert (answer.match, answer.n, answer.runs) == ("class", 2, 4)
    assert found.query(first).match == "genotype"
    trained = found.isomorphic(third)
    assert found.isomorphic(first) == found.isomorphic(str(trained[1])) == trained
    assert [genotype.normal.topology for genotype in trained] == [first, second]
    assert {found.query(third, seed="sample").genotype for _ in range(50)} == set(map(str, trained))


def test_cells_of_mixed_operations_are_looked_up_with_their_operations(tmp_path: Path) -> None:
    known = KNOWN_CELLS["DARTS_V1"]
    spec = GenotypeSweep(
        name="known", protocol=small_spec().protocol, data=small_spec().data,
        genotypes=(str(known),),
    )  # fmt: skip
    found = benchmark(tmp_path, spec)
    renamed = Genotype.from_string(
        "sep_conv_3x3@0+sep_conv_3x3@1;skip_connect@0+sep_conv_3x3@1;"
        "sep_conv_3x3@0+skip_connect@2;skip_connect@0+sep_conv_3x3@1|" + str(known.reduction)
    )

    assert found.query(renamed).match == "class"
    assert found.query("DARTS_V1") == found.query(known) == found.query(str(known))
    assert KNOWN_CELLS["DARTS_V2"] not in found
    with pytest.raises(InputError, match="topology"):
        found.query(known.normal.topology)  # its operations are not told by its wiring


def test_what_was_not_trained_is_an_error_that_says_how_many_were(tmp_path: Path) -> None:
    found = benchmark(tmp_path, small_spec(topologies=(0, 17)))

    assert Topology.from_index(17) in found
    assert Topology.from_index(179) not in found
    assert "no genotype" not in found
    with pytest.raises(InputError, match=r"topology 179 was not trained in .* 2 networks were"):
        found.query(Topology.from_index(179))
    with pytest.raises(InputError, match="there is no seed 9 here: use 0, 1, mean or sample"):
        found.query(Topology.from_index(0), seed=9)


def test_a_wiring_that_several_networks_share_says_which_are_meant(tmp_path: Path) -> None:
    cells = [
        "sep_conv_3x3@0+sep_conv_3x3@1|max_pool_3x3@0+max_pool_3x3@1",
        "sep_conv_3x3@0+sep_conv_3x3@1|avg_pool_3x3@0+avg_pool_3x3@1",
    ]
    spec = GenotypeSweep(
        name="two", protocol=small_spec().protocol, data=small_spec().data, genotypes=tuple(cells)
    )
    found = benchmark(tmp_path, spec)

    assert [str(genotype) for genotype in found] == sorted(cells)
    with pytest.raises(InputError, match="2 different networks here are wired like topology 0"):
        found.query(Topology.from_index(0, nodes=1))


def test_cells_that_searches_found_and_random_ones_beside_them_are_looked_up_alike(
    tmp_path: Path,
) -> None:
    both = Benchmark.load(searched_with_random_cells(tmp_path))

    reached = [both.query(genotype).test_accuracy for genotype in both]
    assert sorted(map(float, filter(None, reached))) == pytest.approx(
        sorted([*RANDOM_ACCURACIES, *FOUND_ACCURACIES])
    )


def test_failed_trainings_are_left_out_and_diverged_ones_count(tmp_path: Path) -> None:
    lost: dict[str, Any] = {"status": "diverged", "test_accuracy": None, "epochs": 2}
    changes: dict[int, dict[str, Any]] = {0: {"status": "failed"}, 1: lost}
    found = benchmark(tmp_path, small_spec(topologies=(0, 17), seeds=(0, 1)), changes)

    assert found.query(Topology.from_index(0)).n == 1
    mean = found.query(Topology.from_index(17))
    assert mean.test_accuracy == pytest.approx(0.527 / 2)
    assert (mean.status, mean.val_accuracy) == ("diverged", None)
    # After the epochs that it got through it keeps the last accuracy that it had.
    later = found.query(Topology.from_index(17), epoch=3, seed=0)
    assert later.test_accuracy == pytest.approx(0.517 - 0.3)
    assert later.seconds == 10.0


def test_nothing_trained_is_nothing_to_look_up(tmp_path: Path) -> None:
    make_sweep(tmp_path, small_spec())
    with pytest.raises(InputError, match="no finished training to look up"):
        Benchmark.load(tmp_path)


def test_the_search_of_the_page_finds_one_of_the_best_fifth_of_the_classes(tmp_path: Path) -> None:
    spec = small_spec(topologies=tuple(members[0].index for members in isomorphism_classes()))
    folder = benchmark(tmp_path, spec).folder
    example = blocks("python", "docs/api.md")[1]
    assert sum(bool(line.strip()) for line in example.splitlines()) <= 20
    plan = SimpleNamespace(store=SimpleNamespace(paths=SimpleNamespace(folder=folder)))
    names: dict[str, Any] = {"plan": plan}

    exec(compile(example, "docs/api.md", "exec"), names)  # noqa: S102 - the page is ours

    found = names["benchmark"].query(names["best"]).test_accuracy
    means = [names["benchmark"].query(genotype).test_accuracy for genotype in names["benchmark"]]
    assert found in sorted(means)[-16:]


def test_loading_needs_no_torch(tmp_path: Path) -> None:
    folder = benchmark(tmp_path, small_spec()).folder
    script = (
        "import sys; from topo_sweep import Benchmark; "
        f"print(len(Benchmark.load({str(folder)!r})), 'torch' in sys.modules)"
    )
    output = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert output.split() == ["3", "False"]

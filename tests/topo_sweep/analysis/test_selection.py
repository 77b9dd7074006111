"""What is chosen from a sweep, on which seeds, and how sure the choice says it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.errors import InputError
from tests.topo_sweep.analysis.choice_rows import HOLDOUT, finished, searched, topologies
from tests.topo_sweep.analysis.ranking_rows import uniform
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.runs.search_run import FOUND, OTHER, search_spec
from tests.topo_sweep.store.store_rows import ON_DISK
from topo_sweep.analysis.selection import (
    Choice,
    above,
    best_topologies,
    chosen_on_test_images,
    found_by,
    winner,
)
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.store.opened import open_sweep

CELLS = GenotypeSweep(name="cells", genotypes=("DARTS_V1", "DARTS_V2", "PDARTS"))
SIXTEENTHS = st.integers(0, 16).map(lambda count: count / 16)
V1, V2, PDARTS = (KNOWN_CELLS[name] for name in ("DARTS_V1", "DARTS_V2", "PDARTS"))


def indices(choice: Choice) -> list[int]:
    return [genotype.normal.topology.index for genotype in choice.genotypes]


def warnings(choice: Choice) -> list[str]:
    return [remark for remark in choice.remarks if remark.startswith("warning: ")]


# The best topologies


def test_where_images_are_held_out_validation_accuracy_selects_without_a_warning(
    tmp_path: Path,
) -> None:
    accuracies = {0: [0.5, 0.6], 1: [0.9, 0.8], 17: [0.7, 0.7]}
    sweep = topologies(tmp_path, accuracies, data=HOLDOUT)

    choice = best_topologies(sweep, 2)

    assert indices(choice) == [1, 17], "by test accuracy it would be 0 and 17"
    assert warnings(choice) == []
    assert choice.origin == (
        f"the best 2 of 3 classes of {sweep.folder.name} by last-epoch validation accuracy"
    )


def test_without_a_hold_out_test_accuracy_selects_and_is_called_optimistic(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, {0: [0.5, 0.6], 1: [0.9, 0.8], 17: [0.7, 0.7]})

    choice = best_topologies(sweep, 2)

    assert indices(choice) == [1, 17]
    assert warnings(choice) == [choice.remarks[0]], "first of all"
    assert "no images were held out" in choice.remarks[0]
    assert "optimistic" in choice.remarks[0]
    assert choice.origin.endswith("by last-epoch test accuracy (optimistic)")
    (said,) = chosen_on_test_images(["by validation accuracy", f"DARTS_V2; {choice.origin}"])
    assert said == f"Chosen on the test images, so optimistic on them: {choice.origin}."


def test_one_is_chosen_unless_asked_otherwise(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, {0: [0.5], 1: [0.9], 17: [0.7]})

    assert indices(best_topologies(sweep)) == [1]
    assert best_topologies(sweep).origin.startswith("the best of 3 classes of small-digits-")


@pytest.mark.slow
@ON_DISK
@given(
    accuracies=st.dictionaries(
        st.integers(0, 179), st.lists(SIXTEENTHS, min_size=2, max_size=2), min_size=1
    ),
    data=st.data(),
)
def test_no_topology_left_out_is_better_than_one_that_is_chosen(
    tmp_path_factory: pytest.TempPathFactory,
    accuracies: dict[int, list[float]],
    data: st.DataObject,
) -> None:
    sweep = topologies(tmp_path_factory.mktemp("results"), accuracies)
    top = data.draw(st.integers(1, len(accuracies)))

    chosen = indices(best_topologies(sweep, top, by="topology"))

    assert len(set(chosen)) == top
    means = {index: sum(values) / 2 for index, values in accuracies.items()}
    left_out = [mean for index, mean in means.items() if index not in chosen]
    assert max(left_out, default=0.0) <= min(means[index] for index in chosen)
    assert [means[i] for i in chosen] == sorted((means[i] for i in chosen), reverse=True)


def test_the_seeds_that_decided_are_told(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, {0: [0.5, 0.6, 0.7], 1: [0.9]})

    assert best_topologies(sweep).seeds == (0, 1, 2)


def test_fewer_finished_topologies_than_asked_for_are_refused(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, {0: [0.5], 1: [0.9], 17: [0.7]})

    with pytest.raises(InputError) as refusal:
        best_topologies(sweep, 20)
    assert str(refusal.value) == (
        f"{sweep.folder} has 3 finished classes, and the best 20 were asked for: use --top 3, "
        "or finish the sweep first"
    )


def test_failed_topologies_are_not_finished(tmp_path: Path) -> None:
    results = tmp_path
    finished(results, small_spec(), {0: [0.5]}, status="failed", error="ValueError: bad")
    sweep = topologies(results, {1: [0.9]})

    with pytest.raises(InputError, match="has 1 finished classes"):
        best_topologies(sweep, 2)


def test_a_sweep_of_another_kind_ranks_no_topologies(tmp_path: Path) -> None:
    for sweep in (
        finished(tmp_path, CELLS, {V1: [0.5]}),
        searched(tmp_path, [(FOUND, [0.5])]),
    ):
        with pytest.raises(InputError) as refusal:
            best_topologies(sweep)
        message = str(refusal.value)
        assert message.startswith(f"{sweep.folder} is a sweep of kind {sweep.manifest.kind}, ")
        assert "name the folder of one of kind topologies" in message
        assert message.isprintable()


# How sure


def margin(tmp_path: Path, accuracies: dict[int, list[float]]) -> str:
    return best_topologies(topologies(tmp_path, accuracies)).remarks[-1]


def test_the_margin_is_an_interval_of_differences_on_the_same_seeds(tmp_path: Path) -> None:
    best, second = [0.90, 0.80, 0.85], [0.89, 0.78, 0.82]
    differences = [100 * (a - b) for a, b in zip(best, second, strict=True)]
    low, high = stats.t.interval(
        0.95, 2, loc=sum(differences) / 3, scale=stats.tstd(differences) / 3**0.5
    )

    text = margin(tmp_path, {0: [0.5] * 3, 17: best, 3: second})

    assert text == (
        f"topology 17 is ahead of topology 3 by 2.00 points, 95% interval {low:.2f} to {high:.2f} "
        "over 3 common seeds: not clear of zero, and the best of 3 looks better than it is"
    )


def test_a_margin_clear_of_zero_is_called_so(tmp_path: Path) -> None:
    text = margin(tmp_path, {17: [0.90, 0.80, 0.85], 3: [0.80, 0.701, 0.75]})

    assert "over 3 common seeds: clear of zero" in text


def test_one_lucky_seed_does_not_beat_four(tmp_path: Path) -> None:
    accuracies = {17: [0.9, 0.8, 0.85, 0.9], 5: [0.8, 0.8, 0.8, 0.8], 3: [0.99]}
    topologies(tmp_path, accuracies)

    choice = best_topologies(open_sweep(tmp_path))

    assert choice.genotypes[0].normal.topology.index == 17
    assert "left out with fewer than 2 seeds: 1" in choice.remarks


def test_one_seed_is_no_evidence(tmp_path: Path) -> None:
    assert margin(tmp_path, {17: [0.9], 3: [0.5]}) == (
        "topology 17 is ahead of topology 3 by 40.00 points on one seed: without an interval that "
        "is no evidence"
    )


def test_without_a_common_seed_neither_is_known_to_be_better(tmp_path: Path) -> None:
    topologies(tmp_path, {17: [0.9]})
    finished(tmp_path, small_spec(), {3: [0.5]}, seed=1)

    remarks = best_topologies(open_sweep(tmp_path)).remarks

    assert "topology 17 and topology 3 share no seed, so neither is known to be better" in remarks


def test_of_one_topology_nothing_was_chosen(tmp_path: Path) -> None:
    assert margin(tmp_path, {17: [0.9]}) == "there is one topology, so nothing was chosen"


# Winners of other kinds


def test_the_winner_of_a_list_of_cells_is_the_best_on_the_mean_of_its_seeds(
    tmp_path: Path,
) -> None:
    sweep = finished(tmp_path, CELLS, {V1: [0.9, 0.5], V2: [0.8, 0.78], PDARTS: [0.6, 0.6]})

    choice = winner(sweep)

    assert choice.genotypes == (V2,)
    assert choice.seeds == (0, 1)
    assert len(warnings(choice)) == 1
    measured, margin = choice.remarks[-2:]
    assert measured == (
        "the best of 3 networks has 79.00% last-epoch test accuracy, the second 70.00%"
    )
    assert margin.startswith("DARTS_V2 is ahead of DARTS_V1 by 9.00 points, 95% interval -")
    assert margin.endswith("not clear of zero, and the best of 3 looks better than it is")
    assert choice.origin.startswith("the best of 3 networks of cells-cifar10-")


def test_the_winner_of_searches_is_the_cell_that_was_best_when_evaluated(tmp_path: Path) -> None:
    sweep = searched(tmp_path, [(FOUND, [0.5, 0.6]), (OTHER, [0.7, 0.6]), (V1, [0.99, 0.1])])

    assert winner(sweep).genotypes == (OTHER,)
    assert winner(open_sweep(sweep.folder)).genotypes[0] == OTHER
    assert winner(open_sweep(tmp_path)).genotypes[0] == OTHER, "the newest sweep of a folder"


def test_the_winner_of_a_sweep_of_topologies_is_its_best_topology(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, {0: [0.5], 1: [0.9]})

    assert winner(sweep) == best_topologies(sweep)


def test_a_winner_of_validation_is_chosen_without_a_warning(tmp_path: Path) -> None:
    spec = GenotypeSweep(name="cells", data=HOLDOUT, genotypes=CELLS.genotypes)
    choice = winner(finished(tmp_path, spec, {V1: [0.9], V2: [0.8]}))

    assert choice.genotypes == (V1,)
    assert warnings(choice) == []
    assert "last-epoch validation accuracy" in choice.origin


@pytest.mark.parametrize("cells", [[], [FOUND, OTHER]])
def test_of_cells_that_are_not_evaluated_none_is_best(
    tmp_path: Path, cells: list[Genotype]
) -> None:
    sweep = searched(tmp_path, [(cell, []) for cell in cells])

    with pytest.raises(InputError) as refusal:
        winner(sweep)
    assert str(refusal.value) == (
        f"{sweep.folder} found {len(cells)} cells and none of them is evaluated, so none is best: "
        + (
            "let its run go on, with evaluation_seeds in its file, or draw what it found with "
            f"`topo-sweep plot skips {sweep.folder}`"
            if cells
            else f"`topo-sweep status {sweep.folder}` shows how far it is"
        )
    )


@pytest.mark.parametrize("times", [1, 2])
def test_a_lone_cell_needs_no_evaluation_to_be_the_one_that_was_found(
    tmp_path: Path, times: int
) -> None:
    sweep = searched(tmp_path, [(FOUND, [])] * times)

    choice = winner(sweep)

    assert choice.genotypes == (FOUND,)
    assert choice.seeds == tuple(range(times)), "of the searches"
    assert choice.origin == f"the one cell that {sweep.folder.name} found"
    assert choice.remarks == ()


# Everything above


@pytest.mark.parametrize(
    ("accuracy", "expected"), [(0.55, [V2, V1, PDARTS]), (0.6, [V2, V1]), (0.7, [V2])]
)
def test_everything_whose_mean_exceeds_the_accuracy_goes_on_best_first(
    tmp_path: Path, accuracy: float, expected: list[object]
) -> None:
    sweep = finished(tmp_path, CELLS, {V1: [0.75, 0.625], V2: [0.8, 0.8], PDARTS: [0.6, 0.6]})

    choice = above(sweep, accuracy)

    assert list(choice.genotypes) == expected
    assert choice.seeds == (0, 1)
    assert choice.origin.startswith(f"those above {accuracy:.2%} of 3 networks of cells-")
    assert len(warnings(choice)) == 1


def test_where_none_is_above_the_best_is_named(tmp_path: Path) -> None:
    sweep = finished(tmp_path, CELLS, {V1: [0.75], V2: [0.8]})

    with pytest.raises(InputError) as refusal:
        above(sweep, 0.93)
    assert str(refusal.value) == (
        f"none of 2 networks of {sweep.folder} is above 93.00% last-epoch test accuracy, the best "
        "has 80.00%: use a lower --above"
    )


def test_a_cell_that_two_searches_found_goes_on_once(tmp_path: Path) -> None:
    sweep = searched(tmp_path, [(FOUND, [0.9]), (OTHER, [0.8]), (FOUND, [0.7])])

    assert above(sweep, 0.6).genotypes == (FOUND, OTHER)


# By name


def test_what_a_name_found_is_the_winner_of_the_newest_sweep_of_searches_of_that_name(
    tmp_path: Path,
) -> None:
    longer = {"epochs": 9}
    searched(tmp_path, [(FOUND, [0.9])], name="mine", minute=1)
    searched(tmp_path, [(V1, [0.5]), (OTHER, [0.6])], name="mine", minute=5, search=longer)
    searched(tmp_path, [(V2, [0.9])], name="others", minute=9)

    assert found_by(tmp_path, "mine", "digits").genotypes == (OTHER,)
    assert found_by(tmp_path, "others", "digits").genotypes == (V2,)


def test_a_cell_found_on_digits_is_not_for_cifar(tmp_path: Path) -> None:
    searched(tmp_path, [(FOUND, [0.9])], name="mine")

    with pytest.raises(InputError, match="no such sweep for cifar100"):
        found_by(tmp_path, "mine", "cifar100")


def test_a_sweep_without_rows_is_not_the_newest_of_its_name(tmp_path: Path) -> None:
    searched(tmp_path, [(FOUND, [0.9])], name="mine")
    make_sweep(tmp_path, search_spec(name="mine", search={"epochs": 9}))

    assert found_by(tmp_path, "mine", "digits").genotypes == (FOUND,)


@pytest.mark.parametrize("there", [False, True])
def test_a_name_that_found_nothing_is_told_how_to_find_something(
    tmp_path: Path, there: bool
) -> None:
    results = tmp_path / "results"
    if there:  # a sweep of that name, but of no searches
        topologies(results, {17: [0.9]}, name="edarts")
        (results / "figures").mkdir()

    with pytest.raises(InputError) as refusal:
        found_by(results, "edarts", "cifar10")
    assert str(refusal.value) == (
        f"found:edarts asks for what the searches of edarts found, and {results} has no such "
        "sweep for cifar10: run `topo-sweep run edarts` first, or write your own list of genotypes"
    )


def test_the_two_cells_of_a_topology_sweep_may_be_wired_differently(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, {42: [0.9], 3: [0.5]})

    assert best_topologies(sweep).genotypes == (uniform(42),)

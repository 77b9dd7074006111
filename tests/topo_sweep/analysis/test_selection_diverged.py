"""Diverged trials count in what is chosen, by name; what always diverged is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.errors import InputError
from tests.topo_sweep.analysis.choice_rows import HOLDOUT, finished, searched
from tests.topo_sweep.conftest import small_spec
from tests.topo_sweep.runs.search_run import FOUND, OTHER
from topo_sweep.analysis.ranking import rank
from topo_sweep.analysis.selection import above, best_topologies, winner
from topo_sweep.spec.networks import GenotypeSweep

ALWAYS = "left out since every trial of theirs diverged: 1"
V1, V2 = (KNOWN_CELLS[name] for name in ("DARTS_V1", "DARTS_V2"))
CELLS = GenotypeSweep(name="cells", genotypes=("DARTS_V1", "DARTS_V2"))


def test_a_topology_with_a_diverged_trial_is_chosen_by_its_mean_and_named(tmp_path: Path) -> None:
    sweep = finished(
        tmp_path,
        small_spec(),
        {0: [0.5, 0.5], 1: [0.95, 0.1], 17: [0.9, 0.8]},
        diverged=[(1, 1)],
    )

    choice = best_topologies(sweep, 2)

    assert [genotype.normal.topology.index for genotype in choice.genotypes] == [17, 1]
    assert "chosen with diverged trials: topology 1 (1 of 2 trials)" in choice.remarks
    assert "diverged" not in "".join(best_topologies(sweep, 1).remarks), "it was not chosen"
    by_rank = rank(sweep.trials()).table["topology"].head(2)
    assert list(by_rank) == [17, 1]


@pytest.mark.parametrize("accuracy", [0.1, 0.99])
def test_a_topology_whose_every_trial_diverged_is_left_out_and_counted(
    accuracy: float, tmp_path: Path
) -> None:
    accuracies: dict[int | Genotype, list[float]] = {
        0: [0.5, 0.5],
        1: [accuracy, accuracy],
        17: [0.9, 0.8],
    }
    spec = small_spec(data=HOLDOUT)
    sweep = finished(tmp_path, spec, accuracies, diverged=[(1, 0), (1, 1)])

    choice = best_topologies(sweep, 2)

    assert [genotype.normal.topology.index for genotype in choice.genotypes] == [17, 0]
    assert choice.remarks[0] == ALWAYS
    assert choice.origin.startswith("the best 2 of 2 classes of small-digits-")
    with pytest.raises(InputError) as refusal:
        best_topologies(sweep, 3)
    assert str(refusal.value) == (
        f"{sweep.folder} has 2 finished classes ({ALWAYS}), and the best 3 were asked for: use "
        "--top 2, or finish the sweep first"
    )


def test_where_every_trial_diverged_none_is_best(tmp_path: Path) -> None:
    spec, lost = small_spec(), [(17, 0), (3, 0)]
    topologies = finished(tmp_path, spec, {17: [0.1], 3: [0.1]}, diverged=lost)
    searches = searched(tmp_path, [(FOUND, [0.1])], diverged=[(FOUND, 0)])

    for sweep in (topologies, searches):
        for choose in (winner, lambda sweep: above(sweep, 0.0)):
            with pytest.raises(InputError, match=r"every trial of .* diverged, so none of"):
                choose(sweep)


def test_what_goes_on_above_an_accuracy_is_chosen_in_the_same_way(tmp_path: Path) -> None:
    listed = finished(
        tmp_path,
        CELLS,
        {V1: [0.9, 0.8], V2: [0.95, 0.7]},
        diverged=[(V1, 0), (V1, 1), (V2, 1)],
    )
    found = searched(
        tmp_path,
        [(FOUND, [0.9, 0.8]), (OTHER, [0.95, 0.7])],
        diverged=[(FOUND, 0), (FOUND, 1), (OTHER, 1)],
    )

    for sweep, other, name in (
        (listed, V2, "DARTS_V2"),
        (found, OTHER, "topology 42"),
    ):
        said = [ALWAYS, f"chosen with diverged trials: {name} (1 of 2 trials)"]
        choice = above(sweep, 0.5)
        assert choice.genotypes == (other,)
        assert list(choice.remarks[-3:-1]) == said
        assert winner(sweep).genotypes == (other,)
        assert list(winner(sweep).remarks) == said
        assert winner(sweep).origin == (
            f"the one network of {sweep.folder.name} that did not diverge each time"
        )

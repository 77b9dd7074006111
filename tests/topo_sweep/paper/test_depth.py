"""The depth of the search network in SS1: which searches count, and what is claimed of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from nas_core.errors import InputError
from tests.topo_sweep.paper.compare_rows import (
    evaluation,
    find,
    only,
    search,
    searched_grid,
    source,
)
from topo_sweep.paper.compare import compare
from topo_sweep.paper.evidence import Source

BETTER = "the cells of 16 and of 20: better ones than at 5"
SIMILAR = "searching at 16 and at 20 cells gives similar cells"
GAINS = {5: 0.0, 10: 1.0, 16: 2.0, 20: 2.1}


def depths(
    accuracy: Callable[[int, int], float] = lambda cells, seed: 80 + GAINS[cells] + 0.1 * seed,
    *,
    cells: Sequence[int] = tuple(GAINS),
    seeds: Sequence[int] = (20, 21, 22),
    spaces: Sequence[str] = ("SS1",),
    name: str = "depth-cifar10-0123",
) -> Source:
    """Searches at these depths, each with an evaluation of an accuracy in percent."""

    def noisy(_: str, number: int, seed: int) -> float:
        return accuracy(number, seed) + 0.01 * ((seed * number) % 7)

    return searched_grid(noisy, spaces=spaces, depths=cells, seeds=seeds, name=name)


def test_a_depth_sweep_has_a_table_of_its_own_with_a_mean_a_depth() -> None:
    comparison = only([depths()], "depth")

    assert [entry.row for entry in comparison.entries[:4]] == [f"{n} cells" for n in GAINS]
    assert {entry.n for entry in comparison.entries} == {3}
    first = find(comparison, "test accuracy of the cells found in SS1", "5 cells")
    assert first.low is not None
    assert first.low < 82.1 < (first.high or 0)
    assert comparison.differs == ()
    assert [each.table for each in compare([depths()]).tables] == ["depth"]


def test_the_claim_is_that_16_and_20_are_better_than_5_paired_by_seed() -> None:
    # What a seed has in common is larger than what depth gains.
    lucky = depths(lambda cells, seed: 60 + GAINS[cells] + 5 * (seed - 20))
    comparison = only([lucky], "depth")

    for row, gain in (("16 - 5 cells", 2.0), ("20 - 5 cells", 2.1)):
        contrast = find(comparison, BETTER, row)
        assert (contrast.verdict, contrast.theirs, contrast.n) == ("supported", "> 0", 3)
        assert contrast.ours == pytest.approx(gain, abs=0.1)
    worse = only([depths(lambda cells, seed: 80 - GAINS[cells] + 0.1 * seed)], "depth")
    assert find(worse, BETTER, "16 - 5 cells").verdict == "contradicted"


def test_similar_is_reported_with_its_interval_and_not_judged() -> None:
    comparison = only([depths()], "depth")
    similar = find(comparison, SIMILAR, "20 - 16 cells")

    assert (similar.verdict, similar.theirs) == ("not judged", "")
    assert similar.low is not None
    assert similar.ours == pytest.approx(0.1, abs=0.1)
    assert any("prints no threshold" in note for note in comparison.notes)
    assert f"NOT JUDGED: {SIMILAR}\n" in comparison.text
    assert f"SUPPORTED: {BETTER}\n" in comparison.text


def test_one_seed_decides_nothing() -> None:
    comparison = only([depths(seeds=(20,))], "depth")

    assert find(comparison, BETTER, "16 - 5 cells").verdict == "undecided"
    assert find(comparison, BETTER, "16 - 5 cells").note == "one seed: no interval"


def test_depths_that_another_sweep_searched_first_count_with_the_others() -> None:
    # Those at 5 and 16 cells are the searches of figure 2 and belong to its larger sweep.
    grid = depths(cells=(5, 16), spaces=("SS1", "SS2", "SS4"), name="subspaces-cifar10-4567")
    both = compare([depths(), grid])

    assert [each.table for each in both.tables] == ["fig2", "depth"]
    (comparison,) = both.tables[1:]
    assert [entry.row for entry in comparison.entries[:4]] == [f"{n} cells" for n in GAINS]
    assert "sweeps depth-cifar10-0123, subspaces-cifar10-4567" in comparison.setting


def test_figure_2_alone_one_depth_and_other_spaces_are_no_depth_sweep() -> None:
    grid = depths(cells=(5, 16), spaces=("SS1", "SS3"))
    for rows in (grid, depths(cells=(20,)), depths(spaces=("SS2",))):
        with pytest.raises(InputError, match=r"no rows for the depth in SS1 \(`topo-sweep run dep"):
            compare([rows], "depth")


def test_searches_that_differ_in_more_than_depth_have_tables_of_their_own() -> None:
    rows = [search("search_subspace", 20, "SS1", cells=n) for n in (5, 20)]
    rows += [search("search_subset_sparse", 20, "SS1", cells=n) for n in (5, 20)]
    rows += [
        search("search_subspace", 20, "SS1", cells=n, epochs=9, search_id=f"short {n}")
        for n in (5, 20)
    ]
    tables = compare([source([evaluation(row, 0.9) for row in rows], rows)], "depth").tables

    assert len(tables) == 3
    assert {entry.n for each in tables for entry in each.entries[:2]} == {1}

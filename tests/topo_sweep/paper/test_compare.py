"""Which sweeps and which tables are compared, and what is said of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas_core.errors import InputError
from nas_core.protocols.training import PRESETS, Protocol
from tests.topo_sweep.analysis.choice_rows import finished
from tests.topo_sweep.conftest import small_spec
from tests.topo_sweep.paper.compare_rows import (
    evaluation,
    find,
    four_methods,
    known,
    only,
    search,
    source,
    topology,
)
from topo_sweep.paper.compare import compare, open_sources
from topo_sweep.paper.evidence import Source, gather

FINAL = PRESETS["final"]
SMALL = Protocol(init_channels=4, epochs=5)


def test_rows_of_other_protocols_or_images_get_tables_of_their_own() -> None:
    def sweep(name: str, **values: Any) -> Source:
        return source([topology(1, 0, 0.9, **values)], name=name, protocols=[SMALL])

    sweeps = [
        sweep("paper"),
        sweep("small", protocol_hash=SMALL.protocol_hash),
        sweep("limited", train_limit=64),
    ]
    compared = compare(sweeps, "phases")

    assert len(compared.tables) == 3
    assert sum("limited" in each.setting for each in compared.tables) == 1


def test_the_same_sweep_given_twice_changes_nothing() -> None:
    rows = source(*four_methods())

    assert compare([rows, rows], "2").text == compare([rows], "2").text


@pytest.mark.parametrize("larger_failed", [True, False])
def test_what_failed_in_one_sweep_and_is_ok_in_another_counts_as_ok(larger_failed: bool) -> None:
    good, other = search("search_subset", 0), search("search_subset", 1)
    trial, rest = evaluation(good, 0.9), evaluation(other, 0.8)
    failed: dict[str, Any] = {"status": "failed"}
    bad = good | failed | {"genotype": None}, trial | failed | {"test_accuracy": float("nan")}
    large, small = (bad, (good, trial)) if larger_failed else ((good, trial), bad)
    comparison = only(
        [
            source([small[1]], [small[0]], name="small"),
            source([large[1], rest], [large[0], other], name="large"),
        ],
        "2",
    )

    assert find(comparison, "search hours, mean", "DARTS").n == 2
    accuracy = find(comparison, "shallow test accuracy", "DARTS")
    assert (accuracy.n, accuracy.ours) == pytest.approx((2, 85))
    assert not any("failed" in note for note in comparison.notes)


def test_a_search_stays_in_the_larger_sweep_where_a_smaller_one_alone_succeeded() -> None:
    good, other = search("search_subset", 0), search("search_subset", 1)
    bad = good | {"status": "failed", "genotype": None}
    sweeps = [source([], [good], name="small"), source([], [bad, other], name="large")]
    searches = gather(sweeps).searches

    assert list(searches["status"]) == ["ok", "ok"]
    assert set(searches["source"]) == {"large"}


def test_tables_without_rows_are_named_in_one_line_with_what_fills_them() -> None:
    compared = compare([source([topology(1, 0, 0.9)])])

    assert [each.table for each in compared.tables] == ["phases"]
    assert compared.missing == (
        "No rows for: table 2 (`topo-sweep run table2`), table 3 (`topo-sweep run known_cells`), "
        "table 4 (`topo-sweep run table4`), figure 2 (`topo-sweep run subspaces`), the depth "
        "in SS1 (`topo-sweep run depth`), the ablations (`topo-sweep run ablation_deep` or "
        "`topo-sweep run ablation_equal --topology N`)."
    )
    assert compared.text.endswith(f"\n{compared.missing}")


@pytest.mark.parametrize("table", [None, "2", "3", "4", "fig2", "depth", "phases", "ablations"])
def test_where_nothing_fits_one_sentence_names_the_sweeps_and_the_way(table: str | None) -> None:
    with pytest.raises(InputError, match=r"empty: no rows for .*`topo-sweep run") as error:
        compare([source(name="empty")], table)
    assert "\n" not in str(error.value)


def test_all_trainings_failed_is_no_row_of_any_table() -> None:
    evaluated = search("search_subspace", 20, space="SS1", cells=5)
    failed: dict[str, Any] = {"status": "failed", "test": float("nan")}
    rows = [topology(0, 0, **failed), known("DARTS_V2", 0, **failed)]
    rows += [known("DARTS_V2", 0, protocol_hash=FINAL.protocol_hash, **failed)]
    rows += [evaluation(evaluated, **failed)]

    with pytest.raises(InputError, match="no rows for table 2"):
        compare([source(rows, [evaluated])])


def test_a_stored_sweep_brings_what_its_requests_say_of_where_it_came_from(tmp_path: Path) -> None:
    origin = "the best 2 of 3 networks of other by last-epoch test accuracy"
    spec = small_spec(topologies=(0, 1), origin=origin)
    folder = finished(tmp_path, spec, {0: [0.9], 1: [0.8]}).folder

    (stored,) = open_sources([folder])
    assert stored.origins == [origin]
    assert f"optimistic on them: {origin}." in " ".join(compare([stored]).tables[0].notes)

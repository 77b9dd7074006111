"""The two ablations: what counts as one, what is paired with what, and when the claim holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from nas_core.cells.genotype import CellEdges, Edge, Genotype
from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import PRESETS, Protocol
from tests.topo_sweep.paper.compare_rows import (
    T_975,
    evaluation,
    find,
    only,
    search,
    source,
    training,
)
from topo_sweep.paper.compare import compare
from topo_sweep.paper.records import ComparedTable

FINAL: dict[str, Any] = {"protocol_hash": PRESETS["final"].protocol_hash}
SMALL = Protocol(init_channels=4, epochs=5)


def cell(*changed: int, topology: int = 17) -> str:
    """A genotype along a wiring: sep 5x5 but for those of its edges 0 to 15 that are dilated."""
    edges = CellEdges.uniform(Topology.from_index(topology), "sep_conv_5x5").edges
    both = [
        Edge(edge.source, "dil_conv_5x5" if number in changed else edge.operation)
        for number, edge in enumerate([*edges, *edges])
    ]
    normal, reduction = (
        CellEdges(tuple(zip(half[::2], half[1::2], strict=True))) for half in (both[:8], both[8:])
    )
    return str(Genotype(normal, reduction))


def deep(seed: int, **values: Any) -> dict[str, Any]:
    """A search in SS3 at 16 cells that finds a cell of its own."""
    settings: dict[str, Any] = {"cells": 16, "genotype": cell(seed)}
    return search("search_subspace", seed, **{"space": "SS3"} | settings | values)


def along(seed: int, attention: str, *changed: int, **values: Any) -> dict[str, Any]:
    """An eDARTS search along wiring 17; `changed` are the edges of its cell that are dilated."""
    wiring = values.get("topology", 17)
    settings: dict[str, Any] = {
        "topology": wiring,
        "reduction_topology": wiring,
        "attention": attention,
        "genotype": cell(*changed, topology=wiring),
    }
    row = search("search_edarts", seed, **settings | values)
    name = " ".join(str(row[key]) for key in ("seed", "protocol_hash", "cells", "fingerprint"))
    return {**row, "search_id": name}


def table(
    searches: Sequence[Mapping[str, Any]], tests: Sequence[float], **values: Any
) -> ComparedTable:
    """The one comparison of searches, each with an evaluation of this accuracy."""
    trials = [evaluation(*pair, **values) for pair in zip(searches, tests, strict=True)]
    return only([source(trials, searches)], "ablations")


# Deep


def test_deep_searches_give_mean_spread_and_best_of_the_searches() -> None:
    comparison = table([deep(seed) for seed in (0, 1, 2)], [0.90, 0.92, 0.94])

    mean = find(comparison, "shallow test accuracy", "mean of the searches")
    half = T_975[2] * 2.0 / 3**0.5
    assert (mean.n, mean.ours, mean.sd) == pytest.approx((3, 92.0, 2.0))
    assert (mean.low, mean.high) == pytest.approx((92 - half, 92 + half), rel=1e-6)
    best = find(comparison, "shallow test accuracy", "best of the searches")
    assert (best.n, best.note) == (3, "best of 3: optimistic")
    assert best.ours == pytest.approx(94)
    shallow = find(comparison, "parameters", "shallow networks, mean")
    assert (shallow.n, shallow.ours) == pytest.approx((3, 0.129706))
    assert comparison.title == "Ablation: 16 cells, all separable, 14 edges"
    assert comparison.differs == ()


def test_a_searchs_evaluations_are_averaged_before_the_best_is_taken() -> None:
    searches = [deep(0), deep(1)]
    trials = [evaluation(searches[0], test, seed=k) for k, test in enumerate((0.80, 0.96))]
    comparison = only([source([*trials, evaluation(searches[1], 0.90)], searches)], "ablations")

    assert find(comparison, "shallow", "best of the searches").ours == pytest.approx(90)
    assert find(comparison, "shallow", "mean of the searches").n == 2


def test_skips_are_given_a_search_for_each_cell_and_both() -> None:
    searches = [deep(0, skips_normal=0), deep(1, skips_normal=4, skips_reduction=1)]
    comparison = only([source([], searches)], "ablations")

    rows = ("normal cell", "reduction cell", "both cells")
    skips = [find(comparison, "skip connections a search", row) for row in rows]
    assert [entry.ours for entry in skips] == pytest.approx([2, 2, 4])
    assert [entry.sd for entry in skips] == pytest.approx([8**0.5, 2**0.5, 2**0.5])
    assert {entry.n for entry in skips} == {2}
    assert comparison.setting.startswith("ours: no evaluation yet; sweep ")


def test_the_best_final_error_stands_beside_the_papers_and_is_called_optimistic() -> None:
    searches = [deep(0), deep(1)]
    trials = [evaluation(row, 0.91) for row in searches]
    # As `topo-sweep evaluate` makes them: by genotype, without the search. Errors 3.0 and 2.7.
    trials += [
        training(cell(0), seed, test, parameters=4_000_000, **FINAL)
        for seed, test in ((0, 0.968), (1, 0.972))
    ]
    trials += [evaluation(searches[1], 0.973, parameters=3_500_000, **FINAL)]
    # Not found here, found by another search, and judged on other images.
    trials += [training(cell(7), 0, 0.99, **FINAL)]
    trials += [training(cell(0), 0, 0.99, search_id="another", **FINAL)]
    trials += [training(cell(0), 0, 0.99, dataset="cifar100", **FINAL)]
    comparison = only([source(trials, searches)], "ablations")

    best = find(comparison, "final test error", "best of the cells")
    assert (best.n, best.ours) == pytest.approx((2, 2.7))
    assert (best.theirs, best.note) == ("2.56", "best of 2: optimistic")
    assert best.difference == pytest.approx(2.7 - 2.56)
    mean = find(comparison, "final test error", "mean of the cells")
    assert (mean.n, mean.ours) == pytest.approx((2, 2.85))
    size = find(comparison, "parameters", "final network of the best cell")
    assert size.ours == pytest.approx(3.5)
    assert "The best of n is optimistic" in comparison.notes[-1]
    assert "2.56% is such a best, of 10 searches" in comparison.notes[-1]


def test_a_cell_that_went_on_as_the_best_of_ten_is_called_so_beside_its_error() -> None:
    origin = "the best of 10 networks of ablation_deep-cifar10-01 by last-epoch test accuracy"
    searches = source([], [deep(0), deep(1)])
    final = source([training(cell(0), 0, 0.97, **FINAL)], name="evaluate", origins=[origin])
    comparison = only([searches, final], "ablations")

    for row in ("mean of the cells", "best of the cells"):
        noted = find(comparison, "final test error", row).note
        assert noted == "chosen on the test images: optimistic"
    said = f"evaluate: Chosen on the test images, so optimistic on them: {origin}."
    assert f"final: {said}" in comparison.notes


def test_without_a_final_evaluation_it_is_said_how_to_make_one() -> None:
    best = find(table([deep(0)], [0.9]), "final test error", "best of the cells")

    assert (best.ours, best.theirs) == (None, "2.56")
    assert "topo-sweep evaluate RESULTS --protocol final" in best.note


def test_a_small_final_evaluation_says_what_differs() -> None:
    small = PRESETS["final"].with_values({"epochs": 3})
    trials = [training(cell(0), 0, 0.5, protocol_hash=small.protocol_hash)]
    comparison = only([source(trials, [deep(0)], protocols=[small])], "ablations")

    assert comparison.differs == ("final evaluation: epochs 3 (preset 600)",)


def test_other_searches_are_no_deep_ones() -> None:
    others = [
        deep(0, cells=5),
        deep(0, space="SS1"),
        deep(0, topology=3, reduction_topology=3, attention="once"),
        deep(0, genotype=None, status="failed"),
    ]
    with pytest.raises(InputError, match=r"`topo-sweep run ablation_deep` or `topo-sweep run abl"):
        compare([source([], others)], "ablations")


def test_deep_searches_by_other_settings_or_images_get_tables_of_their_own() -> None:
    changed = SEARCH_PRESETS["search_subspace"].with_values({"cells": 16, "epochs": 9})
    searches = [deep(0), deep(1), deep(2, protocol_hash=changed.protocol_hash)]
    searches += [deep(3, fingerprint="bbbb")]
    tables = compare([source([], searches)], "ablations").tables

    counts = [find(each, "skip connections", "both cells").n for each in tables]
    assert sorted(counts) == [1, 1, 2]


# Equal attention


@pytest.mark.parametrize(
    ("best", "verdict"), [(0.9249, "supported"), (0.925, "contradicted"), (0.93, "contradicted")]
)
def test_one_search_that_is_not_below_the_bound_contradicts_the_claim(
    best: float, verdict: str
) -> None:
    rows = [along(seed, "none") for seed in range(10)]
    comparison = table(rows, [0.90, best, 0.91, *[0.90] * 7])

    claim = find(comparison, "every search with equal attention stays below 92.5%", "best of")
    assert (claim.verdict, claim.n, claim.theirs) == (verdict, 10, "< 0")
    assert claim.ours == pytest.approx(100 * best - 92.5)
    assert find(comparison, "shallow", "best of the searches").ours == pytest.approx(100 * best)
    mean = find(comparison, "shallow", "mean of the searches")
    assert mean.ours == pytest.approx((8 * 90 + 100 * best + 91) / 10)
    assert mean.theirs == "< 92.5"


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize(("best", "verdict"), [(0.92, "undecided"), (0.93, "contradicted")])
def test_fewer_searches_than_the_papers_support_nothing(best: float, verdict: str, n: int) -> None:
    rows = [along(seed, "none") for seed in range(n)]
    claim = find(table(rows, [best, *[0.90] * (n - 1)]), "every search", "best of")

    assert (claim.verdict, claim.n) == (verdict, n)
    said = "fewer searches than the paper's 10" if verdict == "undecided" else ""
    assert claim.note == said


@pytest.mark.parametrize("dataset", ["digits", "cifar100"])
def test_the_papers_bound_is_not_applied_to_other_images(dataset: str) -> None:
    searches = [along(seed, "none", dataset=dataset) for seed in (0, 1)]
    comparison = table(searches, [0.90, 0.99], dataset=dataset)

    claim = find(comparison, "every search with equal attention", "best of")
    assert (claim.verdict, claim.ours, claim.theirs) == ("not applicable", None, "")
    assert claim.note == "the bound is of cifar10"
    assert find(comparison, "shallow", "best of the searches").theirs == ""
    assert "NOT APPLICABLE: every search" in comparison.text


def test_without_an_evaluation_the_claim_is_undecided() -> None:
    comparison = only([source([], [along(0, "none")])], "ablations")

    claim = find(comparison, "every search", "best of")
    assert (claim.verdict, claim.ours, claim.n) == ("undecided", None, 0)


def test_a_path_that_test_accuracy_chose_is_called_so() -> None:
    origin = "the best of 180 networks of topologies-cifar10-01 by last-epoch test accuracy"
    rows = source([], [along(0, "none")], name="equal", origins=[origin])

    said = f"equal: Chosen on the test images, so optimistic on them: {origin}."
    assert said in only([rows], "ablations").notes


def test_attention_itself_is_no_difference_to_the_paper_and_the_wiring_is_named() -> None:
    comparison = table([along(0, "none")], [0.9])

    assert comparison.differs == ("search: along wiring 17 (paper: does not say which)",)
    assert find(comparison, "skip connections a search", "both cells").ours == 5


def test_attention_is_compared_by_search_seed_over_common_training_seeds() -> None:
    searches = [along(seed, "none", 1) for seed in (0, 1, 2)]
    once = [along(seed, "once", 1, 2) for seed in (1, 2, 3)]
    trials = [evaluation(row, test) for row, test in zip(searches, (0.5, 0.91, 0.92), strict=True)]
    trials += [evaluation(row, test) for row, test in zip(once, (0.90, 0.92, 0.1), strict=True)]
    trials += [evaluation(searches[1], 0.2, seed=7)]  # no counterpart with attention
    comparison = only([source(trials, searches + once)], "ablations")

    paired = find(comparison, "shallow test accuracy, attention none - once", "paired")
    # Seed 1: 91 - 90; seed 2: 92 - 92.
    assert (paired.n, paired.ours, paired.sd) == pytest.approx((2, 0.5, 0.5**0.5))
    half = T_975[1] * 0.5
    assert (paired.low, paired.high) == pytest.approx((0.5 - half, 0.5 + half), rel=1e-5)
    assert comparison.notes[-1] == ("Paired with searches that agree in everything but attention.")


def test_genotypes_are_compared_edge_by_edge_in_both_cells() -> None:
    searches = [along(0, "none"), along(1, "none", 3), along(2, "none", 3)]
    # None, one of the normal cell, and three of both cells differ.
    searches += [along(0, "once"), along(1, "once"), along(2, "once", 4, 15)]
    comparison = only([source([], searches)], "ablations")

    differing = find(comparison, "common seeds whose genotypes differ at all", "attention none")
    assert (differing.ours, differing.n) == (2, 3)
    edges = find(comparison, "edges with another operation, of 16", "attention none")
    assert (edges.n, edges.ours) == pytest.approx((3, 4 / 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        {"topology": 18},
        {"reduction_topology": 18},
        {"cells": 6},
        {"space": "SS3"},
        {"images": 1000},
        {"dataset": "digits"},
        {"fingerprint": "bbbb"},
        {"train_limit": 500},
        {"holdout": 100},
        {"seed": 1},
        {"genotype": None, "status": "failed"},
        {"attention": "per_update"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_searches_that_differ_in_more_than_attention_are_never_paired(
    other: dict[str, Any],
) -> None:
    values: dict[str, Any] = {"seed": 0, "attention": "once"} | other
    once = along(**values)
    comparison = only([source([], [along(0, "none"), once])], "ablations")

    assert not any("genotypes differ" in entry.quantity for entry in comparison.entries)
    assert comparison.notes[-1].startswith("Not paired: no search with attention once has a seed")
    assert "`topo-sweep run ablation_equal --topology N`" in comparison.notes[-1]


def test_a_known_setting_that_no_column_holds_keeps_searches_apart() -> None:
    preset = SEARCH_PRESETS["search_edarts"]
    values: dict[str, Any] = {"topology": 17, "init_channels": 4}
    changed = {key: preset.with_values({**values, "attention": key}) for key in ("none", "once")}
    plain = along(0, "none")
    small = {
        k: along(0, k, 5, protocol_hash=protocol.protocol_hash) for k, protocol in changed.items()
    }

    def notes(*searches: dict[str, Any]) -> str:
        rows = source([], searches, search_protocols=list(changed.values()))
        return only([rows], "ablations").notes[-1]

    assert notes(plain, small["once"]).startswith("Not paired")
    assert notes(small["none"], small["once"]).endswith("in everything but attention.")


def test_a_protocol_that_is_not_known_is_paired_with_none_and_named() -> None:
    searches = [along(0, "none", protocol_hash="aaaa"), along(0, "once", 1)]
    alone = only([source([], searches)], "ablations")

    assert alone.notes[-1].startswith("Not paired")
    assert alone.differs == ("search: protocol aaaa is unknown here, so it could not be compared",)


def test_accuracies_by_another_evaluation_are_not_subtracted() -> None:
    equal, once = along(0, "none"), along(0, "once")
    trials = [evaluation(equal, 0.9), evaluation(once, 0.8, protocol_hash=SMALL.protocol_hash)]
    comparison = only([source(trials, [equal, once], protocols=[SMALL])], "ablations")

    assert find(comparison, "shallow test accuracy, attention", "paired").ours is None
    assert find(comparison, "common seeds", "attention none").n == 1


def test_each_evaluation_setting_pairs_its_own_rows() -> None:
    equal, once = along(0, "none"), along(0, "once")
    small = {"protocol_hash": SMALL.protocol_hash}
    trials = [evaluation(equal, 0.90), evaluation(equal, 0.50, **small)]
    trials += [evaluation(once, 0.89), evaluation(once, 0.53, **small)]
    rows = source(trials, [equal, once], protocols=[SMALL])
    tables = compare([rows], "ablations").tables

    differences = {find(c, "shallow test accuracy, attention", "paired").ours for c in tables}
    assert {round(points or 0, 6) for points in differences} == {1.0, -3.0}


def test_searches_with_attention_alone_or_no_fixed_path_are_no_ablation() -> None:
    free = search("search_edarts", 0, attention="none")
    with pytest.raises(InputError, match="no rows for the ablations"):
        compare([source([], [along(0, "once"), free])], "ablations")


def test_failed_and_unevaluated_searches_are_named() -> None:
    searches = [along(seed, "none") for seed in (0, 1)]
    failed = along(2, "none", genotype=None, status="failed")
    rows = source([evaluation(searches[0], 0.9)], [*searches, failed])

    assert only([rows], "ablations").notes[:2] == (
        "Left out as failed: 1 search.",
        "Without an evaluation that counts: 1 search.",
    )


def test_both_ablations_are_one_table_and_print_within_the_width() -> None:
    searches = [deep(0), deep(1), along(0, "none"), along(1, "none"), along(0, "once", 2)]
    trials = [evaluation(row, 0.9) for row in searches]
    trials += [training(cell(0), seed, 0.97, **FINAL) for seed in (0, 1)]
    compared = compare([source(trials, searches)], "ablations")

    assert [each.table for each in compared.tables] == ["ablations", "ablations"]
    assert "UNDECIDED: every search with equal attention stays below 92.5%" in compared.text
    assert max(map(len, compared.text.splitlines())) <= 140

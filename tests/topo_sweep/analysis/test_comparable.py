"""What a ranking refuses to mix: protocols, data, phases, cells of several operations."""

from __future__ import annotations

from typing import Any

import pytest

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.errors import InputError
from tests.topo_sweep.analysis.ranking_rows import frame, row, uniform
from topo_sweep.analysis.comparable import with_reduction
from topo_sweep.analysis.ranking import rank


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"protocol_hash": "bbbb1111bbbb1111"}, ("aaaa0000aaaa0000", "bbbb1111bbbb1111")),
        ({"dataset": "digits"}, ("cifar10", "digits")),
        ({"holdout": 5000}, ("holdout 0", "holdout 5000")),
        ({"train_limit": 800}, ("train_limit 800", "train_limit none")),
        ({"fingerprint": "f2"}, ("f1", "f2")),
        ({"kind": "genotypes"}, ("kind genotypes", "kind topologies")),
    ],
)
def test_what_is_not_one_experiment_is_refused_and_both_are_named(
    other: dict[str, Any], named: tuple[str, str]
) -> None:
    trials = frame([row(0, 0, 0.9), row(1, 0, 0.9, **other)])

    with pytest.raises(InputError, match="never mixes") as caught:
        rank(trials)
    for name in named:
        assert name in str(caught.value)


MAX_0 = "reduction all max_pool_3x3 on wiring 0"
MAX_SAME = "reduction all max_pool_3x3 wired like the normal cell"
SEP_SAME = "reduction all sep_conv_3x3 wired like the normal cell"


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ({}, {"reduction_operation": "sep_conv_3x3", "reduction": None}, (MAX_0, SEP_SAME)),
        ({}, {"reduction": None}, (MAX_0, MAX_SAME)),
        ({}, {"reduction": 3}, (MAX_0, "reduction all max_pool_3x3 on wiring 3")),
        ({}, {"operation": "dil_conv_3x3"}, ("normal all sep_conv_3x3", "normal all dil_conv_3x3")),
        ({}, {"nodes": 3}, ("cells of 4 nodes", "cells of 3 nodes")),
    ],
)
def test_two_phases_are_refused_and_both_are_named(
    first: dict[str, Any], second: dict[str, Any], named: tuple[str, str]
) -> None:
    trials = [row(uniform(index, **first), 0, 0.9) for index in (0, 1, 2)]
    trials += [row(uniform(index, **second), 0, 0.9) for index in (4, 5, 6)]

    with pytest.raises(InputError, match="never mixes phases") as caught:
        rank(frame(trials))
    for name in named:
        assert name in str(caught.value)


@pytest.mark.parametrize(("reduction", "named"), [(0, MAX_0), (None, MAX_SAME)])
def test_one_phase_is_named_also_where_topology_0_fits_two(
    reduction: int | None, named: str
) -> None:
    trials = frame([row(uniform(index, reduction=reduction), 0, 0.9) for index in (0, 1)])

    ranking = rank(trials)
    assert ranking.design.phase == f"cells of 4 nodes, normal all sep_conv_3x3, {named}"
    assert ranking.design.phase in ranking.header


def test_a_failed_trial_of_another_protocol_mixes_nothing() -> None:
    other = row(1, 0, 0.9, status="failed", protocol_hash="bbbb1111bbbb1111")

    assert rank(frame([row(0, 0, 0.9), other])).design.failed == 1


def test_classes_of_cells_with_mixed_operations_are_refused() -> None:
    cells = [KNOWN_CELLS["DARTS_V2"], uniform(3)]
    trials = frame([row(cell, 0, 0.9, kind="genotypes") for cell in cells])

    with pytest.raises(InputError, match=r"1 genotype here mix.*DARTS_V2.*rank by topology"):
        rank(trials, by="class")


def test_classes_of_genotypes_with_other_reduction_cells_are_refused() -> None:
    other = Genotype(uniform(50).normal, KNOWN_CELLS["DARTS_V2"].reduction)
    trials = frame([row(cell, 0, 0.9, kind="genotypes") for cell in (uniform(7), other)])

    assert len(rank(trials).table) == 2
    with pytest.raises(InputError, match="never mixes phases"):
        rank(trials, by="class")


def test_the_genotypes_with_one_reduction_wiring_rank_like_a_sweep_of_topologies() -> None:
    sweep, other = (
        [row(uniform(index, reduction=wiring), 0, 0.9 - index / 100) for index in (0, 1, 4)]
        for wiring in (3, 4)
    )
    pairs = [trial | {"kind": "genotypes"} for trial in (*sweep, *other)]

    chosen, expected = (
        rank(trials, by="topology") for trials in (with_reduction(frame(pairs), 3), frame(sweep))
    )

    assert chosen.header == expected.header
    assert chosen.design.unit == "topology"
    assert chosen.table["topology"].tolist() == expected.table["topology"].tolist()


def test_a_reduction_wiring_that_nothing_has_is_refused() -> None:
    with pytest.raises(InputError, match="no training here has reduction wiring 5"):
        with_reduction(frame([row(0, 0, 0.9)]), 5)


def test_networks_of_several_operations_have_no_place_among_the_topologies() -> None:
    mixed = KNOWN_CELLS["DARTS_V1"]
    wiring = mixed.reduction.topology.index
    with pytest.raises(InputError, match=r"1 genotype with reduction wiring .* mix operations"):
        with_reduction(frame([row(mixed, 0, 0.9), row(mixed, 1, 0.8)]), wiring)

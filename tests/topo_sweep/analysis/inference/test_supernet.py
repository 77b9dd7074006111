"""Shared weights beside trainings alone: whose cells are compared, and what may be said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nas_core.cells.genotype import Genotype
from nas_core.cells.sampling import random_genotypes
from nas_core.errors import InputError
from tests.topo_sweep.analysis.ranking_rows import frame, row
from tests.topo_sweep.analysis.search_rows import search, searches
from tests.topo_sweep.runs.search_run import search_spec
from topo_sweep.analysis.inference.supernet import one_hot_accuracies, supernet_finding
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.sweep import run
from topo_sweep.store.opened import open_sweep

CELLS = random_genotypes(["skip_connect", "sep_conv_3x3", "dil_conv_3x3"], 12, seed=0)


def one_hot(accuracies: Sequence[float], cells: Sequence[Genotype] = CELLS) -> str:
    return json.dumps(list(map(list, zip(map(str, cells), accuracies, strict=False))))


def measured(*accuracies: Sequence[float], **values: Any) -> pd.DataFrame:
    """Return searches that measured the cells like this, a seed each."""
    return searches(
        [
            search(f"search {seed}", seed=seed, one_hot=one_hot(each), **values)
            for seed, each in enumerate(accuracies)
        ]
    )


def trained(accuracies: Sequence[float], *, seeds: int = 1, **values: Any) -> pd.DataFrame:
    return frame(
        [
            row(cell, seed, accuracy + seed / 100, **({"kind": "genotypes"} | values))
            for cell, accuracy in zip(CELLS, accuracies, strict=False)
            for seed in range(seeds)
        ]
    )


RISING = np.linspace(0.8, 0.9, 12).tolist()


def test_tau_is_that_of_the_cells_that_both_have_and_their_number_is_said() -> None:
    random = np.random.default_rng(0)
    shared = random.uniform(0.1, 0.3, 12).tolist()

    found = supernet_finding(measured(shared), trained(RISING[:10]))

    (only,) = found.tables["searches"].to_dict("records")
    expected = stats.kendalltau(shared[:10], RISING[:10]).statistic
    assert (only["measured"], only["n"]) == (12, 10)
    assert only["tau"] == pytest.approx(expected)
    assert f"Kendall's tau = {expected:.2f} (95% interval {only['low']:.2f} to " in found.sentence
    assert "over n = 10 random cells, 1 search." in found.sentence
    assert found.sentence.endswith(" 2 cells without a training alone left out.")
    assert found.numbers["without_training"] == 2
    assert json.dumps(found.to_json_value(), allow_nan=False)


def test_over_seeds_of_searches_it_is_the_mean_with_an_interval_over_cells() -> None:
    random = np.random.default_rng(1)
    shared = [(np.array(RISING) + random.normal(0, 0.03, 12)).tolist() for _ in range(4)]

    found = supernet_finding(measured(*shared), trained(RISING, seeds=2))

    taus = [stats.kendalltau(each, RISING).statistic for each in shared]
    (setting,) = found.tables["settings"].to_dict("records")
    assert setting["tau"] == pytest.approx(np.mean(taus))
    assert 0 < setting["low"] < setting["tau"] < setting["high"]
    assert "they rank cells alike more often than not" in found.sentence
    assert "4 searches" in found.sentence
    assert found.numbers["ceiling"] == 1.0
    (single,) = supernet_finding(measured(shared[0]), trained(RISING)).tables["settings"]["low"]
    (fourfold,) = supernet_finding(measured(*shared[:1] * 4), trained(RISING)).tables["settings"][
        "low"
    ]
    assert fourfold == pytest.approx(single), "the same search four times tells no more"


def test_what_knows_nothing_is_seldom_said_to_rank_alike_however_many_searches_there_are() -> None:
    random, claims = np.random.default_rng(2), 0
    for _ in range(60):
        order = random.normal(0.2, 0.03, 12)
        shared = [(order + random.normal(0, 0.005, 12)).tolist() for _ in range(5)]
        alone = trained(random.normal(0.85, 0.02, 12).tolist())
        claims += "more often than not" in supernet_finding(measured(*shared), alone).sentence

    assert claims <= 6, "where the interval is to miss in 3 of 60, on either side"


def test_what_an_interval_does_not_show_is_not_said() -> None:
    nothing = [[*RISING[::2], *RISING[1::2]], [*RISING[1::2], *RISING[::2]], RISING[::-1]]
    assert (
        "no agreement was found" in supernet_finding(measured(*nothing), trained(RISING)).sentence
    )

    against = [[*RISING[9:], *RISING[6:9], *RISING[3:6], *RISING[:3]], RISING[::-1]]
    assert "the other way round" in supernet_finding(measured(*against), trained(RISING)).sentence


def test_settings_of_searches_are_apart_and_named() -> None:
    both = pd.concat([measured(RISING), measured(RISING[::-1], cells=16)], ignore_index=True)
    both["search_id"] = ["a", "b"]

    found = supernet_finding(both, trained(RISING))

    assert found.tables["settings"]["tau"].tolist() == pytest.approx([1.0, -1.0])
    assert (
        "search_subspace, 16 cells in SS1: nothing is claimed without an interval, Kendall's "
        in (found.sentence)
    )
    assert [line[0] for line in found.shown["Kendall's tau"]] == [
        "search",
        "search_subspace, 5 cells",
        "search_subspace, 16 cells",
    ]


def test_searches_with_and_without_attention_are_told_apart() -> None:
    noisy = [*RISING[3:6], *RISING[:3], *RISING[6:9], RISING[11], RISING[9], RISING[10]]
    both = pd.concat([measured(noisy), measured(noisy, attention="once")], ignore_index=True)
    both["search_id"], both["protocol_hash"] = ["a", "b"], ["p", "q"]

    sentence = supernet_finding(both, trained(RISING)).sentence

    assert "search_subspace, 5 cells in SS1: they rank cells alike" in sentence
    assert "search_subspace, 5 cells, attention once in SS1: they rank cells alike" in sentence


def test_random_and_found_trainings_of_a_cell_count_alike_and_others_not_at_all() -> None:
    rows = pd.concat(
        [
            trained(RISING[:6], kind="random"),
            trained(RISING, kind="search").iloc[6:],
            frame([row(17, 0, 0.1)]),
        ],
        ignore_index=True,
    )

    found = supernet_finding(measured(RISING), rows)

    assert found.tables["searches"]["n"].tolist() == [12]
    mixed = rows.assign(protocol_hash=["a"] * 6 + ["b"] * 7)
    with pytest.raises(InputError, match="never mixes protocols"):
        supernet_finding(measured(RISING), mixed)


def test_trainings_of_other_sweeps_count_where_they_are_of_one_protocol() -> None:
    searched, rest = measured(RISING), ("rest", trained(RISING).iloc[6:])
    apart = ("apart", trained(RISING, protocol_hash="b").iloc[6:])

    found = supernet_finding(searched, trained(RISING[:6]), beside=[apart, rest])

    assert found.tables["searches"]["n"].tolist() == [12]
    assert "apart is left out: a ranking never mixes protocols" in found.sentence
    only = supernet_finding(searched, trained(RISING).iloc[:0], beside=[apart])
    assert only.tables["searches"]["n"].tolist() == [6]


def test_nothing_measured_and_nothing_trained_are_said() -> None:
    without = measured(RISING).drop(columns="one_hot")
    assert one_hot_accuracies(without).empty
    assert supernet_finding(without, trained(RISING)).sentence == (
        "Nothing to compare: no search here has measured any: ask for some with one_hot_cells."
    )
    assert (
        "none of the 12 cells"
        in supernet_finding(measured(RISING), trained(RISING).iloc[:0]).sentence
    )

    some = pd.concat([measured(RISING), without.assign(search_id="other", one_hot=None)])
    assert supernet_finding(some, trained(RISING)).sentence.endswith("measured none: 1.")


@pytest.mark.slow
def test_what_a_sweep_of_searches_keeps_is_read(tmp_path: Path) -> None:
    spec = search_spec(one_hot_cells=5, evaluation_seeds=())
    run(make_plan(spec, tmp_path), Execution(executor="inline"))

    kept = one_hot_accuracies(open_sweep(tmp_path).searches())

    assert kept["genotype"].tolist() == [str(g) for g in spec.searches()[0].one_hot_genotypes]
    assert kept["accuracy"].between(0, 1).all()

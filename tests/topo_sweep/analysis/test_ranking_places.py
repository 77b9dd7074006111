"""How sure the places of a ranking are, and what means are without the luck of their seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from tests.topo_sweep.analysis.ranking_rows import frame, row, seeds
from topo_sweep.analysis.inference.best import PLACES
from topo_sweep.analysis.ranking import format_table, rank, to_records

NOISE = np.array([0.0, 0.002, -0.002, 0.001, -0.001])
MEANS = {0: 0.95, 4: 0.949, 17: 0.9, 20: 0.8}
"""Each topology is a class by itself."""


def noisy(means: dict[int, float] = MEANS) -> pd.DataFrame:
    rows = [
        trial
        for shift, (topology, mean) in enumerate(means.items())
        for trial in seeds(topology, *(mean + np.roll(NOISE, shift)))
    ]
    return frame(rows)


def test_each_mean_has_its_possible_ranks_and_what_it_shrinks_to() -> None:
    records = to_records(rank(noisy()))

    assert [record["rank"] for record in records] == [1, 2, 3, 4]
    assert [(record["rank_low"], record["rank_high"]) for record in records] == [
        *((1, 2), (1, 2), (3, 3), (4, 4))
    ]
    assert [record["in_best_set"] for record in records] == [True, True, False, False]
    types = {type(records[0][key]) for key in ("rank_low", "rank_high")}
    assert (types, type(records[0]["in_best_set"])) == ({int}, bool)
    drawn = [record["shrunk_mean"] - record["mean"] for record in records]
    assert drawn[0] < 0 < drawn[-1]  # towards the mean of all, 0.89975
    assert max(map(abs, drawn)) < 1e-4


def test_they_are_printed_and_the_header_says_what_they_mean() -> None:
    header, columns, *lines = format_table(rank(noisy())).splitlines()

    assert (
        "With 95% confidence the best is among the 2 of 4 in the best set, and so all true ranks "
        "lie in their intervals; shrunken means leave out the luck of seeds."
    ) in header
    assert columns.split()[-5:] == ["95%", "interval", "ranks", "best", "set"]
    assert "mean %  shrunken    SD" in columns
    assert [line.split()[-1] for line in lines] == ["yes", "yes", "no", "no"]
    assert lines[0].endswith("1 to 2       yes")
    assert lines[2].endswith("     3        no")


def test_one_seed_has_none_of_these_and_others_keep_theirs() -> None:
    only = to_records(rank(frame(seeds(0, 0.9) + seeds(4, 0.8))))
    assert {record[key] for record in only for key in (*PLACES, "shrunk_mean")} == {None}
    text = format_table(rank(frame(seeds(0, 0.9) + seeds(4, 0.8))))
    assert not {"ranks", "best set", "shrunken"} & set(text.split("  "))
    assert "best set" not in text

    mixed = to_records(rank(pd.concat([noisy(), frame(seeds(22, 0.99))])))
    assert [mixed[0][key] for key in (*PLACES, "shrunk_mean")] == [None] * 4
    assert (mixed[1]["rank_low"], mixed[1]["rank_high"]) == (1, 3)
    table = format_table(rank(pd.concat([noisy(), frame(seeds(22, 0.99))])))
    assert table.splitlines()[2].split()[-3:] == ["-", "-", "-"]


def test_topologies_are_pooled_by_class_unless_asked_and_genotypes_are_not() -> None:
    trials = frame([row(7, 0, 0.90), row(50, 0, 0.94)])  # both in class 3
    pooled, apart = rank(trials), rank(trials, by="topology")

    assert (pooled.design.unit, len(pooled.table)) == ("class", 1)
    assert "Pooled by class; --by topology for each topology." in pooled.header
    assert (apart.design.unit, len(apart.table)) == ("topology", 2)
    assert "Pooled" not in apart.header

    cells = frame([row(7, 0, 0.9), row(50, 0, 0.9)]).assign(kind="genotypes")
    assert rank(cells).design.unit == "genotype"
    mixed = frame([row(KNOWN_CELLS["DARTS_V1"], 0, 0.9, kind="genotypes")])
    assert rank(mixed).design.by == "topology"


def test_groups_that_are_left_out_take_no_place() -> None:
    trials = pd.concat([noisy(), frame(seeds(22, 0.99, 0.5))])

    kept = to_records(rank(trials, min_seeds=3))

    assert [record["rank_high"] for record in kept] == [2, 2, 3, 4]


@pytest.mark.parametrize("by", ["topology", "class"])
def test_a_training_that_diverged_does_not_make_its_class_surely_worse(by: str) -> None:
    accuracies = 0.95 + NOISE
    rows = [row(t, s, a) for t in MEANS for s, a in enumerate(accuracies[[t % 5, 1, 2, 3, 4]])]
    trials = frame(
        [trial | {"test_accuracy": 0.1} if n == 4 else trial for n, trial in enumerate(rows)]
    )

    assert rank(trials, by=by).table["in_best_set"].all()

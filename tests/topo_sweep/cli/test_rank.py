"""`topo-sweep rank`: the table of topologies, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.topo_sweep.analysis.choice_rows import HOLDOUT, finished, topologies
from tests.topo_sweep.cli.program import Program
from tests.topo_sweep.conftest import small_spec


@pytest.mark.usefixtures("results")
def test_a_ranking_reads_alike_in_every_form_and_says_that_one_seed_is_no_evidence(
    program: Program,
) -> None:
    ranked = json.loads(program("rank", "--format", "json"))
    assert set(ranked[0]) == {
        *("rank", "genotype", "topology", "class_id", "n", "runs", "diverged", "metric"),
        *("mean", "adjusted_mean", "sd", "ci_low", "ci_high", "shrunk_mean"),
        *("rank_low", "rank_high", "in_best_set"),
        *("name", "wiring", "reduction_wiring", "protocol_hash", "data"),
    }
    best = ranked[0]
    assert (best["name"], best["wiring"]) == (f"topology {best['topology']}", best["topology"])
    assert (best["reduction_wiring"], best["data"]) == (0, "digits (no hold-out, 64 trained on)")
    assert best["protocol_hash"] in program.errors
    assert ranked[0]["sd"] is ranked[0]["ci_low"] is ranked[0]["ci_high"] is None
    assert sorted(row["topology"] for row in ranked) == [0, 179]
    assert "not evidence" in program.errors
    rows = csv.DictReader(io.StringIO(program("rank", "--format", "csv")))
    assert [row["genotype"] for row in rows] == [row["genotype"] for row in ranked]
    table = program("rank", "--top", "1")
    assert "Last-epoch test accuracy" in table
    assert "not evidence" in table
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["rank", "1", "(1"]


def test_members_of_a_class_are_pooled_unless_topologies_are_asked_for(
    program: Program, tmp_path: Path
) -> None:
    # Topologies 12 and 21 are one class.
    folder = str(topologies(tmp_path, {12: [0.9], 21: [0.7], 0: [0.6]}).folder)

    by_topology = json.loads(program("rank", folder, "--by", "topology", "--format", "json"))
    assert "ooled" not in program.errors
    by_class = json.loads(program("rank", folder, "--format", "json"))
    assert "Pooled by class; --by topology for each topology." in program.errors

    assert [row["mean"] for row in by_topology] == [0.9, 0.7, 0.6]
    assert [row["mean"] for row in by_class] == [0.8, 0.6]


def test_the_metric_and_the_fewest_seeds_are_those_asked_for(
    program: Program, tmp_path: Path
) -> None:
    sweep = topologies(tmp_path, {0: [0.9, 0.8], 1: [0.7]}, data=HOLDOUT)
    folder = str(sweep.folder)

    (validation,) = json.loads(program("rank", folder, "--min-seeds", "2", "--format", "json"))
    test = json.loads(program("rank", folder, "--metric", "test", "--format", "json"))

    assert (validation["topology"], validation["metric"]) == (0, "val")
    assert [(row["topology"], row["metric"]) for row in test] == [(1, "test"), (0, "test")]


def test_networks_that_test_accuracy_chose_are_called_so_beside_their_numbers(
    program: Program, tmp_path: Path
) -> None:
    chosen = "the best of 10 networks of edarts-digits-12345678 by last-epoch test accuracy"
    held_out = "the best of 3 networks of other by last-epoch validation accuracy"
    for origin, said in ((chosen, [chosen]), (held_out, []), (None, [])):
        spec = small_spec(topologies=(0, 1), origin=origin)
        folder = str(finished(tmp_path / str(origin)[:9], spec, {0: [0.9], 1: [0.7]}).folder)

        lines = program("rank", folder).splitlines()
        about = [line for line in lines if line.startswith("Chosen on the test images")]
        assert about == [
            f"Chosen on the test images, so optimistic on them: {origin}." for origin in said
        ]
        program("rank", folder, "--format", "json")
        assert all(line in program.errors for line in about)


def test_a_precision_that_is_not_the_default_is_named(program: Program, tmp_path: Path) -> None:
    protocol = small_spec().protocol.with_values({"precision": "bfloat16"})
    spec = small_spec(protocol=protocol, topologies=(0, 1))
    said = "Trained with precision bfloat16, which is part of the protocol."

    folder = str(finished(tmp_path / "other", spec, {0: [0.9], 1: [0.7]}).folder)
    assert said in program("rank", folder).splitlines()

    folder = str(finished(tmp_path, small_spec(topologies=(0, 1)), {0: [0.9], 1: [0.7]}).folder)
    assert "precision" not in program("rank", folder)

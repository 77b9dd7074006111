"""What sweeps give a comparison: their rows joined, grouped and told in words."""

from __future__ import annotations

import math

import pytest

from nas_core.protocols.training import PRESETS, Protocol
from tests.topo_sweep.paper.compare_rows import evaluation, search, source, topology
from topo_sweep.paper.evidence import (
    gather,
    groups,
    role,
    setting_text,
    settings_with_results,
    skip_counts,
    usable,
)


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (None, "shallow"),
        (PRESETS["shallow"], "shallow"),
        (PRESETS["final"], "final"),
        (PRESETS["final"].with_values({"cells": 2, "init_channels": 2}), "final"),
        (Protocol(cells=9), "shallow"),
        (Protocol(cells=10), "final"),
    ],
)
def test_a_protocol_is_final_with_an_auxiliary_head_or_ten_cells(
    protocol: Protocol | None, expected: str
) -> None:
    assert role(protocol) == expected


def test_trainings_know_accuracy_in_percent_the_role_and_the_seed_of_their_search() -> None:
    search_row = search("search_subset", 7)
    final = evaluation(search_row, 0.97, seed=1, protocol_hash=PRESETS["final"].protocol_hash)
    failed = topology(1, 0, float("nan"), status="failed")
    trials = gather(
        [source([topology(0, 0, 0.925), failed, final], [search_row], name="one")]
    ).trials

    rows = trials.set_index("trial_id")
    trained = rows.loc[topology(0, 0, 0.9)["trial_id"]]
    assert (trained["accuracy"], trained["role"], trained["source"]) == (92.5, "shallow", "one")
    assert math.isnan(rows.loc[failed["trial_id"], "accuracy"])
    assert (rows.loc[final["trial_id"], "role"], rows.loc[final["trial_id"], "search_seed"]) == (
        "final",
        7,
    )


def test_a_protocol_of_a_sweeps_own_is_known_by_its_hash() -> None:
    deep = Protocol(cells=12, epochs=3)
    row = topology(0, 0, 0.9, protocol_hash=deep.protocol_hash)

    assert list(gather([source([row], protocols=[deep])]).trials["role"]) == ["final"]
    assert list(gather([source([row])]).trials["role"]) == ["shallow"], "unknown to this sweep"


def test_a_missing_value_is_a_group_of_its_own() -> None:
    rows = gather(
        [source([topology(i, 0, 0.9, train_limit=limit) for i, limit in enumerate((None, 9, 9))])]
    ).trials

    assert sorted(map(len, groups(rows, ["train_limit"]))) == [1, 2]
    assert list(groups(rows[:0], ["train_limit"])) == []


def test_what_has_no_result_is_left_out_and_said_and_what_diverged_is_counted_and_said() -> None:
    rows = [topology(0, 0, 0.9), topology(1, 0, 0.1, status="diverged")]
    rows += [topology(i, 0, float("nan"), status="failed") for i in (2, 3)]
    trials = gather([source(rows)]).trials

    kept, sentences = usable(trials, "accuracy")

    assert sorted(kept["topology"]) == [0, 1]
    assert sentences == [
        "Left out as failed: 2 trainings.",
        "Counted although diverged: 1 training.",
    ]
    assert [len(rows) for rows in settings_with_results(trials)] == [4]
    assert settings_with_results(trials[trials["status"] == "failed"]) == []


def test_a_search_has_the_mean_of_its_evaluations_by_each_setting() -> None:
    search_rows = [search("search_subset", seed) for seed in (0, 1)]
    trials = [evaluation(search_rows[0], test, seed=k) for k, test in enumerate((0.8, 0.9))]
    trials += [evaluation(search_rows[0], 0.5, holdout=100)]
    evidence = gather([source(trials, search_rows)])

    settings = list(evidence.evaluated(evidence.searches, ["method"]))

    first, second = search_rows[0]["search_id"], search_rows[1]["search_id"]
    means = [each.means("accuracy").to_dict() for each in settings]
    assert [{key: pytest.approx(value) for key, value in each.items()} for each in means] == [
        {first: 85.0},
        {first: 50.0},
    ]
    assert all(second in set(each.searches["search_id"]) for each in settings)


def test_skips_are_added_up_over_cells_and_poolings_follow_from_operations() -> None:
    row = search("search_subset", 0, skips_normal=2, skips_reduction=3)
    average = search("search_subset", 1, operations="none,avg_pool_3x3,skip_connect,sep_conv_3x3")
    searches = gather([source([], [row, average])]).searches.sort_values("seed")

    assert skip_counts(searches, ["skips_normal", "skips_reduction"]).iloc[0] == 5
    assert list(searches["pooling"]) == ["max", "avg"]


def test_a_setting_is_told_as_data_protocol_and_sweeps() -> None:
    trials = gather([source([topology(0, 0, 0.9)], name="b"), source([topology(1, 0, 0.9)])]).trials

    text = setting_text(trials)

    assert text.startswith("ours: cifar10 (no hold-out)")
    assert text.endswith("; protocol shallow, sweeps b, sweep-cifar10-0123")
    other = trials.assign(protocol_hash="0123456789abcdef")
    assert "protocol 0123456789abcdef" in setting_text(other)

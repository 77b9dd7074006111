"""What was measured, how evenly, and what keeps it from being tested."""

from __future__ import annotations

import numpy as np
import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.protocols.training import PRESETS, DataOptions
from tests.topo_sweep.analysis.inference.run_rows import class_design
from tests.topo_sweep.analysis.ranking_rows import frame, row, seeds, uniform
from topo_sweep.analysis.design import design_of
from topo_sweep.analysis.inference.balance import (
    balance_of,
    design_finding,
    missing_from,
    untestable,
)
from topo_sweep.spec.trials import trainings


def test_a_balanced_design_says_what_it_has() -> None:
    finding = design_finding(class_design({c: [[0.5, 0.6, 0.7]] for c in range(3)}))

    assert finding.sentence == (
        "9 runs of 3 classes with 3 seeds (0-2): every seed is there. Last-epoch test accuracy; "
        "data cifar10 (no hold-out); protocol aaaa0000aaaa0000; cells of 4 nodes, normal all "
        "sep_conv_3x3, reduction all max_pool_3x3 on wiring 0."
    )
    assert (finding.numbers["balanced"], finding.numbers["empty_cells"]) == (True, 0)
    assert not finding.shown


def test_members_failures_and_gaps_are_counted() -> None:
    design = class_design({0: [[0.5, None, 0.7]], 1: [[0.5, 0.6, 0.7], [0.5, 0.6, None]]}, failed=2)

    balance, finding = balance_of(design), design_finding(design)

    assert balance.table.to_dict("list") == {
        "group": [0, 1],
        "seeds": [2, 3],
        "missing": [1, 0],
        "members": [1, 2],
        "runs": [2, 5],
        "diverged": [0, 0],
    }
    assert (balance.seeds, balance.shared) == ((0, 1, 2), (0, 2))
    assert not balance.is_balanced
    assert finding.sentence.startswith(
        "7 runs of 2 classes with 3 seeds (0-2), 1 to 2 members a class: 1 of 6 cells of class and "
        "seed are empty, and 2 of 3 seeds are complete: what stands best first is ordered by means "
        "as if each class had all seeds. 2 failed runs left out, which is fair only where failing "
        "has nothing to do with accuracy."
    )
    assert finding.shown["uneven"][1:] == [("class 0", "2", "1", "1", "2", "0")]


def test_diverged_runs_stay_and_are_named() -> None:
    rows = [*seeds(0, 0.5, 0.6), row(1, 0, 0.1, status="diverged"), row(1, 1, 0.6)]

    finding = design_finding(design_of(frame(rows), by="topology"))

    assert "1 diverged run counted with the accuracy of the diverged network" in finding.sentence
    assert finding.shown["uneven"][1][0] == "topology 1"
    assert finding.numbers["diverged"] == 1


def test_groups_without_any_result_are_named_with_what_was_asked_of_them() -> None:
    # Topologies 7 and 8 are one class; 11 failed with both seeds, 12 never ran.
    asked = trainings(
        map(uniform, (0, 7, 8, 11, 12)), PRESETS["demo"], DataOptions(dataset="digits"), (0, 1)
    )
    rows = [
        row(number, trial.seed, 0.5, trial_id=key, status="failed" if number == 11 else "ok")
        for key, trial in asked.items()
        if (number := int(trial.name.removeprefix("topology "))) not in (8, 12)
    ]
    trials = frame(rows)

    by_class, by_topology = (design_of(trials, by=by) for by in ("class", "topology"))
    found = design_finding(by_class, missing_from(by_class, trials, asked))

    assert found.sentence.startswith(
        "4 runs of 2 classes with 2 seeds (0-1): each of these classes has each. Without any "
        "result: 2 classes (class 4, class 5). Asked for and not run: 4 runs. 2 failed runs left "
    )
    assert (found.numbers["not_run"], found.numbers["groups_without_result"]) == (4, 2)
    assert found.tables["without_result"].to_numpy().tolist() == [
        ["class 4", 2, 0],
        ["class 5", 0, 2],
    ]
    missing = missing_from(by_topology, trials, asked)
    assert set(missing.groups["group"]) == {"topology 8", "topology 11", "topology 12"}
    assert missing_from(by_class, trials[trials["status"] == "ok"]).groups.empty


def test_cells_without_any_result_have_the_names_that_people_call_them() -> None:
    trials = frame(seeds(KNOWN_CELLS["PDARTS"], 0.5)).assign(kind="genotypes")
    asked = trainings(
        [KNOWN_CELLS["DARTS_V2"], KNOWN_CELLS["PDARTS"]],
        PRESETS["demo"],
        DataOptions(dataset="digits"),
        [0],
    )
    trials["trial_id"] = list(asked)[1]

    missing = missing_from(design_of(trials), trials, asked)

    assert missing.groups.to_numpy().tolist() == [["DARTS_V2", 0, 1]]


def test_one_seed_is_said_to_show_no_noise() -> None:
    alone = design_finding(class_design({0: [[0.5]], 1: [[0.6]]})).sentence
    members = design_finding(class_design({0: [[0.5]], 1: [[0.6], [0.7]]})).sentence

    assert "with one seed nothing shows how large noise is." in alone
    assert "with one seed nothing but members of a class shows how large noise is." in members


@pytest.mark.parametrize(
    ("accuracies", "why"),
    [
        ([[0.5, 0.6]], "there is one class: run a second"),
        ([[0.5], [0.6]], "with one seed classes cannot be told from noise"),
        ([[0.5, None], [None, 0.6]], "no two classes have two seeds in common"),
        ([[0.5, 0.5], [0.5, 0.5]], "no noise was seen: measure on more images"),
        ([[0.5, 0.6], [0.6, 0.8]], ""),
    ],
)
def test_what_cannot_be_tested_says_why_and_what_it_takes(
    accuracies: list[list[float | None]], why: str
) -> None:
    said = untestable(class_design({c: [values] for c, values in enumerate(accuracies)}))

    assert why in said
    assert bool(why) == bool(said)
    assert np.all([text not in said for text in ("nan", "None")])

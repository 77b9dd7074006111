"""The paper's numbers in `results/published.csv` against the project's fact sheet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from topo_sweep.paper.published import find, printed, published, rows_of

FACTS = Path(__file__).resolve().parents[3] / "tests" / "facts" / "darts.json"


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """What the paper printed, noted down independently of this repository."""
    values: dict[str, Any] = json.loads(FACTS.read_text(encoding="utf-8"))["published"]
    return values


def numbers(table: str, row: str) -> dict[str, float | str]:
    """Return a row's values by column, words as words."""
    return {
        entry.column: entry.value if entry.unit == "text" else entry.number
        for entry in published()
        if (entry.table, entry.row) == (table, row)
    }


def statements(table: str, column: str) -> list[str]:
    return [e.value for e in published() if (e.table, e.column) == (table, column)]


def test_the_two_phases_equal_the_fact_sheet(facts: dict[str, Any]) -> None:
    assert (
        numbers("phases", "phase 1") | numbers("phases", "phase 2")
        == (facts["topology_sweep_test_accuracy_percent"])
    )


@pytest.mark.parametrize(("table", "key"), [("2", "method"), ("3", "network")])
def test_tables_2_and_3_equal_the_fact_sheet(table: str, key: str, facts: dict[str, Any]) -> None:
    rows = facts[f"table_{table}"]
    assert list(rows_of(table)) == [row[key] for row in rows]
    for row in rows:
        assert numbers(table, row[key]) | {key: row[key]} == row


def test_table_4_equals_the_fact_sheet_and_has_no_number_where_none_is_printed(
    facts: dict[str, Any],
) -> None:
    columns = facts["table_4_columns"]
    assert list(rows_of("4")) == [row[0] for row in facts["table_4"]]
    for row in facts["table_4"]:
        given = dict(zip(columns[1:], row[1:], strict=True))
        assert numbers("4", row[0]) == {k: v for k, v in given.items() if v is not None}


def test_claims_and_statements_equal_the_fact_sheet(facts: dict[str, Any]) -> None:
    assert statements("fig2", "claim") == facts["figure_2_claims"]
    assert statements("ablation", "statement") == [facts["ablation"]]
    assert statements("text", "statement") == [*facts["text_conflicts"], facts["table_2_note"]]


def test_numbers_out_of_sentences_stand_in_those_sentences(facts: dict[str, Any]) -> None:
    """The fact sheet gives some numbers in prose only; each is found there."""
    deep, equal = rows_of("ablation")[:2]
    assert f"best of {printed('ablation', deep, 'searches').value} searches" in facts["ablation"]
    error = printed("ablation", deep, "cifar10_test_error_percent")
    assert f"{error.value}% error" in facts["ablation"]
    bound = printed("ablation", equal, "shallow_accuracy_percent_below")
    assert f"below {bound.value}% shallow accuracy" in facts["ablation"]
    skips = [printed("text", row, "skips_a_search").value for row in rows_of("2")]
    assert f"skips a search as {', '.join(skips)}" in facts["table_2_note"]
    before, after = (
        printed("text", "introduction", f"skips_a_search_{when}").value
        for when in ("before", "after")
    )
    assert any(f"{before} to {after} (introduction)" in text for text in facts["text_conflicts"])
    other = printed("text", "eDARTS CIFAR100 + cutout", "cifar100_test_error_percent").value
    assert any(f"{other} (text)" in text for text in facts["text_conflicts"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("phases", "phase 1", "highest"), "92.44"),
        (("phases", "phase 2", "best_unified_phase_2"), "93.66"),
        (("2", "DARTS", "search_gpu_hours_minimum"), "36"),
        (("2", "DARTS + data subset + epoch update", "shallow_accuracy_percent"), "92.15"),
        (("3", "PC_DARTS", "final_accuracy_percent"), "97.43"),
        (("4", "eDARTS CIFAR10 + cutout", "cifar10_test_error_percent"), "2.53"),
        (("ablation", "16 cells, all separable, 14 edges", "cifar10_test_error_percent"), "2.56"),
    ],
)
def test_what_is_known_by_heart_is_found_also_without_the_fact_sheet(
    key: tuple[str, str, str], value: str
) -> None:
    assert printed(*key).value == value


def test_cost_ratios_say_what_is_faster_than_what() -> None:
    ratios = [entry for entry in published() if entry.column == "ratio"]
    assert [(entry.number, entry.row) for entry in ratios] == [
        (number, f"DARTS + data subset + epoch update, faster than {other}")
        for number, other in ((11, "DARTS+"), (8.5, "P-DARTS"), (2.8, "PC-DARTS"))
    ]


def test_accuracies_and_errors_stand_with_the_two_decimals_that_are_printed() -> None:
    columns = ("final_accuracy_percent", "shallow_accuracy_percent")
    values = [
        entry.value
        for entry in published()
        if entry.column in columns or entry.column.endswith("test_error_percent")
    ]
    assert {"97.00", "97.50", "93.00", "3.00", "3.10", "2.50", "17.00"} <= set(values)
    assert {len(value.partition(".")[2]) for value in values} == {2}


def test_what_a_dagger_says_stands_beside_the_number() -> None:
    for order in ("first", "second"):
        row = f"DARTS ({order} order) + cutout"
        assert "as reported by P-DARTS" in printed("4", row, "cifar100_test_error_percent").note
    assert "GTX 1070" in printed("4", "eDARTS CIFAR10 + cutout", "search_gpu_days").note


def test_every_entry_has_a_place_of_its_own_and_a_value_in_its_unit() -> None:
    places = [(entry.table, entry.row, entry.column) for entry in published()]
    assert len(set(places)) == len(places) == 149
    for entry in published():
        assert entry.value
        assert entry.unit in {
            "percent",
            "million",
            "count",
            "GPU hours",
            "hours",
            "GPU days",
            "times",
            "text",
        }
        assert (entry.unit == "text") or entry.number > 0


def test_that_skips_are_totals_is_said_to_be_a_reading() -> None:
    for row in rows_of("2"):
        for cell in ("normal", "reduction"):
            said = printed("2", row, f"skips_{cell}").note
            assert said == "read as a total over the five runs, which the caption does not say"
    (statement,) = [each for each in statements("text", "statement") if "five runs" in each]
    assert "which the caption does not say" in statement


def test_methods_of_table_4_are_called_as_printed() -> None:
    methods = {entry.value for entry in published() if entry.column == "method"}
    assert methods == {"manual", "RL", "evolution", "SMBO", "gradient-based"}


def test_what_the_paper_does_not_print_is_none_not_a_guess() -> None:
    assert find("4", "PNAS", "cifar100_test_error_percent") is None
    with pytest.raises(KeyError):
        printed("4", "PNAS", "cifar100_test_error_percent")

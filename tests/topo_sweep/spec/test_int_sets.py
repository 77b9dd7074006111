"""Sets of numbers as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_core.errors import InputError
from topo_sweep.spec.int_sets import format_int_set, parse_int_set


@settings(max_examples=50)
@given(st.sets(st.integers(0, 300) | st.integers(0, 10**18 - 1), min_size=1))
def test_int_sets_survive_formatting_and_parsing(numbers: set[int]) -> None:
    assert parse_int_set(format_int_set(numbers), what="seeds") == tuple(sorted(numbers))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0", (0,)),
        ("0-3,17", (0, 1, 2, 3, 17)),
        ("17,3,0-3,3", (0, 1, 2, 3, 17)),
        (" 0-1 , 5 ", (0, 1, 5)),
        ("4-4", (4,)),
    ],
)
def test_an_int_set_is_sorted_and_holds_each_number_once(
    text: str, numbers: tuple[int, ...]
) -> None:
    assert parse_int_set(text, what="seeds") == numbers


def test_runs_of_numbers_are_written_as_ranges() -> None:
    assert format_int_set([17, 3, 1, 2, 0, 0, 5, 6]) == "0-3,5-6,17"
    assert format_int_set(range(180)) == "0-179"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "'' is no number or range: write numbers 0 to 179, as in 0-3,17"),
        (" , ", "'' is no number or range"),
        ("0,", "'' is no number or range"),
        ("3-1", "3-1 counts down: write 1-3"),
        ("-1", "'-1' is no number or range"),
        ("a", "'a' is no number or range"),
        ("0.5", "'0.5' is no number or range"),
        ("180", "180 is too large: write numbers 0 to 179"),
        ("1,170-180", "180 is too large"),
        ("1--2", "'1--2' is no number or range"),
        ("0-99999999999", "99999999999 is too large"),
        ("9" * 5000, "is no number or range"),
        ("\u0663", "is no number or range"),
        ("1\n,x", "'x' is no number or range"),
    ],
)
def test_what_is_no_int_set_is_named_with_what_is_allowed(text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_int_set(text, what="--topologies", maximum=179)

    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"--topologies {repr(text)[:70]}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["0-99999999999", "0-1000000", ",".join(["0-999999"] * 50_000)])
def test_a_huge_int_set_is_refused_before_it_fills_the_memory(text: str) -> None:
    with pytest.raises(InputError, match="more than 1,000,000 numbers"):
        parse_int_set(text, what="seeds")


@settings(max_examples=50)
@given(st.text() | st.text("0123456789-, "))
def test_any_text_is_an_int_set_or_one_line_of_error(text: str) -> None:
    try:
        numbers = parse_int_set(text, what="seeds", maximum=179)
    except InputError as error:
        message, numbers = str(error), (0,)
    else:
        message = ""

    assert message.isprintable()
    assert list(numbers) == sorted(set(numbers))
    assert 0 <= numbers[0] <= numbers[-1] <= 179

"""Fields of the notation of DARTS, read as literals and never run."""

from __future__ import annotations

import pytest

from nas_core.cells.notation import darts_fields, shortened
from nas_core.errors import InputError


def test_the_keyword_arguments_are_read_by_name_in_whatever_order_and_layout() -> None:
    text = " Genotype(\n  reduce=[('none', 0)],\n  normal=[],\n  reduce_concat=range(2, 6))\n"

    assert darts_fields(text) == {
        "reduce": [("none", 0)],
        "normal": [],
        "reduce_concat": [2, 3, 4, 5],
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Cell(normal=[])", "expected Genotype"),
        ("Genotype", "expected Genotype"),
        ("Genotype([])", "expected Genotype"),
        ("Genotype(normal=open('x'))", "malformed node"),
        ("Genotype(normal=range(0, 101))", r"range over \[0, 101\]"),
        ("Genotype(normal=range(0, 2.0))", r"range over \[0, 2.0\]"),
        ("Genotype(normal=", "was never closed"),
    ],
)
def test_another_text_is_refused_with_the_text_and_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"is no DARTS notation: .*{reason}") as refused:
        darts_fields(text)
    assert str(refused.value).startswith(repr(text))


def test_a_long_text_is_quoted_by_its_beginning() -> None:
    assert shortened("x" * 60) == repr("x" * 60)
    assert shortened("x" * 61) == repr("x" * 57 + "...")

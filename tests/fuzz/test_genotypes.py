"""Genotypes in all notations: canonical, JSON, as DARTS prints them, and known names."""

from __future__ import annotations

import json
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import KNOWN_CELLS, OPERATION_NAMES, Genotype
from tests.fuzz.inputs import FUZZ, JUNK, TEXTS, edited, mutated, works_or_is_refused

CELLS: Final = list(KNOWN_CELLS.values())
TEXT = st.one_of(
    TEXTS,
    *(
        st.sampled_from([written(cell) for cell in CELLS]).flatmap(edited)
        for written in (str, Genotype.to_json, Genotype.to_darts)
    ),
    st.sampled_from(CELLS).map(lambda c: json.loads(c.to_json())).flatmap(mutated).map(json.dumps),
    JUNK.map(lambda junk: f"Genotype(normal={junk!r}, reduce={junk!r})"),
    JUNK.map(json.dumps),
    st.text("([{-~+*.,:=xX01'\" ", max_size=200).map(lambda text: f"Genotype(normal={text})"),
    st.sampled_from("([{-~").map(lambda sign: f"Genotype(normal={sign * 5000})"),
    st.lists(
        st.sampled_from([*OPERATION_NAMES, "@", "0", "1", "9", ";", "+", "|", "range(", ")"]),
        max_size=60,
    ).map("".join),
)


@FUZZ
@given(text=TEXT)
def test_any_text_is_a_genotype_or_refused(text: str) -> None:
    for read in (Genotype.parse, Genotype.from_string, Genotype.from_json, Genotype.from_darts):
        genotype = works_or_is_refused(read, text)
        if genotype is not None:
            assert Genotype.from_string(str(genotype)) == genotype
            assert Genotype.from_json(genotype.to_json()) == genotype
            assert Genotype.from_darts(genotype.to_darts()) == genotype

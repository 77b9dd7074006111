"""Ranges of topologies and seeds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.inputs import FUZZ, TEXTS, edited, works_or_is_refused
from topo_sweep.spec.int_sets import MEMBER_LIMIT, format_int_set, parse_int_set

NUMBER = st.one_of(st.integers(0, 300), st.integers(0)).map(str)
RANGES = st.lists(
    st.one_of(NUMBER, st.tuples(NUMBER, NUMBER).map("-".join), TEXTS), min_size=1, max_size=6
).map(",".join)


@FUZZ
@given(
    text=st.one_of(RANGES, RANGES.flatmap(edited), TEXTS),
    maximum=st.one_of(st.none(), st.just(179)),
)
def test_any_text_is_a_set_of_numbers_or_refused(text: str, maximum: int | None) -> None:
    numbers = works_or_is_refused(
        lambda: parse_int_set(text, what="--seeds", maximum=maximum),
    )

    if numbers is not None:
        assert 0 < len(numbers) <= MEMBER_LIMIT
        assert list(numbers) == sorted(set(numbers))
        assert numbers[0] >= 0
        assert numbers[-1] <= (10**18 if maximum is None else maximum)
        if len(numbers) < 1000:
            assert parse_int_set(format_int_set(numbers), what="--seeds") == numbers

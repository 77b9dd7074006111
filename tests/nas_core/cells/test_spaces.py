"""The paper's eight sub-spaces, and what can be searched at all."""

from __future__ import annotations

import itertools

import pytest

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.cells.spaces import (
    LEARNABLE,
    POOLINGS,
    SPACES,
    canonical_operations,
    space_name,
    space_operations,
)
from nas_core.errors import InputError

# As the paper lists them, beside none, skip and one pooling.
PAPER = {
    "SS1": "sep3 dil3",
    "SS2": "sep5 dil5",
    "SS3": "sep3 sep5",
    "SS4": "dil3 dil5",
    "SS5": "sep3 dil5",
    "SS6": "sep5 dil3",
    "SS7": "sep3 sep5 dil3",
    "SS8": "sep3 sep5 dil5",
}
SHORT = {
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("space", PAPER)
def test_sub_spaces_are_the_papers_with_none_skip_and_one_pooling(space: str, pooling: str) -> None:
    convolutions = {SHORT[name] for name in PAPER[space].split()}
    expected = {"none", "skip_connect", f"{pooling}_pool_3x3", *convolutions}
    assert set(space_operations(space, pooling)) == expected


def test_the_papers_spaces_have_max_pooling_and_no_other_names() -> None:
    assert list(SPACES) == list(PAPER)
    assert all(SPACES[space] == space_operations(space, "max") for space in PAPER)
    assert set(POOLINGS) == {"max", "avg"}


def test_all_is_every_operation() -> None:
    assert space_operations("all") == OPERATION_NAMES
    assert set(LEARNABLE) == set(SHORT.values())


def test_operations_come_in_one_order_however_they_are_given() -> None:
    names = ("none", "skip_connect", "sep_conv_5x5", "dil_conv_3x3")
    assert {canonical_operations(order) for order in itertools.permutations(names)} == {names}


def test_spaces_are_called_by_their_names() -> None:
    for space, pooling in itertools.product(PAPER, POOLINGS):
        assert space_name(space_operations(space, pooling)) == space
    assert space_name(OPERATION_NAMES) == "all"
    assert space_name(("skip_connect", "sep_conv_3x3")) == "skip_connect+sep_conv_3x3"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["sep_conv3x3"], "unknown operation 'sep_conv3x3': use sep_conv_3x3 or"),
        (["sep_conv_3x3"] * 2, "holds each operation once, got sep_conv_3x3 twice"),
        (["none", "skip_connect", "max_pool_3x3"], "needs a learnable operation .*got none, skip"),
        ([], "needs a learnable operation .*got none at all"),
    ],
)
def test_operations_that_make_no_space_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        canonical_operations(names)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("SS9", "unknown space 'SS9': use SS8 or SS7, or all"),
        ("ss3", "unknown space 'ss3': use SS3"),
        ("everything", "unknown space 'everything': use SS1 to SS8, or all"),
    ],
)
def test_an_unknown_space_is_refused_with_the_nearest(space: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        space_operations(space)


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(InputError, match="pooling of a sub-space is max or avg, got 'min'"):
        space_operations("SS1", "min")

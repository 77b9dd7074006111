"""What an error says to write instead of an unknown key."""

from __future__ import annotations

import pytest

from nas_core.errors import InputError, TopoSweepError, valid_keys_hint

KEYS = {"epochs", "batch_size", "init_channels", "drop_path"}


@pytest.mark.parametrize(("wrong", "right"), [("epoch", "epochs"), ("batchsize", "batch_size")])
def test_the_nearest_key_is_asked_for(wrong: str, right: str) -> None:
    assert valid_keys_hint(wrong, KEYS) == f"did you mean {right}?"


def test_several_near_keys_are_all_asked_for() -> None:
    assert valid_keys_hint("cell", ["cells", "cell_"]) == "did you mean cells or cell_?"


def test_a_key_like_none_gets_all_in_alphabetical_order() -> None:
    expected = "valid keys: batch_size, drop_path, epochs, init_channels"
    assert valid_keys_hint("zzz", KEYS) == expected


def test_the_users_mistakes_are_among_our_errors() -> None:
    assert issubclass(InputError, TopoSweepError)
    assert not issubclass(TopoSweepError, ValueError), "pydantic must not swallow one of ours"

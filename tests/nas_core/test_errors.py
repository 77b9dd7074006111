"""What an error says to write instead of an unknown key, and what is told of others."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, ValidationError

from nas_core.errors import (
    InputError,
    TopoSweepError,
    first_line,
    nearest,
    unwritable,
    valid_keys_hint,
)

KEYS = {"epochs", "batch_size", "init_channels", "drop_path"}


@pytest.mark.parametrize(("wrong", "right"), [("epoch", "epochs"), ("batchsize", "batch_size")])
def test_the_nearest_key_is_asked_for(wrong: str, right: str) -> None:
    assert valid_keys_hint(wrong, KEYS) == f"did you mean {right}?"


def test_several_near_keys_are_all_asked_for() -> None:
    assert valid_keys_hint("cell", ["cells", "cell_"]) == "did you mean cells or cell_?"


def test_a_key_like_none_gets_all_in_alphabetical_order() -> None:
    expected = "valid keys: batch_size, drop_path, epochs, init_channels"
    assert valid_keys_hint("zzz", KEYS) == expected


def test_names_are_told_nearest_first_up_to_as_many_as_asked_for() -> None:
    valid = ["sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "none"]

    assert nearest("sep_conv_3x4", valid, most=1) == "sep_conv_3x3"
    assert nearest("sep_conv_3x3", valid, most=2).startswith("sep_conv_3x3 or ")
    assert nearest("zzz", valid) == nearest(7, valid) == ""
    assert nearest("sep", valid) == "", "not near enough"
    assert nearest("sep", valid, cutoff=0.3) != ""


def test_pydantic_reports_the_users_mistakes_beside_its_own() -> None:
    def refuse(_: object) -> None:
        raise InputError("write 1 to 3")

    class Settings(BaseModel):
        first: Annotated[int, AfterValidator(refuse)]
        second: int

    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({"first": 1, "second": "x"})
    assert issubclass(InputError, TopoSweepError)
    assert [error["loc"] for error in refused.value.errors()] == [("first",), ("second",)]
    assert "write 1 to 3" in str(refused.value)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("\nno C++ compiler\nand much more"), "no C++ compiler"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_of_another_error_its_first_line_is_told_or_its_kind(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    assert str(InputError("no key a\nb\x1b[0m\udc80é here")) == r"no key a\nb\x1b[0m\udc80é here"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, TopoSweepError),
        (errno.EDQUOT, TopoSweepError),
        (errno.EIO, TopoSweepError),
        (errno.EACCES, InputError),
        (errno.EROFS, InputError),
    ],
)
def test_a_full_disk_or_quota_is_no_mistake_of_the_user(
    code: int, kind: type[TopoSweepError]
) -> None:
    error = unwritable(Path("there"), OSError(code, os.strerror(code)))

    assert type(error) is kind
    assert str(error) == f"cannot write there: {os.strerror(code)}"

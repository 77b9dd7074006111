"""Options declared as the fields of a dataclass, and the object that a command gets of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from topo_sweep.cli.shared.common import PATH
from topo_sweep.cli.shared.options import FROM_ONE, RunOptions, option, set_option, takes


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Options that several commands share."""

    train_limit: int | None = option(type=FROM_ONE, help="How many.")


@dataclass(frozen=True, kw_only=True)
class Request:
    """Options of one command."""

    first: str = option(default="a", help="The first.")
    inner: Inner
    settings: tuple[str, ...] = set_option("Any key.")
    folder: Path | None = option("-o", "--output", "folder", type=PATH, help="Where.")


@click.command()
@click.argument("name")
@takes(Request)
def command(request: Request, name: str) -> None:
    """Print what was given."""
    click.echo(f"{name}: {request}")


def test_a_command_gets_its_options_as_one_frozen_object_beside_its_arguments() -> None:
    arguments = ["x", "--train-limit", "3", "--set", "a=1", "--set", "b=2", "-o", "there"]
    expected = Request(
        first="a", inner=Inner(train_limit=3), settings=("a=1", "b=2"), folder=Path("there")
    )

    result = CliRunner().invoke(command, arguments)

    assert result.output == f"x: {expected}\n"
    with pytest.raises(dataclasses.FrozenInstanceError):
        expected.first = "b"  # type: ignore[misc] # that is the point


def test_help_lists_the_options_in_the_order_of_the_fields() -> None:
    text = CliRunner().invoke(command, ["--help"]).output

    places = [text.index(name) for name in ("--first", "--train-limit", "--set", "--output")]
    assert places == sorted(places)


def test_a_subclass_may_change_a_default_and_keeps_the_order() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Alone(RunOptions):
        executor: str = option(default="inline")  # type: ignore[assignment] # any text here

    assert [field.name for field in dataclasses.fields(Alone)] == [
        field.name for field in dataclasses.fields(RunOptions)
    ]

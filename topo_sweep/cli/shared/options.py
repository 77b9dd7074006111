"""The options of a command as one frozen object, and those that several commands take.

A command declares its options as the fields of a dataclass, in the order of its help; a field that
is itself such a dataclass stands for all of its options. What the options do is elsewhere.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

import click

from topo_sweep.cli.shared.common import PATH
from topo_sweep.store.paths import RESULTS

MANY_TRIALS = 10_000
FROM_ONE, FROM_ZERO = click.IntRange(min=1), click.IntRange(min=0)

Options = TypeVar("Options")
Result = TypeVar("Result")


class NumberOrAuto(click.ParamType["float | str"]):
    """A number, or auto.

    Args:
        number: its type.
        words: what it is, for who gives another.

    """

    name = "N|auto"

    def __init__(self, number: click.ParamType[Any], words: str) -> None:
        self._number = number
        self._words = words

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float | str:
        """Return the number, or auto."""
        if value == "auto":
            return "auto"
        try:
            number: float = self._number.convert(value, param, ctx)
        except click.UsageError:
            self.fail(f"{value!r} is neither {self._words} nor auto.", param, ctx)
        return number


def option(*names: str, **attributes: Any) -> Any:  # noqa: ANN401 - a field of any type
    """Return a dataclass field that is a click option, by default named after the field."""
    return dataclasses.field(metadata={"option": (names, attributes)})


def set_option(help_text: str) -> Any:  # noqa: ANN401 - a field
    """Return the field `settings`: `--set KEY=VALUE`, which may be given often."""
    return option("--set", "settings", metavar="KEY=VALUE", multiple=True, help=help_text)


def executor_option(default: str) -> Any:  # noqa: ANN401 - a field
    """Return the field `executor` with this default."""
    return option(
        type=click.Choice(["ray", "inline"]),
        default=default,
        show_default=True,
        help="Ray workers, or this process alone.",
    )


def results_option(default: str) -> Any:  # noqa: ANN401 - a field
    """Return the field `results`, None where nothing is given; `default` says what that means."""
    return option(
        type=PATH, help=f"Folder in which the sweep's own folder is made.  [default: {default}]"
    )


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """The images that networks are trained on."""

    dataset: str | None = option(metavar="NAME", help="digits, cifar10 or cifar100.")
    holdout: int | None = option(type=FROM_ZERO, help="Training images for validation.")
    train_limit: int | None = option(type=FROM_ONE, help="Train on this many images.")


@dataclass(frozen=True, kw_only=True)
class WiringChoice:
    """The fixed wiring of a search, see `wiring.py`."""

    topology: int | None = option(
        type=click.IntRange(0, 179), help="Search along this fixed wiring, such as 17."
    )
    topology_from: Path | None = option(
        type=PATH, metavar="RESULTS", help="Search along the best wiring of this topology sweep."
    )


@dataclass(frozen=True, kw_only=True)
class CellTraining:
    """How a command that trains cells does so, which is no part of what it trains."""

    test_every: int = option(
        type=FROM_ONE,
        default=1,
        show_default=True,
        help="Measure accuracies every so many epochs, and in the last. Searches do so only there.",
    )
    pack: int | Literal["auto"] | None = option(
        type=NumberOrAuto(FROM_ONE, "a number from 1"),
        help="Train up to so many trainings of one shape, or search so many seeds, as one network; "
        "auto: as many trainings as is fastest here.  [default: each alone, by PyTorch's own "
        "layers]",
    )
    compile: Literal["auto", "on", "off"] = option(
        type=click.Choice(["auto", "on", "off"]),
        default="off",
        show_default=True,
        help="Compile networks before they train, or find out whether that pays; takes minutes.",
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How trials run and where their rows go: the same for every command that runs some.

    These are what a person types, in the order of the help, where one implies another (`--address`
    means `--cluster`); `runs.execution.Execution` is what any caller gives a run.
    """

    cluster: bool = option(is_flag=True, help="Join a running Ray cluster.")
    address: str | None = option(
        metavar="HOST:PORT", help="Where it is.  [default: $RAY_ADDRESS, else here]"
    )
    insecure: bool = option(is_flag=True, help="Do not warn of a cluster without a token.")
    ship_data: bool = option(
        "--ship-data/--no-ship-data",
        default=True,
        help="Send the images to the nodes, or let each read --data-dir itself.  [default: send]",
    )
    executor: Literal["ray", "inline"] = executor_option("ray")
    data_dir: Path | None = option(
        type=PATH, help="Folder of the data set.  [default: $TOPO_SWEEP_DATA, else data]"
    )
    download: bool = option(is_flag=True, help="Fetch the data set if it is not there.")
    partial_data: bool = option(is_flag=True, help="Take a data set that is not whole.")
    cpus_per_pack: int = option(
        type=FROM_ONE, default=1, show_default=True, help="Threads of a pack."
    )
    gpus_per_pack: float | Literal["auto"] | None = option(
        type=NumberOrAuto(click.FloatRange(min=0), "a number from 0"),
        help="May be a fraction; auto: as many packs share a GPU as its memory holds.  [default: 1 "
        "where there are GPUs, else 0]",
    )
    results: Path | None = results_option(str(RESULTS))
    dry_run: bool = option(is_flag=True, help="Say what would run and how long, and stop.")
    measure: bool = option(
        "--measure/--no-measure",
        default=True,
        help="Whether a dry run times steps of what the store does not tell.  [default: measure]",
    )
    cost_per_hour: float | None = option(
        type=click.FloatRange(min=0),
        help="Of a worker: says what a run will cost, or did. A worker that waits is not counted.",
    )
    checkpoint_seconds: float = option(
        type=click.FloatRange(min=0),
        default=20,
        show_default=True,
        help="The least time between two saves of a trial; 0 saves every epoch.",
    )
    retries: int = option(
        type=FROM_ZERO,
        default=3,
        show_default=True,
        help="Try what fails so often again; a lost machine does not count.",
    )
    fail_fast: bool = option(is_flag=True, help="Stop where a trial has failed for good.")
    retry_failed: bool = option(is_flag=True, help="Run trials that failed in earlier runs again.")
    yes: bool = option(is_flag=True, help=f"Allow more than {MANY_TRIALS:,} trials.")
    verbose: bool = option("-v", "--verbose", is_flag=True, help="Let Ray talk.")


def takes(kind: type[Any]) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Return what adds a dataclass's options to a command, which gets the object first."""

    def decorate(command: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(command)
        def with_object(**arguments: Any) -> Result:  # noqa: ANN401 - whatever click hands over
            return command(_object_of(kind, arguments), **arguments)

        for names, attributes in reversed(list(_declared(kind))):
            with_object = click.option(*names, **attributes)(with_object)
        return with_object

    return decorate


def _declared(kind: type[Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield names and attributes of all options, in order."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if "option" not in field.metadata:
            yield from _declared(hints[field.name])
        else:
            names, attributes = field.metadata["option"]
            yield names or (f"--{field.name.replace('_', '-')}",), attributes


def _object_of(kind: type[Options], arguments: dict[str, Any]) -> Options:
    """Return the object of the arguments that are its fields; they leave `arguments`."""
    hints = get_type_hints(kind)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type] # every kind is a dataclass
    taken = {
        field.name: arguments.pop(field.name)
        if "option" in field.metadata
        else _object_of(hints[field.name], arguments)
        for field in fields
    }
    return kind(**taken)

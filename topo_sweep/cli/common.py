"""What several commands share: options, opening results, printing records."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from nas_core.errors import InputError
from nas_core.files import write_durably
from topo_sweep.store.paths import RESULTS

if TYPE_CHECKING:
    from topo_sweep.store.opened import OpenedSweep

INTERRUPTED: Final = 130
"""The exit code of a command that Ctrl-C ended."""

Command = TypeVar("Command", bound=Callable[..., Any])


def say(message: str) -> None:
    """Print one line of progress or advice to stderr; stdout is for data."""
    click.echo(message, err=True)


FORMAT: Final[Mapping[str, Any]] = {
    "type": click.Choice(["table", "json", "csv"]),
    "default": "table",
    "show_default": True,
    "help": "Table for people, JSON or CSV for programs.",
}


class AnyPath(click.Path):
    """A path that the file system can hold, whether there is anything or not."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - whatever a default is
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Return the path; refuse one that is too long, or holds what no name may."""
        path = Path(value)
        try:
            path.exists()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.fail(f"{str(value)[:60]!r}... is no path: {reason}", param, ctx)
        return path


PATH: Final = AnyPath(path_type=Path)


def format_option(command: Command) -> Command:
    """Add `--format table|json|csv` as the parameter `output_format`."""
    return click.option("--format", "output_format", **FORMAT)(command)


def results_argument(command: Command) -> Command:
    """Add RESULTS: a sweep's folder, or a folder of sweeps."""
    return click.argument("results", type=PATH, default=RESULTS, metavar="[RESULTS]")(command)


def several_results_argument(command: Command) -> Command:
    """Add RESULTS: any number of sweeps' folders, or folders of sweeps."""
    return click.argument(
        "results",
        nargs=-1,
        type=PATH,
        metavar="[RESULTS]...",
        default=(RESULTS,),
    )(command)


def say_which(sweep: OpenedSweep, results: Path) -> None:
    """Name the sweep, where the folder that was given held several or was not the sweep."""
    if sweep.folder != results:
        more = f" (newest of {sweep.chosen_from} sweeps)" if sweep.chosen_from > 1 else ""
        say(f"sweep: {sweep.folder}{more}")


def formatted(
    records: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    output_format: str,
    table: Callable[[], str],
) -> str:
    """Return one record or many as JSON or CSV, or what `table` makes for people."""
    if output_format == "json":
        return json.dumps(records, indent=1)
    if output_format == "csv":
        return _csv([records] if isinstance(records, Mapping) else records)
    return table()


def emit(text: str, output: Path | None = None) -> None:
    """Print to stdout, or write to a file.

    Raises:
        InputError: the file cannot be written.

    """
    if output is None:
        click.echo(text)
        return
    try:
        write_durably(output, (text + "\n").encode())
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from None


def _csv(records: Sequence[Mapping[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _csv_value(value) for key, value in row.items()} for row in records)
    return buffer.getvalue().rstrip("\n")


def _csv_value(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value

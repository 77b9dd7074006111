"""What several commands share: options, opening results, printing records."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from nas_core.errors import InputError, unwritable
from nas_core.files import write_output
from topo_sweep.store.paths import RESULTS
from topo_sweep.store.uris import folder_of, is_uri, shown

if TYPE_CHECKING:
    import pandas as pd

    from nas_core.protocols.training import DataOptions
    from topo_sweep.store.opened import OpenedSweep

INTERRUPTED: Final = 130
"""The exit code of a command that Ctrl-C ended."""

Command = TypeVar("Command", bound=Callable[..., Any])


def say(*messages: str) -> None:
    """Print progress or advice to stderr, a line each; stdout is for data."""
    for message in messages:
        click.echo(message, err=True)


FORMAT: Final[Mapping[str, Any]] = {
    "type": click.Choice(["table", "json", "csv"]),
    "default": "table",
    "show_default": True,
    "help": "Table for people, JSON or CSV for programs.",
}


class AnyPath(click.Path):
    """A path that the file system can hold, whether there is anything or not; or a URI's copy."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - whatever a default is
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Return the path; refuse one that is too long, or holds what no name may.

        A URI, such as `s3://BUCKET/PREFIX`, stands for a working copy.
        """
        try:
            path = folder_of(str(value))
            path.exists()
        except InputError as error:
            self.fail(str(error), param, ctx)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.fail(f"{str(value)[:60]!r}... is no path: {reason}", param, ctx)
        return path


class TextOrUri(click.ParamType[str]):
    """Any text; a URI becomes the path of its working copy."""

    name = "text"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Return the text, or the path."""
        if not is_uri(str(value)):
            return str(value)
        folder = PATH.convert(value, param, ctx)
        folder.mkdir(parents=True, exist_ok=True)  # that it is a folder tells it from a name
        return str(folder)


class OutputFile(AnyPath):
    """A file to write, `-` for stdout; what could not be written is refused before any work."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - whatever a default is
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Return the path of a file in a folder that is there."""
        if not str(value):
            self.fail("the path is empty: name a file, or - for stdout", param, ctx)
        path = super().convert(value, param, ctx)
        if path.is_dir():
            self.fail(f"{path} is a folder: name a file in it", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"there is no folder {path.parent}: make it first", param, ctx)
        return path


PATH: Final = AnyPath(path_type=Path)
TEXT: Final = TextOrUri()
OUTPUT: Final = OutputFile(path_type=Path)
STDOUT: Final = Path("-")


format_option = click.option("--format", "output_format", **FORMAT)
"""Adds `--format table|json|csv` as the parameter `output_format`."""


TEXT_OR_JSON: Final[dict[str, Any]] = {
    "type": click.Choice(["text", "json"]),
    "default": "text",
    "show_default": True,
    "help": "Text for people, JSON for programs.",
}
text_or_json_option = click.option("--format", "output_format", **TEXT_OR_JSON)
"""Adds `--format text|json` as the parameter `output_format`."""

address_option = click.option(
    "--address", metavar="HOST:PORT", help="Where it is.  [default: $RAY_ADDRESS, else here]"
)
"""Adds `--address`, of a Ray cluster."""


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


def beside(sweep: OpenedSweep) -> Path:
    """Return the folder in which a sweep's folder lies: where goes what is made of the sweep."""
    folder = sweep.folder
    return folder.resolve().parent if folder.name in {"", ".."} else folder.parent


def evaluated(sweep: OpenedSweep, columns: Collection[str] | None = None) -> pd.DataFrame:
    """Return a sweep's trainings, all columns or as `OpenedSweep.trials` reads these.

    Random cells beside what searches found are not among them.

    Raises:
        InputError: it found cells and none of them is evaluated; says how to.

    """
    from topo_sweep.analysis.selection import WITHOUT_EVALUATIONS

    trials = sweep.trials(columns, random_cells=False)
    if sweep.holds_searches and trials.empty and (cells := sweep.searches()["genotype"].nunique()):
        way = _evaluation(sweep.manifest.data) if cells == 1 else WITHOUT_EVALUATIONS
        folder = shlex.quote(str(sweep.folder))
        raise InputError(
            f"nothing that {sweep.folder} found is evaluated yet: {way.format(folder)}"
        )
    return trials


def _evaluation(data: DataOptions) -> str:
    """Say how to train the one cell that was found on these images; {} is the sweep's folder."""
    images = "" if data.dataset == type(data)().dataset else f" --dataset {data.dataset}"
    return f"train its cell with `topo-sweep evaluate {{}}{images}`"


def print_records(
    records: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    output_format: str,
    text: str,
    *,
    remarks: Sequence[str] = (),
    output: Path | None = None,
) -> None:
    """Print one record or many, or write them to a file: as JSON or CSV, or `text` for people.

    `remarks` are what `text` says beside the records; where a program reads, they go to stderr.

    Raises:
        InputError: the file cannot be written there.
        TopoSweepError: writing it failed, as on a full disk.

    """
    if output_format == "json":
        say(*remarks)
        text = json.dumps(records, indent=1)
    elif output_format == "csv":
        say(*remarks)
        text = _csv([records] if isinstance(records, Mapping) else records)
    text = shown(text)
    if output is None or output == STDOUT:
        click.echo(text)
        return
    try:
        write_output(output, (text + "\n").encode())
    except OSError as error:
        raise unwritable(output, error) from None


def _csv(records: Sequence[Mapping[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _csv_value(value) for key, value in row.items()} for row in records)
    return buffer.getvalue().rstrip("\n")


def _csv_value(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value

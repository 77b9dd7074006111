"""The program: all commands as one group, and the one place that ends the process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from nas_core.errors import InputError, TopoSweepError
from topo_sweep.cli.common import INTERRUPTED
from topo_sweep.cli.compare import compare
from topo_sweep.cli.enumerate import enumerate_command
from topo_sweep.cli.evaluate import evaluate
from topo_sweep.cli.plot import plot
from topo_sweep.cli.promote import promote
from topo_sweep.cli.protocol import protocol
from topo_sweep.cli.rank import rank
from topo_sweep.cli.run import run
from topo_sweep.cli.search import search
from topo_sweep.cli.status import status

FAILED, BAD_INPUT = 1, 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="topo-sweep")
def cli() -> None:
    """Which wiring of a DARTS cell is good? Enumerate, train, rank, search and look.

    \b
    Example, on a laptop, without any data set:
      topo-sweep run demo
      topo-sweep rank --top 20
      topo-sweep plot surface
    """


for command in (
    *(enumerate_command, run, status, rank, plot),
    *(search, evaluate, promote, compare, protocol),
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program and end the process: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    try:
        # Not `cli.main`, which ends the process with 1 where the reader of a pipe goes away.
        typed = list(sys.argv[1:] if arguments is None else arguments)
        with cli.make_context("topo-sweep", typed) as context:
            cli.invoke(context)
        sys.stdout.flush()
        sys.exit(0)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(BAD_INPUT)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code if error.exit_code != 1 else BAD_INPUT)
    except InputError as error:
        _fail(str(error), BAD_INPUT)
    except TopoSweepError as error:
        _fail(str(error), FAILED)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader went away (`topo-sweep rank | head`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    """Print one line, whatever the message holds, and end."""
    click.echo(f"topo-sweep: {' '.join(message.split())}", err=True)
    sys.exit(code)

"""The program: all commands as one group, and the one place that ends the process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from nas_core.errors import InputError, TopoSweepError
from topo_sweep.cli.analyze import analyze
from topo_sweep.cli.bench import bench
from topo_sweep.cli.check import check
from topo_sweep.cli.cluster import cluster
from topo_sweep.cli.compare import compare
from topo_sweep.cli.doctor import doctor
from topo_sweep.cli.enumerate import enumerate_command
from topo_sweep.cli.evaluate import evaluate
from topo_sweep.cli.list import list_command
from topo_sweep.cli.merge import merge
from topo_sweep.cli.plot import plot
from topo_sweep.cli.promote import promote
from topo_sweep.cli.protocol import protocol
from topo_sweep.cli.rank import rank
from topo_sweep.cli.run import run
from topo_sweep.cli.search import search
from topo_sweep.cli.shared.common import INTERRUPTED, say
from topo_sweep.cli.shared.streams import ReaderGoneError, guarded
from topo_sweep.cli.shared.supervised import may_run_on_ray, supervised
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
    *(enumerate_command, run, status, list_command, rank, analyze, plot),
    *(search, evaluate, promote, compare, protocol, check, merge),
    *(bench, cluster, doctor),
):
    cli.add_command(command)


def entry() -> NoReturn:
    """Be the program `topo-sweep`: a command that may run on Ray gets a process of its own."""
    arguments = sys.argv[1:]
    if may_run_on_ray(arguments):
        sys.exit(supervised(arguments, main))
    main()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program and end the process: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    with guarded():
        code, message = _ended(list(sys.argv[1:] if arguments is None else arguments))
        if message:  # one line, whatever it holds
            say(f"topo-sweep: {' '.join(message.split())}")
    sys.exit(code)


def _ended(arguments: list[str]) -> tuple[int, str]:
    """Run a command; return its exit code and what went wrong."""
    code, message = 0, ""
    try:
        # Not `cli.main`, which ends the process with 1 where the reader of a pipe goes away.
        with cli.make_context("topo-sweep", arguments) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except ReaderGoneError:  # it has read enough, and nothing is wrong
        pass
    except SystemExit as end:
        code = int(end.code or 0)
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        code = BAD_INPUT
    except click.ClickException as error:
        code = BAD_INPUT if error.exit_code == 1 else error.exit_code
        message = error.format_message()
    except InputError as error:
        code, message = BAD_INPUT, str(error)
    except TopoSweepError as error:
        code, message = FAILED, str(error)
    except OSError as error:
        code, message = FAILED, f"{error.strerror or error}: {error.filename or 'no file is named'}"
    except (KeyboardInterrupt, click.Abort):
        code, message = INTERRUPTED, "interrupted"
    return code, message

"""`topo-sweep check`: whether every file of a sweep is what was written."""

from __future__ import annotations

from pathlib import Path

import click

from nas_core.errors import TopoSweepError
from topo_sweep.analysis.text import counted
from topo_sweep.cli.shared.common import results_argument, say


@click.command()
@results_argument
@click.option(
    "--repair",
    is_flag=True,
    help="Move what is damaged into the sweep's folder `damaged`; what it held is left to run.",
)
def check(results: Path, *, repair: bool) -> None:
    """Read every byte of a sweep and compare it with the digests that were written.

    RESULTS is a sweep's folder, or a folder of sweeps (then all of them). Nothing is changed
    without --repair, and nothing is ever removed. Exits with 1 where damage stays.

    \b
    Example:
      topo-sweep check results
      topo-sweep check results/demo-digits-46d822a5 --repair
    """
    from topo_sweep.runs.reports.check import check_sweep, folders_to_check

    count = 0
    for folder in folders_to_check(results):
        checked = check_sweep(folder, repairs=repair)
        for each in checked.damage:
            click.echo(f"{each.path}: {each.reason}{'; moved aside' if repair else ''}")
        bad = len(checked.damage)
        line = f"{folder}: {counted(checked.files, 'file')}, {bad or 'none'} damaged"
        if checked.undigested:
            line += (
                f"; {checked.undigested} of an earlier version, in which a changed value would "
                "not be seen"
            )
        if not checked.has_manifest:
            line += "; no sweep.json: give the command of the sweep again, which writes another"
        click.echo(line)
        count += bad
    if count and repair:
        say("what the damaged files held is left to run: give the command of the sweep again")
    elif count:
        raise TopoSweepError(
            f"{counted(count, 'file')} damaged: --repair moves what is damaged aside, and what "
            "that held is left to run"
        )

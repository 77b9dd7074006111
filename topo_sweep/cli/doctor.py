"""`topo-sweep doctor`: whether this machine, or a cluster, is fit for a sweep."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from nas_core.errors import TopoSweepError
from topo_sweep.analysis.text import counted
from topo_sweep.cli.shared.common import (
    PATH,
    address_option,
    print_records,
    text_or_json_option,
)
from topo_sweep.store.paths import RESULTS


@click.command()
@click.option("--cluster", is_flag=True, help="Join a running Ray cluster and check it too.")
@address_option
@click.option(
    "--results",
    type=PATH,
    default=RESULTS,
    show_default=True,
    help="Folder in which sweeps are made.",
)
@text_or_json_option
def doctor(address: str | None, results: Path, output_format: str, *, cluster: bool) -> None:
    """Check what a sweep needs: versions, GPUs, a training step, disk, token, and a cluster.

    Each line is ok, warn or fail, and says what to do. Exits with 1 where one fails. Nothing
    stays written.

    \b
    Examples:
      topo-sweep doctor
      topo-sweep doctor --cluster --address HOST:6379
    """
    from topo_sweep.runs.reports.doctor import cluster_findings, machine_findings, text

    findings = list(machine_findings(results))
    if cluster or address is not None:
        findings += cluster_findings(results, address)
    print_records([asdict(each) for each in findings], output_format, text(findings))
    if failed := [each.check for each in findings if each.level == "fail"]:
        raise TopoSweepError(f"{counted(len(failed), 'check')} failed: {', '.join(failed)}")

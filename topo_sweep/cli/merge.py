"""`topo-sweep merge`: sweeps of one protocol that ran on different sites become one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from topo_sweep.analysis.text import counted, plain_table
from topo_sweep.cli.shared.common import PATH, format_option, print_records, say

if TYPE_CHECKING:
    from topo_sweep.store.merge import Merged


@click.command()
@click.argument("sweeps", nargs=-1, required=True, type=PATH, metavar="RESULTS...")
@click.option(
    "-o",
    "--results",
    "out",
    type=PATH,
    required=True,
    help="Folder in which the merged sweep's own folder is made, or is already.",
)
@format_option
def merge(sweeps: Sequence[Path], out: Path, output_format: str) -> None:
    """Make one sweep of several that ran on different sites.

    RESULTS are sweeps' folders, or folders that hold a single one, of one name, protocol and data
    set; they stay as they are. Every row goes into the merged sweep once, with its curve. Where a
    trial ended with different numbers, all of them are listed, and which one counts: ok before
    diverged, then the earliest. Give the command again to add what is new.

    \b
    Example:
      topo-sweep merge site-a/results site-b/results -o results
    """
    from topo_sweep.runs.reports.status import sweep_status
    from topo_sweep.store.merge import merge_sweeps
    from topo_sweep.store.opened import only_sweep, open_sweep

    opened = [only_sweep(folder) for folder in sweeps]
    merged = merge_sweeps(opened, out)
    print_records(merged.conflicts, output_format, _table(merged.conflicts))
    say(*_remarks(merged))
    for sweep in opened:
        if sweep.store.is_locked:
            say(f"{sweep.folder} is running: merge again when it has ended")
    status = sweep_status(open_sweep(merged.folder))
    counts = ", ".join(f"{status[name]} {name}" for name in ("ok", "diverged", "failed", "left"))
    say(f"merged: {merged.folder}: {counted(status['planned'], 'trial')} planned, {counts}")


def _remarks(merged: Merged) -> list[str]:
    before, *sources = merged.sources
    said = [
        f"{each.folder}: {counted(each.trials, 'trial')} in {counted(each.rows, 'row')}"
        for each in merged.sources
    ]
    remarks = [f"{said[0]} before"] if before.rows else []
    remarks += [
        f"{line}, {each.new:,} of them new" for line, each in zip(said[1:], sources, strict=True)
    ]
    if merged.equal:
        remarks.append(f"{counted(merged.equal, 'trial')} ended more than once with equal numbers")
    if merged.astray:
        remarks.append(
            f"{counted(merged.astray, 'training')} of a cell that no search that counts found: "
            "with the same seed the sites found different cells, so look at each sweep by itself"
        )
    return remarks


def _table(records: Sequence[dict[str, Any]]) -> str:
    if not records:
        return "no conflicts: no trial ended with different numbers"
    accuracies = ("train_accuracy", "val_accuracy", "test_accuracy")
    header = ["trial", "seed", "folder", "attempt", "status", "loss", "train", "val", "test"]
    rows = [
        [
            *(record[name] for name in ("name", "seed", "folder", "attempt", "status")),
            "" if record["train_loss"] is None else record["train_loss"],
            *("" if record[name] is None else f"{record[name]:.2%}" for name in accuracies),
            "counts" if record["counts"] else "",
        ]
        for record in records
    ]
    return plain_table([*header, ""], rows)

"""`topo-sweep status`: how far a sweep is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from topo_sweep.analysis.text import duration, plain_table
from topo_sweep.cli.shared.common import format_option, print_records, results_argument, say_which


@click.command()
@results_argument
@click.option("--failed", is_flag=True, help="List the trials that failed, and why.")
@format_option
def status(results: Path, *, failed: bool, output_format: str) -> None:
    """Say how much of a sweep is done, failed, running and left.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep status --format json
      topo-sweep status --failed
    """
    from topo_sweep.runs.reports.status import failures, sweep_status
    from topo_sweep.store.opened import open_sweep

    sweep = open_sweep(results)
    if failed:
        records = failures(sweep)
        say_which(sweep, results)
        print_records(records, output_format, _failure_lines(records))
        return
    record = sweep_status(sweep)
    say_which(sweep, results)
    print_records(record, output_format, _table(record))


def _failure_lines(records: list[dict[str, Any]]) -> str:
    lines = [
        f"{r['name']}, seed {r['seed']}, attempt {r['attempt']}: {r['error']}" for r in records
    ]
    return "\n".join(lines or ["no trial failed"])


def _table(record: dict[str, Any]) -> str:
    counts = ["planned", "ok", "diverged", "failed", "left", "running"]
    text = plain_table(counts, [[record[key] for key in counts]])
    facts = []
    if record["images_per_second"] is not None:
        facts.append(f"{record['images_per_second']:,.0f} images/s")
    if record["seconds_a_trial"] is not None:
        facts.append(f"{duration(record['seconds_a_trial'])} a trial")
    if record["left"] and record["seconds_left"] is not None:
        basis = "" if record["is_running"] else " of training on one worker"
        steps = ", from the first steps" if record["from_first_steps"] else ""
        facts.append(f"about {duration(record['seconds_left'])}{basis} left{steps}")
    if record["left"] and not record["is_running"]:
        facts.append("not running")
    return "\n".join([text, *([", ".join(facts)] if facts else [])])

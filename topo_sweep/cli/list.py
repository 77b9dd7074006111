"""`topo-sweep list`: every sweep of a folder, with what tells it from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from topo_sweep.analysis.text import plain_table
from topo_sweep.cli.shared.common import format_option, print_records, results_argument, say


@click.command("list")
@results_argument
@format_option
def list_command(results: Path, output_format: str) -> None:
    """List every sweep of a folder: what it trains, by which protocol, how far it is, its best.

    RESULTS is a folder of sweeps, or a sweep.

    \b
    Example:
      topo-sweep list results --format json
    """
    from topo_sweep.runs.reports.overview import overview

    records, problems = overview(results)
    print_records(records, output_format, _table(records))
    say(*problems)


def _settings(record: dict[str, Any]) -> str:
    """Return how it searches, and the protocol of its trainings."""
    if not record["search"]:
        return str(record["protocol"])
    trained = f"; trained by {record['protocol']}" if record["protocol"] else ""
    return f"{record['search']}{trained}"


def _table(records: list[dict[str, Any]]) -> str:
    header = ["folder", "what", "protocol", "data", "seeds", "done", "failed", "best"]
    rows = [
        [
            Path(record["folder"]).name,
            record["asked"]
            + f" (last of {record['requests']} requests)" * (record["requests"] > 1),
            _settings(record),
            record["data"],
            record["seeds"],
            f"{record['ok'] + record['diverged']}/{record['planned']}"
            + ", running" * record["is_running"],
            record["failed"],
            "" if record["best"] is None else f"{record['metric']} {record['best']:.2%}",
        ]
        for record in records
    ]
    return plain_table(header, rows)

"""`topo-sweep enumerate`: the topologies of a cell or a grid of searches; nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from nas_core.cells.topology import MAX_NODES, Topology, enumerate_topologies, isomorphism_classes
from nas_core.errors import InputError
from topo_sweep.analysis.text import plain_table
from topo_sweep.cli.common import emit, format_option, formatted
from topo_sweep.cli.enumerate_grid import GRID_NAMES, Grid, grid_records, grid_table


@click.command("enumerate")
@click.option("--unique", is_flag=True, help="One topology per class: equal up to renamed nodes.")
@click.option(
    "--nodes",
    type=click.IntRange(1, MAX_NODES),
    default=4,
    show_default=True,
    help="Intermediate nodes of the cell.",
)
@click.option(
    "--grid",
    type=click.Choice(GRID_NAMES),
    help="List the searches of a grid of the paper instead.",
)
@format_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file.")
@click.pass_context
def enumerate_command(
    context: click.Context,
    *,
    unique: bool,
    nodes: int,
    grid: Grid | None,
    output_format: str,
    output: Path | None,
) -> None:
    """List the 180 topologies of a DARTS cell, or one per class, or a grid of searches.

    \b
    Example:
      topo-sweep enumerate --unique --format json -o classes.json
      topo-sweep enumerate --grid subspaces
    """
    if grid is not None:
        _refuse_options_of_topologies(context)
        searches = grid_records(grid)
        emit(formatted(searches, output_format, lambda: grid_table(searches)), output)
        return
    records = list(_classes(nodes) if unique else _topologies(nodes))
    emit(formatted(records, output_format, lambda: _table(records)), output)


def _refuse_options_of_topologies(context: click.Context) -> None:
    contradicting = [
        f"--{name}"
        for name in ("unique", "nodes")
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    ]
    if contradicting:
        raise InputError(
            f"--grid lists searches, not topologies: leave out {' and '.join(contradicting)}"
        )


def _record(topology: Topology) -> dict[str, Any]:
    return {
        "index": topology.index,
        "class_id": topology.class_id,
        "edges": [list(pair) for pair in topology.pairs],
        "longest_path": topology.longest_path,
        "input_edges": topology.input_edges,
    }


def _topologies(nodes: int) -> Iterator[dict[str, Any]]:
    return (_record(topology) for topology in enumerate_topologies(nodes))


def _classes(nodes: int) -> Iterator[dict[str, Any]]:
    for members in isomorphism_classes(nodes):
        yield {**_record(members[0]), "members": [member.index for member in members]}


def _table(records: list[dict[str, Any]]) -> str:
    header = ["index", "class", "edges", "longest path", "input edges"]
    rows = [
        [
            record["index"],
            record["class_id"],
            " ".join(f"{first},{second}" for first, second in record["edges"]),
            record["longest_path"],
            record["input_edges"],
        ]
        for record in records
    ]
    if records and "members" in records[0]:
        header.append("members")
        for row, record in zip(rows, records, strict=True):
            row.append(" ".join(str(member) for member in record["members"]))
    return plain_table(header, rows)

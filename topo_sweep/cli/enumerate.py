"""`topo-sweep enumerate`: the topologies of a cell or a grid of searches; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from nas_core.cells.topology import MAX_NODES, Topology, enumerate_topologies, isomorphism_classes
from nas_core.errors import InputError
from topo_sweep.analysis.text import plain_table
from topo_sweep.cli.common import OUTPUT, format_option, print_records
from topo_sweep.cli.enumerate_grid import COLUMNS, GRID_NAMES, Grid, grid_records


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
@click.option("-o", "--output", type=OUTPUT, help="Write to this file; - is stdout.")
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
        records, columns = grid_records(grid), COLUMNS
    else:
        records = _classes(nodes) if unique else list(map(_record, enumerate_topologies(nodes)))
        columns = tuple(records[0])
    print_records(records, output_format, _table(records, columns), output=output)


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


def _classes(nodes: int) -> list[dict[str, Any]]:
    return [
        {**_record(members[0]), "members": [member.index for member in members]}
        for members in isomorphism_classes(nodes)
    ]


def _table(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return the records as a table for people: `class_id` in a column 'class'."""
    header = [column.removesuffix("_id").replace("_", " ") for column in columns]
    rows = [[_text(record[column]) for column in columns] for record in records]
    return plain_table(header, rows)


def _text(value: object, between: str = " ") -> str:
    """Return a value as people read it: edges as '0,1 0,2', members as '17 23'."""
    if not isinstance(value, list):
        return str(value)
    return between.join(_text(item, ",") for item in value)

"""`topo-sweep enumerate`: the topologies of a cell or a grid of searches; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal, get_args

import click
from click.core import ParameterSource

from nas_core.cells.topology import MAX_NODES, Topology, enumerate_topologies, isomorphism_classes
from nas_core.errors import InputError
from topo_sweep.analysis.text import plain_table
from topo_sweep.cli.shared.common import FORMAT, OUTPUT, print_records
from topo_sweep.cli.shared.options import option, takes

Grid = Literal["subspaces", "depth"]

GRID_NAMES: Final[tuple[Grid, ...]] = get_args(Grid)
"""Shipped sweeps, whose files say what is in them."""

_GRID_COLUMNS: Final[tuple[str, ...]] = ("space", "cells", "seed", "operations")
"""The order in which a table has the keys of a record of a grid."""


@dataclass(frozen=True, kw_only=True)
class EnumerateRequest:
    """What is listed, and where it goes."""

    unique: bool = option(is_flag=True, help="One topology per class: equal up to renamed nodes.")
    nodes: int = option(
        type=click.IntRange(1, MAX_NODES),
        default=4,
        show_default=True,
        help="Intermediate nodes of the cell.",
    )
    grid: Grid | None = option(
        type=click.Choice(GRID_NAMES), help="List the searches of a grid of the paper instead."
    )
    output_format: str = option("--format", "output_format", **FORMAT)
    output: Path | None = option(
        "-o", "--output", type=OUTPUT, help="Write to this file; - is stdout."
    )


@click.command("enumerate")
@takes(EnumerateRequest)
def enumerate_command(request: EnumerateRequest) -> None:
    """List the 180 topologies of a DARTS cell, or one per class, or a grid of searches.

    \b
    Example:
      topo-sweep enumerate --unique --format json -o classes.json
      topo-sweep enumerate --grid subspaces
    """
    if request.grid is not None:
        _refuse_options_of_topologies()
        records, columns = grid_records(request.grid), _GRID_COLUMNS
    else:
        records = _classes(request.nodes) if request.unique else _topologies(request.nodes)
        columns = tuple(records[0])
    table = _table(records, columns)
    print_records(records, request.output_format, table, output=request.output)


def _refuse_options_of_topologies() -> None:
    context = click.get_current_context()
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


def _topologies(nodes: int) -> list[dict[str, Any]]:
    return [_record(topology) for topology in enumerate_topologies(nodes)]


def _classes(nodes: int) -> list[dict[str, Any]]:
    return [
        {**_record(members[0]), "members": [member.index for member in members]}
        for members in isomorphism_classes(nodes)
    ]


def grid_records(name: Grid) -> list[dict[str, Any]]:
    """Return one record a search: `space`, its `operations`, `cells` and `seed`."""
    from topo_sweep.spec.load import load_spec
    from topo_sweep.spec.trials import searches_among

    records = [
        {
            "space": search.space,
            "operations": list(search.protocol.operations),
            "cells": search.protocol.cells,
            "seed": search.seed,
        }
        for search in searches_among(load_spec(name).trials().values())
    ]
    return sorted(records, key=itemgetter("space", "cells", "seed"))


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

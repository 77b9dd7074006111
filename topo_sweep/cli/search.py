"""`topo-sweep search`: one search here and now."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_core.errors import TopoSweepError
from topo_sweep.cli.common import emit, say
from topo_sweep.cli.execution import execute, execution_options, options, setting_values
from topo_sweep.cli.wiring import TOPOLOGY_OPTIONS, chosen_topology

if TYPE_CHECKING:
    from nas_core.cells.genotype import Genotype
    from topo_sweep.spec.searches import SearchSweep

_REQUEST = [
    click.option(
        "--preset",
        default="search_edarts",
        show_default=True,
        help="Method; topo-sweep protocol show NAME explains each.",
    ),
    click.option("--dataset", metavar="NAME", help="digits, cifar10 or cifar100."),
    click.option("--holdout", type=click.IntRange(min=0), help="Images that no search sees."),
    click.option("--train-limit", type=click.IntRange(min=1), help="Search on this many images."),
    *TOPOLOGY_OPTIONS,
    click.option("--space", metavar="NAME", help="SS1 to SS8, or all eight operations."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option(
        "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Any setting of the search."
    ),
    click.option(
        "--format",
        "output_format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="DARTS' notation, or JSON with skips, parameters (of the shallow network), epochs "
        "and seconds.",
    ),
    click.option(
        "-o", "--output", type=click.Path(path_type=Path), help="Write the genotype to this file."
    ),
]


@click.command()
@options(_REQUEST)
@execution_options("inline")
def search(output_format: str, output: Path | None, **given: Any) -> None:  # noqa: ANN401
    """Search a cell and print its genotype; the same search again is not run twice.

    \b
    Examples:
      topo-sweep search --topology 17 --dataset cifar10 --data-dir DIR
      topo-sweep search --preset search_darts_1st --space SS3 --seed 20
    """  # noqa: D301 - \b is click's mark for lines it must not wrap
    spec = _requested(given)
    code = execute(spec, given)
    if code or given["dry_run"]:
        sys.exit(code)
    record = _found(spec, given["results"])
    if output_format == "json":
        emit(json.dumps(record, indent=1), output)
    else:
        emit(record["genotype"], output)
        skips = record["skips"]
        say(
            f"{skips['normal']} + {skips['reduction']} skip connections (normal + reduction), "
            f"epochs: {record['epochs']}, seconds: {record['seconds']:.0f}"
        )


def _requested(given: dict[str, Any]) -> SearchSweep:
    from topo_sweep.spec.load import Overrides, make_spec
    from topo_sweep.spec.searches import SearchSweep

    wiring = chosen_topology(given)
    values: dict[str, Any] = {
        "kind": "search",
        "name": "search",
        "methods": [given["preset"]],
        "seeds": given["seed"],
        "evaluation_seeds": [],
    }
    if given["space"] is not None:
        values["spaces"] = given["space"]
    overrides = Overrides(
        **{name: given[name] for name in ("dataset", "holdout", "train_limit")},
        search=setting_values(given) | wiring.settings,
        origin=wiring.origin,
    )
    spec = make_spec(values, overrides)
    assert isinstance(spec, SearchSweep)  # noqa: S101 - the values above say so
    wiring.say_remarks()
    return spec


def _found(spec: SearchSweep, results: Path) -> dict[str, Any]:
    """Return what the store says of this search."""
    from nas_core.cells.genotype import Genotype
    from topo_sweep.runs.plan import make_plan

    search_id = spec.searches()[0].search_id
    rows = make_plan(spec, results).store.searches()
    row: dict[Any, Any] = rows[rows["search_id"] == search_id].to_dict("records")[0]
    if not isinstance(row["genotype"], str):
        raise TopoSweepError(f"the search found nothing: {row['error']}")
    genotype = Genotype.from_string(row["genotype"])
    return {
        "genotype": genotype.to_darts(),
        "skips": {
            "normal": int(row["skips_normal"]),
            "reduction": int(row["skips_reduction"]),
        },
        "parameters": _parameters(genotype, row["dataset"]),
        "supernet_parameters": int(row["parameters"]),
        "epochs": int(row["epochs"]),
        "seconds": float(row["search_seconds"]),
        "search_id": search_id,
    }


def _parameters(genotype: Genotype, dataset: str) -> int:
    """Return the parameters of the cell's network by the shallow protocol."""
    from nas_core.networks.evaluation import EvalNetwork, parameter_count
    from nas_core.protocols.data import dataset_info
    from nas_core.protocols.training import PRESETS

    shallow = PRESETS["shallow"]
    return parameter_count(
        EvalNetwork(
            genotype,
            init_channels=shallow.init_channels,
            cells=shallow.cells,
            num_classes=dataset_info(dataset).num_classes,
        )
    )

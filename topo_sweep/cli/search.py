"""`topo-sweep search`: one search here and now."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from nas_core.errors import TopoSweepError
from topo_sweep.cli.shared.common import OUTPUT, TEXT_OR_JSON, print_records, say
from topo_sweep.cli.shared.execution import execute, set_values
from topo_sweep.cli.shared.options import (
    FROM_ONE,
    FROM_ZERO,
    DataChoice,
    RunOptions,
    WiringChoice,
    executor_option,
    option,
    set_option,
    takes,
)
from topo_sweep.cli.shared.wiring import chosen_wiring
from topo_sweep.store.paths import RESULTS

if TYPE_CHECKING:
    from nas_core.cells.genotype import Genotype
    from topo_sweep.spec.load import SweepSpec


@dataclass(frozen=True, kw_only=True)
class SearchData(DataChoice):
    """The images that a search sees."""

    holdout: int | None = option(type=FROM_ZERO, help="Images that no search sees.")
    train_limit: int | None = option(type=FROM_ONE, help="Search on this many images.")


@dataclass(frozen=True, kw_only=True)
class InProcess(RunOptions):
    """How a single search runs: in this process unless told otherwise."""

    executor: Literal["ray", "inline"] = executor_option("inline")


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """One search, what is printed of it, and how it runs."""

    preset: str = option(
        default="search_edarts",
        show_default=True,
        help="Method; topo-sweep protocol show NAME explains each.",
    )
    data: SearchData
    wiring: WiringChoice
    space: str | None = option(metavar="NAME", help="SS1 to SS8, or all eight operations.")
    seed: int = option(type=FROM_ZERO, default=0, show_default=True)
    settings: tuple[str, ...] = set_option("Any setting of the search.")
    output_format: str = option(
        "--format",
        "output_format",
        **TEXT_OR_JSON
        | {
            "help": "DARTS' notation, or JSON with skips, parameters (of the shallow network), "
            "epochs and seconds."
        },
    )
    output: Path | None = option(
        "-o", "--output", type=OUTPUT, help="Write the genotype to this file; - is stdout."
    )
    run: InProcess


@click.command()
@takes(SearchRequest)
def search(request: SearchRequest) -> None:
    """Search a cell and print its genotype; the same search again is not run twice.

    \b
    Examples:
      topo-sweep search --topology 17 --dataset cifar10 --data-dir DIR
      topo-sweep search --preset search_darts_1st --space SS3 --seed 20
    """
    spec = _sweep(request)
    code = execute(spec, request.run)
    if code or request.run.dry_run:
        sys.exit(code)
    record = _record(spec, request.run.results or RESULTS)
    print_records(record, request.output_format, record["genotype"], output=request.output)
    if request.output_format == "text":
        say(
            f"{record['skips']['normal']} + {record['skips']['reduction']} skip connections "
            f"(normal + reduction), epochs: {record['epochs']}, seconds: {record['seconds']:.0f}"
        )


def _sweep(request: SearchRequest) -> SweepSpec:
    """Return the sweep of this one search; print where its wiring comes from."""
    from topo_sweep.spec.load import Overrides, make_spec

    wiring = chosen_wiring(request.wiring, request.settings)
    values = {
        "kind": "search",
        "name": "search",
        "methods": [request.preset],
        "seeds": request.seed,
        "evaluation_seeds": [],
        "spaces": request.space,
    }
    overrides = Overrides(
        **vars(request.data),
        search=set_values(request.settings) | wiring.settings,
        origin=wiring.origin,
    )
    spec = make_spec(values, overrides)
    say(*wiring.remarks)
    return spec


def _record(spec: SweepSpec, results: Path) -> dict[str, Any]:
    """Return what the store says of this search."""
    from nas_core.cells.genotype import Genotype
    from topo_sweep.runs.plan import make_plan

    (search_id,) = spec.trials()
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

"""`topo-sweep evaluate`: train any cell."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from topo_sweep.cli.rank import print_ranking
from topo_sweep.cli.shared.common import FORMAT, TEXT, beside
from topo_sweep.cli.shared.execution import execute, set_texts
from topo_sweep.cli.shared.genotypes import is_folder, read_genotype
from topo_sweep.cli.shared.options import (
    FROM_ONE,
    CellTraining,
    DataChoice,
    RunOptions,
    option,
    results_option,
    set_option,
    takes,
)
from topo_sweep.store.paths import RESULTS

if TYPE_CHECKING:
    import pandas as pd

    from topo_sweep.spec.load import SweepSpec


@dataclass(frozen=True, kw_only=True)
class BesideFolder(RunOptions):
    """How trials run, beside the sweep whose cell is trained."""

    results: Path | None = results_option(f"beside the first folder's sweep, else {RESULTS}")


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """How cells are trained, what is printed of them, and how it runs."""

    protocol: str = option(
        default="shallow", show_default=True, help="Preset: shallow, final, final_36 or demo."
    )
    data: DataChoice
    seeds: str = option(metavar="SET", default="0", show_default=True, help="Such as 0-9.")
    epochs: int | None = option(type=FROM_ONE, help="Passes over the images.")
    settings: tuple[str, ...] = set_option("Any key of the protocol.")
    output_format: str = option("--format", "output_format", **FORMAT)
    cells: CellTraining
    run: BesideFolder


@click.command()
@click.argument("genotypes", nargs=-1, required=True, type=TEXT, metavar="GENOTYPE...")
@takes(EvaluateRequest)
def evaluate(request: EvaluateRequest, genotypes: tuple[str, ...]) -> None:
    """Train cells and print their accuracies; what is done is never done again.

    GENOTYPE is a known cell's name (DARTS_V1, DARTS_V2, PDARTS, PC_DARTS), a file with JSON or
    DARTS' notation, such a text itself, or a folder of results, whose best cell is taken.

    \b
    Examples:
      topo-sweep evaluate DARTS_V2 cell.txt --seeds 0-9 --dataset cifar10 --data-dir DIR
      topo-sweep evaluate results/ablation_deep-cifar10-12345678 --protocol final
    """
    from topo_sweep.analysis.comparable import precision_remarks
    from topo_sweep.analysis.ranking import rank
    from topo_sweep.analysis.selection import chosen_on_test_images

    spec = _sweep(genotypes, request)
    results = request.run.results or _beside(genotypes)
    code = execute(spec, replace(request.run, results=results), request.cells)
    if code or request.run.dry_run:
        sys.exit(code)
    remarks = chosen_on_test_images([spec.origin] if spec.origin else [])
    remarks += precision_remarks(spec.protocol.precision)
    print_ranking(rank(_rows(spec, results)), request.output_format, remarks=remarks)


def _beside(texts: Sequence[str]) -> Path:
    """Return where the first sweep among these genotypes lies, else the usual place."""
    from topo_sweep.store.opened import open_sweep

    folders = [Path(text) for text in texts if is_folder(text)]
    return beside(open_sweep(folders[0])) if folders else RESULTS


def _sweep(texts: Sequence[str], request: EvaluateRequest) -> SweepSpec:
    """Return the sweep of these cells."""
    from topo_sweep.spec.load import Overrides, make_spec

    read = [read_genotype(text) for text in texts]
    values = {
        "kind": "genotypes",
        "name": "evaluate",
        "protocol": request.protocol,
        "genotypes": [str(genotype) for genotype, _ in read],
        "origin": "; ".join(name for _, name in read if name) or None,
    }
    overrides = Overrides(
        **vars(request.data),
        seeds=request.seeds,
        epochs=request.epochs,
        protocol=set_texts(request.settings),
    )
    return make_spec(values, overrides)


def _rows(spec: SweepSpec, results: Path) -> pd.DataFrame:
    """Return what the store has of these cells, whatever seeds were asked for now."""
    from topo_sweep.runs.plan import make_plan
    from topo_sweep.store.opened import open_sweep

    rows = open_sweep(make_plan(spec, results).store.paths.folder).trials()
    return rows[rows["genotype"].isin(spec.to_json_value()["genotypes"])]

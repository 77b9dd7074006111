"""`topo-sweep evaluate`: train any cell."""

from __future__ import annotations

import sys
from typing import Any

import click

from topo_sweep.cli.common import emit, format_option, formatted, say
from topo_sweep.cli.execution import execute, execution_options, options, settings
from topo_sweep.cli.genotypes import read_genotype

_REQUEST = [
    click.option(
        "--protocol", default="shallow", show_default=True, help="Preset: shallow, final or demo."
    ),
    click.option("--dataset", metavar="NAME", help="digits, cifar10 or cifar100."),
    click.option("--holdout", type=click.IntRange(min=0), help="Training images for validation."),
    click.option("--train-limit", type=click.IntRange(min=1), help="Train on this many images."),
    click.option("--seeds", metavar="SET", default="0", show_default=True, help="Such as 0-9."),
    click.option("--epochs", type=click.IntRange(min=1), help="Passes over the images."),
    click.option(
        "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Any key of the protocol."
    ),
]


@click.command()
@click.argument("genotypes", nargs=-1, required=True, metavar="GENOTYPE...")
@options(_REQUEST)
@format_option
@execution_options()
def evaluate(genotypes: tuple[str, ...], output_format: str, **given: Any) -> None:  # noqa: ANN401
    """Train cells and print their accuracies; what is done is never done again.

    GENOTYPE is a known cell's name (DARTS_V1, DARTS_V2, PDARTS, PC_DARTS), a file with JSON or
    DARTS' notation, such a text itself, or a folder of results, whose best cell is taken.

    \b
    Examples:
      topo-sweep evaluate DARTS_V2 cell.txt --seeds 0-9 --dataset cifar10 --data-dir DIR
      topo-sweep evaluate results/ablation_deep-cifar10-12345678 --protocol final
    """  # noqa: D301 - \b is click's mark for lines it must not wrap
    from topo_sweep.analysis import ranking
    from topo_sweep.runs.plan import make_plan
    from topo_sweep.spec.load import Overrides, make_spec
    from topo_sweep.store.opened import open_sweep

    read = [read_genotype(text) for text in genotypes]
    names = [name for _, name in read if name]
    values = {
        "kind": "genotypes",
        "name": "evaluate",
        "protocol": given["protocol"],
        "genotypes": [str(genotype) for genotype, _ in read],
        "origin": "; ".join(names) or None,
    }
    names_of_overrides = ("dataset", "holdout", "train_limit", "seeds", "epochs")
    overrides = Overrides(
        **{name: given[name] for name in names_of_overrides}, protocol=settings(given)
    )
    spec = make_spec(values, overrides)
    code = execute(spec, given)
    if code or given["dry_run"]:
        sys.exit(code)
    sweep = open_sweep(make_plan(spec, given["results"]).store.paths.folder)
    rows = sweep.trials()
    ranked = ranking.rank(rows[rows["genotype"].isin(values["genotypes"])])
    if output_format != "table":
        say(ranked.header)
    records = ranking.to_records(ranked)
    emit(formatted(records, output_format, lambda: ranking.format_table(ranked)))

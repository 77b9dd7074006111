"""`topo-sweep run`: train what is left of a sweep."""

from __future__ import annotations

import sys
from typing import Any

import click

from topo_sweep.cli.common import say
from topo_sweep.cli.execution import execute, execution_options, options, settings
from topo_sweep.cli.wiring import TOPOLOGY_OPTIONS, chosen_topology

_REQUEST = [
    click.option("--dataset", metavar="NAME", help="digits, cifar10 or cifar100."),
    click.option("--holdout", type=click.IntRange(min=0), help="Training images for validation."),
    click.option("--train-limit", type=click.IntRange(min=1), help="Train on this many images."),
    click.option("--topologies", metavar="SET", help="Such as 0-3,17."),
    *TOPOLOGY_OPTIONS,
    click.option("--seeds", metavar="SET", help="Such as 0-4."),
    click.option("--epochs", type=click.IntRange(min=1), help="Passes over the images."),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="Any key of the protocol, or search.KEY of a search.",
    ),
]


@click.command()
@click.argument("spec", default="topologies", metavar="[SPEC]")
@options(_REQUEST)
@execution_options()
def run(
    spec: str,
    **given: Any,  # noqa: ANN401 - click's options, taken apart below
) -> None:
    """Train what is left of a sweep; what is done is never done again.

    SPEC is a YAML file or the name of a shipped sweep: topologies (the paper's 180, the
    default), classes, unified, known_cells or demo; of searches: subspaces, depth, table2,
    edarts, edarts_c100, ablation_deep, ablation_equal or search_demo; table4 evaluates cells.

    \b
    Examples:
      topo-sweep run demo
      topo-sweep run --dataset cifar10 --data-dir DIR --seeds 0-2
      topo-sweep run unified --topologies 3,17,42 --cluster --address HOST:6379
    """  # noqa: D301 - \b is click's mark for lines it must not wrap
    sys.exit(execute(_requested(spec, given), given))


def _requested(spec: str, given: dict[str, Any]) -> Any:  # noqa: ANN401
    from topo_sweep.analysis.selection import Choice, found_by
    from topo_sweep.spec.load import Overrides, load_spec

    wiring = chosen_topology(given)
    overrides = Overrides(
        **{name: given[name] for name in ("dataset", "holdout", "train_limit", "topologies")},
        **{name: given[name] for name in ("seeds", "epochs")},
        protocol=settings(given),
        search=wiring.settings,
        origin=wiring.origin,
    )
    choices: dict[str, Choice] = {}

    def found(name: str, dataset: str) -> str:
        choices[name] = found_by(given["results"], name, dataset)
        return str(choices[name].genotypes[0])

    requested = load_spec(spec, overrides, found=found)
    wiring.say_remarks()
    if choices:
        for name, choice in choices.items():
            for remark in (*choice.remarks, f"found:{name} is {choice.origin}"):
                say(remark)
        origins = "; ".join(f"found:{name}: {own.origin}" for name, own in choices.items())
        requested = requested.model_copy(update={"origin": origins})
    return requested

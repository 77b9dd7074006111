"""`topo-sweep analyze`: what a sweep shows, what is noise, and what is still unknown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from topo_sweep.cli.shared.common import (
    OUTPUT,
    PATH,
    TEXT_OR_JSON,
    evaluated,
    print_records,
    results_argument,
    say_which,
)
from topo_sweep.cli.shared.options import option, takes


@dataclass(frozen=True, kw_only=True)
class AnalysisRequest:
    """What is analysed, beside what, and where it is written."""

    against: tuple[Path, ...] = option(
        type=PATH,
        multiple=True,
        help="Another sweep to compare with: a proxy, phase 2, random cells. May be given often.",
    )
    by: str | None = option(
        type=click.Choice(["topology", "class"]),
        help="What is compared.  [default: class where all operations are equal]",
    )
    metric: str | None = option(
        type=click.Choice(["val", "test"]),
        help="Accuracy that counts.  [default: val where there is a hold-out, else test]",
    )
    select_seeds: str | None = option(
        metavar="SET", help="Seeds that select the best, which the others judge; such as 0-4."
    )
    difference: tuple[float, ...] = option(
        type=click.FloatRange(0, 100, min_open=True),
        multiple=True,
        metavar="POINTS",
        help="How many runs would show it. May be given often.  [default: 0.2, 0.5 and 1]",
    )
    confidence: float = option(
        type=click.FloatRange(0.5, 1.0, min_open=True, max_open=True),
        default=0.95,
        show_default=True,
        help="Of intervals and tests; what a race would do next has that of races.",
    )
    output_format: str = option("--format", "output_format", **TEXT_OR_JSON)
    output: Path | None = option("-o", "--output", type=OUTPUT, help="File to write.")


@click.command()
@results_argument
@takes(AnalysisRequest)
def analyze(request: AnalysisRequest, results: Path) -> None:
    """Say what a sweep shows: whether topology matters, who may be best, what would settle it.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Examples:
      topo-sweep analyze
      topo-sweep analyze --difference 0.3
      topo-sweep analyze --select-seeds 0-4 --format json -o analysis.json
    """
    from topo_sweep.analysis.adaptive.beforehand import adaptive_remarks
    from topo_sweep.analysis.inference import sections
    from topo_sweep.analysis.inference.power import DIFFERENCES
    from topo_sweep.analysis.selection import chosen_on_test_images
    from topo_sweep.spec.int_sets import parse_int_set
    from topo_sweep.store.opened import open_sweep

    sweep = open_sweep(results)
    evaluated(sweep, ["status"])
    say_which(sweep, results)
    select_seeds = (
        None
        if request.select_seeds is None
        else parse_int_set(request.select_seeds, what="--select-seeds")
    )
    others = [open_sweep(other) for other in request.against]
    findings = list(
        sections.analyze(
            sweep,
            others,
            by=request.by,
            metric=request.metric,
            select_seeds=select_seeds,
            differences=[each / 100 for each in request.difference] or DIFFERENCES,
            confidence=request.confidence,
        )
    )
    remarks = chosen_on_test_images(sweep.manifest.origins) + adaptive_remarks(sweep, others)
    value = {
        "sweep": sweep.folder.name,
        "remarks": remarks,
        "sections": sections.to_json_value(findings),
    }
    text = "\n\n".join([*remarks, sections.to_text(findings)])
    print_records(value, request.output_format, text, output=request.output)

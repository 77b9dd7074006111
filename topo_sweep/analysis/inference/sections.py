"""All that a sweep shows, section by section, in the order in which a reader should ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nas_core.errors import InputError
from topo_sweep.analysis.adaptive.beforehand import asked_beforehand
from topo_sweep.analysis.adaptive.report import adaptive_finding
from topo_sweep.analysis.control_rows import found_cells, random_cells
from topo_sweep.analysis.design import Design, design_of
from topo_sweep.analysis.findings import left_out
from topo_sweep.analysis.inference.balance import design_finding, missing_from
from topo_sweep.analysis.inference.best import places_finding
from topo_sweep.analysis.inference.controls import controls_finding
from topo_sweep.analysis.inference.explain import explain_finding
from topo_sweep.analysis.inference.intervals import intervals_finding
from topo_sweep.analysis.inference.omnibus import omnibus_finding
from topo_sweep.analysis.inference.pairs import pairs_finding
from topo_sweep.analysis.inference.power import DIFFERENCES, power_finding
from topo_sweep.analysis.inference.proxies import proxies_finding
from topo_sweep.analysis.inference.shrinkage import shrinkage_finding
from topo_sweep.analysis.inference.supernet import supernet_finding
from topo_sweep.analysis.inference.variance import variance_finding
from topo_sweep.analysis.inference.winner import winner_finding
from topo_sweep.spec.trials import Trial

if TYPE_CHECKING:
    from topo_sweep.analysis.findings import Finding
    from topo_sweep.spec.trials import Planned
    from topo_sweep.store.opened import OpenedSweep


def analyze(
    sweep: OpenedSweep,
    others: Sequence[OpenedSweep] = (),
    *,
    by: str | None = None,
    metric: str | None = None,
    select_seeds: Collection[int] | None = None,
    differences: Sequence[float] = DIFFERENCES,
    confidence: float = 0.95,
) -> Iterator[tuple[int, Finding]]:
    """Yield the findings of the ten sections with their numbers, each as soon as it is done.

    Args:
        sweep: what is analysed. Random cells beside its searches are controls, and else left out.
            Of an adaptive sweep all sections but the last are on the seeds that were asked for
            before any result was there: those that results chose would bias them.
        others: sweeps to compare it with: their rankings, their random cells, and the trainings of
            cells that its search networks have measured. Sections say which they leave out, and
            why. Adaptive ones count with the seeds that were asked for beforehand.
        by: 'topology' or 'class'; None is by class where normal operations are all equal.
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        select_seeds: those that select, where the others are to judge; None splits by halves.
        differences: as fractions, for which section 10 says what they take.
        confidence: of intervals and tests; what a race would do next has that of races.

    Raises:
        InputError: nothing finished, what must not be mixed, or seeds that there are not.

    """
    settings = sweep.manifest.adaptive
    everything = sweep.trials(random_cells=False)
    trials = asked_beforehand(sweep, everything)
    design = design_of(trials, by=by, metric=metric)
    yield 1, design_finding(design, missing_from(design, trials, _trainings_planned(sweep)))
    yield 2, omnibus_finding(design, confidence=confidence)
    yield 3, variance_finding(design, confidence=confidence)
    yield 4, places_finding(design, confidence=confidence)
    yield 4, intervals_finding(design, confidence=confidence)
    yield 4, pairs_finding(design, confidence=confidence)
    yield 5, winner_finding(design, select_seeds=select_seeds, confidence=confidence)
    yield 5, shrinkage_finding(design, confidence=confidence)
    yield 6, explain_finding(design, trials, confidence=confidence)
    rankings, unsuitable = _designs(others, design)
    curves = sweep.store.epochs(columns=[f"{design.metric}_accuracy"])
    yield (
        7,
        proxies_finding(
            design, trials, curves, rankings, unsuitable=unsuitable, confidence=confidence
        ),
    )
    searches = sweep.searches()
    (_, trained), *beside = [
        (each.folder.name, asked_beforehand(each, each.trials())) for each in (sweep, *others)
    ]
    found, random = found_cells(trained, searches), random_cells(trained, sweep.populations())
    controls = [
        (name, random_cells(rows, each.populations()))
        for (name, rows), each in zip(beside, others, strict=True)
    ]
    yield 8, controls_finding(found, random, beside=controls, metric=metric, confidence=confidence)
    yield (
        9,
        supernet_finding(searches, trained, beside=beside, metric=metric, confidence=confidence),
    )
    yield 10, power_finding(design, differences=differences, confidence=confidence)
    # A race has no other metric than that of its data.
    yield 10, adaptive_finding(design_of(everything, by=by), everything, settings)


def _trainings_planned(sweep: OpenedSweep) -> dict[str, Planned]:
    """Return the trainings that were asked for, without random cells beside searches."""
    return {
        key: trial
        for key, trial in sweep.planned().items()
        if trial.table == "trials" and not (sweep.holds_searches and isinstance(trial, Trial))
    }


def _designs(
    others: Sequence[OpenedSweep], like: Design
) -> tuple[list[tuple[str, Design]], list[str]]:
    """Return the designs of other sweeps, each by its own metric, and why some have none."""
    designs, unsuitable = [], []
    for other in others:
        name, rows = other.folder.name, other.trials(random_cells=False)
        try:
            designs.append((name, design_of(asked_beforehand(other, rows), by=like.by)))
        except InputError as error:
            unsuitable.append(left_out(name, error))
    return designs, unsuitable


def to_text(findings: Iterable[tuple[int, Finding]]) -> str:
    """Return all findings with the numbers of their sections, for people."""
    return "\n\n".join(f"{number}. {finding.to_text()}" for number, finding in findings)


def to_json_value(findings: Iterable[tuple[int, Finding]]) -> list[dict[str, Any]]:
    """Return all findings with the numbers of their sections, as plain Python values."""
    return [{"section": number, **finding.to_json_value()} for number, finding in findings]

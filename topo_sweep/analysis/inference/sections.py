"""All that a sweep shows, section by section, in the order in which a reader should ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from topo_sweep.analysis.adaptive.report import adaptive_finding
from topo_sweep.analysis.control_rows import found_cells, random_cells
from topo_sweep.analysis.design import Design, design_of
from topo_sweep.analysis.inference.balance import design_finding, missing_from
from topo_sweep.analysis.inference.best import places_finding
from topo_sweep.analysis.inference.controls import controls_finding
from topo_sweep.analysis.inference.explain import explain_finding
from topo_sweep.analysis.inference.intervals import intervals_finding
from topo_sweep.analysis.inference.omnibus import omnibus_finding
from topo_sweep.analysis.inference.pairs import pairs_finding
from topo_sweep.analysis.inference.power import power_finding
from topo_sweep.analysis.inference.proxies import proxies_finding
from topo_sweep.analysis.inference.shrinkage import shrinkage_finding
from topo_sweep.analysis.inference.supernet import supernet_finding
from topo_sweep.analysis.inference.variance import variance_finding
from topo_sweep.analysis.inference.winner import winner_finding
from topo_sweep.spec.int_sets import format_int_set
from topo_sweep.spec.trials import Trial
from topo_sweep.store.opened import load_curves

if TYPE_CHECKING:
    from topo_sweep.analysis.inference.findings import Finding
    from topo_sweep.spec.trials import Planned
    from topo_sweep.store.opened import OpenedSweep


def analyze(
    sweep: OpenedSweep,
    others: Sequence[OpenedSweep] = (),
    *,
    by: str | None = None,
    metric: str | None = None,
    select_seeds: Collection[int] | None = None,
    confidence: float = 0.95,
) -> Iterator[tuple[int, Finding]]:
    """Yield the findings of the ten sections with their numbers, each as soon as it is done.

    Args:
        sweep: what is analysed. Random cells beside its searches are controls, and else left out.
            Of an adaptive sweep all sections but the last are on the seeds that were asked for
            before any result was there: those that results chose would bias them.
        others: sweeps to compare it with: their rankings, their random cells, and the trainings of
            cells that its search networks have measured.
        by: 'topology' or 'class'; None is by class where normal operations are all equal.
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        select_seeds: those that select, where the others are to judge; None splits by halves.
        confidence: of intervals and tests; what a race would do next has that of races.

    Raises:
        InputError: nothing finished, what must not be mixed, or seeds that there are not.

    """
    settings = sweep.manifest.adaptive
    everything = sweep.trials(random_cells=False)
    trials = everything if settings is None else _asked_beforehand(sweep, everything)
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
    curves, rankings = load_curves(sweep.folder), list(_designs(others, design))
    yield 7, proxies_finding(design, trials, curves, rankings, confidence=confidence)
    searches, trained = sweep.searches(), [each.trials() for each in (sweep, *others)]
    controls = [
        random_cells(rows, each.populations())
        for rows, each in zip(trained, (sweep, *others), strict=True)
    ]
    found = found_cells(trained[0], searches)
    yield 8, controls_finding(found, pd.concat(controls), metric=metric, confidence=confidence)
    yield 9, supernet_finding(searches, pd.concat(trained), metric=metric, confidence=confidence)
    yield 10, power_finding(design, confidence=confidence)
    yield 10, adaptive_finding(design_of(everything, by=by, metric=metric), settings)


def adaptive_remarks(sweep: OpenedSweep) -> list[str]:
    """Say what an analysis of an adaptive sweep leaves out; nothing of another."""
    if sweep.manifest.adaptive is None:
        return []
    seeds = format_int_set(_seeds_asked_for(sweep))
    remark = "Results decided who got more seeds (an adaptive sweep), which would bias most of this"
    return [f"{remark}: all sections but the last are on seeds {seeds}, asked for beforehand."]


def _asked_beforehand(sweep: OpenedSweep, trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["seed"].isin(_seeds_asked_for(sweep))]


def _seeds_asked_for(sweep: OpenedSweep) -> list[int]:
    """Return the seeds that requests name themselves, whatever results added."""
    return sorted({seed for spec in sweep.manifest.specs() for seed in spec.seeds})


def _trainings_planned(sweep: OpenedSweep) -> dict[str, Planned]:
    """Return the trainings that were asked for, without random cells beside searches."""
    return {
        key: trial
        for key, trial in sweep.planned().items()
        if trial.table == "trials" and not (sweep.holds_searches and isinstance(trial, Trial))
    }


def _designs(others: Sequence[OpenedSweep], like: Design) -> Iterator[tuple[str, Design]]:
    """Yield the designs of other sweeps with their names, each by its own metric."""
    for other in others:
        yield other.folder.name, design_of(other.trials(random_cells=False), by=like.by)


def to_text(findings: Iterable[tuple[int, Finding]]) -> str:
    """Return all findings with the numbers of their sections, for people."""
    return "\n\n".join(f"{number}. {finding.to_text()}" for number, finding in findings)


def to_json_value(findings: Iterable[tuple[int, Finding]]) -> list[dict[str, Any]]:
    """Return all findings with the numbers of their sections, as plain Python values."""
    return [{"section": number, **finding.to_json_value()} for number, finding in findings]

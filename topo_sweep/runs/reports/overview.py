"""What sweeps a folder holds: what each is, how far it is, and its best accuracy so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import split_words
from topo_sweep.analysis.design import design_of, fewest_seeds
from topo_sweep.runs.reports.status import sweep_status
from topo_sweep.spec.presets import protocol_words
from topo_sweep.store.opened import OpenedSweep, open_sweep, sweep_folders


def overview(results: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a record a sweep, by folder, and a sentence for each that cannot be opened.

    Args:
        results: a folder of sweeps, or a sweep.

    Raises:
        InputError: there is no such folder, or nothing in it.

    """
    records, problems = [], []
    for folder in sweep_folders(results):
        try:
            records.append(_record(open_sweep(folder)))
        except InputError as error:
            problems.append(str(error))
    return records, problems


def _record(sweep: OpenedSweep) -> dict[str, Any]:
    manifest, status = sweep.manifest, sweep_status(sweep)
    specs = manifest.specs()
    last = specs[-1] if specs else None
    trains = any(spec.trains_cells for spec in specs) or not specs
    data = manifest.data.model_dump() | manifest.model_dump(include={"train_images", "test_images"})
    counts = ("planned", "ok", "diverged", "failed", "left", "is_running")
    return {
        "folder": str(sweep.folder),
        "sweep": manifest.sweep,
        "kind": manifest.kind,
        "asked": last.described() if last else "",
        "requests": len(manifest.requests),
        **data,
        "data": split_words(**data),
        "protocol": protocol_words(manifest.protocol) if trains else "",
        "search": last.search_words() if last else "",
        "protocol_hash": manifest.protocol_hash,
        **{name: status[name] for name in counts},
        **_best(sweep),
    }


def _best(sweep: OpenedSweep) -> dict[str, Any]:
    """Return seeds, metric, and the best mean accuracy (a fraction) with its network, if any.

    Means are as if all networks had the same seeds.

    Seeds are those of searches where there are any, else those of trainings.
    """
    trials = sweep.trials(random_cells=False)
    finished = trials[trials["status"] != "failed"]
    metric = "val" if sweep.manifest.data.holdout else "test"
    seeded = finished
    if sweep.holds_searches:
        searches = sweep.searches()
        seeded = searches[searches["status"] != "failed"]
    seeds = int(seeded["seed"].nunique())
    best: dict[str, Any] = {"seeds": seeds, "metric": metric, "best": None, "best_genotype": None}
    if len(finished):
        design = design_of(finished, by="topology", metric=metric)
        means, counts = design.means, design.table.count()
        if not sweep.manifest.race:  # what is clearly best in a race has the fewest seeds
            means = means[counts >= fewest_seeds(counts)]
        means = means.set_axis(design.groups.loc[means.index, "genotype"])
        best |= {"best": float(means.max()), "best_genotype": str(means.idxmax())}
    return best

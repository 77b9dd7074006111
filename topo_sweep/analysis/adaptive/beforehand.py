"""What counts of an adaptive sweep where its own choices would bias: seeds that no result chose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from topo_sweep.spec.int_sets import format_int_set

if TYPE_CHECKING:
    import pandas as pd

    from topo_sweep.store.opened import OpenedSweep


def asked_beforehand(sweep: OpenedSweep, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of an adaptive sweep that no result asked for; of another all."""
    if sweep.manifest.adaptive is None:
        return trials
    return trials[trials["seed"].isin(sweep.manifest.seeds_beforehand)]


def adaptive_remarks(sweep: OpenedSweep, others: Sequence[OpenedSweep] = ()) -> list[str]:
    """Say what an analysis leaves out of adaptive sweeps; nothing of others."""
    remarks = []
    if sweep.manifest.adaptive is not None:
        seeds = format_int_set(sweep.manifest.seeds_beforehand)
        remarks.append(
            "Results decided who got more seeds (an adaptive sweep), which would bias most of "
            f"this: all sections but the last are on seeds {seeds}, asked for beforehand."
        )
    remarks += [
        f"Of {other.folder.name} only seeds {format_int_set(other.manifest.seeds_beforehand)} "
        "count, which were asked for beforehand: results decided who got more (an adaptive "
        "sweep), which biases means over all of them."
        for other in others
        if other.manifest.adaptive is not None
    ]
    return remarks

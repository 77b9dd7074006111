"""What next: how many seeds would show a given difference at the noise that was measured.

Not here: which run to make next.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import comb
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import nctdtr, stdtrit

from nas_core.cells.topology import isomorphism_classes, topology_count
from nas_core.errors import InputError
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.inference.balance import untestable
from topo_sweep.analysis.inference.variance import variance_components
from topo_sweep.analysis.statistics.two_way import class_by_seed
from topo_sweep.analysis.text import counted, points

TITLE: Final = "what next"

DIFFERENCES: Final = (0.002, 0.005, 0.01)
"""Differences that are asked about, as fractions: 0.2, 0.5 and 1 point."""

POWER: Final = 0.8
MOST_SEEDS: Final = 1_000_000

_COLUMNS: Final = (
    *("difference", "of", "groups", "pairs"),
    *("seeds", "seeds_low", "seeds_high", "runs"),
)
_METHOD: Final = "power of the two-sided paired t test by the noncentral t distribution"
_ASSUMES: Final = (
    "normal noise as large as measured, in each {unit} and with each seed; one run a {unit} and "
    "seed, and all with the same seeds; all pairs by Bonferroni, where Holm's procedure begins"
)


def paired_power(n: int, difference: float, sd: float, *, alpha: float = 0.05) -> float:
    """Return how often a two-sided paired t test of n differences shows one.

    Args:
        n: paired differences, such as seeds, 2 or more.
        difference: the true one.
        sd: standard deviation of the paired differences, in the same unit.
        alpha: false alarms that are allowed.

    """
    bound = stdtrit(n - 1, 1 - alpha / 2)
    shift = difference / sd * n**0.5
    # scipy has NaN where a tail is far below 1e-15.
    above, below = np.nan_to_num([nctdtr(n - 1, shift, end) for end in (bound, -bound)])
    return float(1 - above + below)


def seeds_needed(
    difference: float, sd: float, *, power: float = POWER, alpha: float = 0.05
) -> int | None:
    """Return the fewest seeds with which a paired t test has this power, None above `MOST_SEEDS`.

    Args:
        difference: the true one, above 0.
        sd: standard deviation of the paired differences, in the same unit, above 0.
        power: how often the test is to show it.
        alpha: false alarms that are allowed.

    Raises:
        InputError: a difference or standard deviation that is not above 0, or a power that is not
            between alpha and 1.

    """
    if not difference > 0 or not sd > 0:
        raise InputError(f"a difference and its SD are above 0, got {difference} and {sd}")
    if not alpha < power < 1:
        raise InputError(f"the power is between {alpha} and 1, got {power}")
    few, many = 1, 2
    while paired_power(many, difference, sd, alpha=alpha) < power:
        few, many = many, 2 * many
        if many > MOST_SEEDS:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        enough = paired_power(middle, difference, sd, alpha=alpha) >= power
        few, many = (few, middle) if enough else (middle, many)
    return many


def plan_table(
    variance: tuple[float, float, float],
    counts: Mapping[str, int],
    *,
    differences: Sequence[float] = DIFFERENCES,
    power: float = POWER,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the seeds that show each difference, for one pair and for all pairs of many groups.

    Args:
        variance: noise of one run (accuracies are fractions): estimate, and ends of its interval.
        counts: name -> how many groups there may be, at least 2, each for a part of the table.
        differences: as fractions.
        power: how often a difference is to be shown.
        alpha: false alarms that are allowed, for all pairs together.

    Returns:
        A row a difference, count and number of pairs (1, and all): `difference`, `of` (the name),
        `groups`, `pairs`, `seeds` a group, `seeds_low` and `seeds_high` at the ends of the interval
        of the noise, and `runs` (of the two groups, or of all); NA above `MOST_SEEDS`.

    """
    rows = []
    for difference in differences:
        for name, groups in counts.items():
            for pairs in sorted({1, comb(groups, 2)}):
                seeds, low, high = (
                    seeds_needed(difference, (2 * noise) ** 0.5, power=power, alpha=alpha / pairs)
                    for noise in variance
                )
                runs = None if seeds is None else seeds * (2 if pairs == 1 else groups)
                rows.append((difference, name, groups, pairs, seeds, low, high, runs))
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    whole = ["seeds", "seeds_low", "seeds_high", "runs"]
    return table.astype(dict.fromkeys(whole, "Int64"))


def power_finding(
    design: Design,
    *,
    differences: Sequence[float] = DIFFERENCES,
    power: float = POWER,
    confidence: float = 0.95,
) -> Finding:
    """Return the section 'what next': seeds and runs that would show given differences.

    Args:
        design: what was measured.
        differences: as fractions, each above 0.
        power: how often a difference is to be shown.
        confidence: of the interval of the noise, and 1 less the false alarms.

    """
    missing = untestable(design)
    if missing:
        said = f"The seeds that a difference takes cannot be told: {missing}."
        return Finding(title=TITLE, sentence=said)
    noise = variance_components(class_by_seed(design.runs), confidence=confidence)["run"]
    table = plan_table(
        (noise.value, noise.low, noise.high),
        _counts(design),
        differences=differences,
        power=power,
        alpha=1 - confidence,
    )
    rows = table.to_dict("records")
    sd = points(noise.value**0.5)
    parts = [_words([row for row in rows if row["difference"] == size]) for size in differences]
    said = f"At noise of SD {sd} points a run, {power:.0%} power takes {'; '.join(parts)}."
    return Finding(
        title=TITLE,
        sentence=said,
        method=_METHOD,
        assumes=_ASSUMES.format(unit=design.unit),
        numbers={"noise_sd": noise.value**0.5, "power": power, "alpha": 1 - confidence},
        tables={"seeds": table},
        shown={"seeds": _shown(rows, confidence)},
    )


def _counts(design: Design) -> dict[str, int]:
    """Return how many groups a next sweep may have: those at hand, all classes, all topologies."""
    counts = {counted(len(design.groups), design.unit): len(design.groups)}
    if design.unit != "genotype":
        classes, topologies = len(isomorphism_classes(design.nodes)), topology_count(design.nodes)
        counts[counted(classes, "class")] = classes
        counts[counted(topologies, "topology")] = topologies
    return {name: count for name, count in counts.items() if count > 1}


def _words(rows: list[dict[Hashable, Any]]) -> str:
    """Return what one difference takes, for one pair and for all pairs."""
    said = (
        f"{_number(rows[0]['seeds'])} seeds for {points(rows[0]['difference'])} points in one pair"
    )
    parts = [
        f"{_number(row['seeds'])} in any pair of {row['of']} ({_number(row['runs'])} runs)"
        for row in rows
        if row["pairs"] > 1
    ]
    return ", ".join([said, *parts])


def _number(number: Any) -> str:  # noqa: ANN401 - an integer of a table, or NA
    return f"over {MOST_SEEDS:,}" if pd.isna(number) else f"{int(number):,}"


def _shown(rows: list[dict[Hashable, Any]], confidence: float) -> list[tuple[str, ...]]:
    header = ("points", "of", "pairs", "seeds", f"{100 * confidence:g}% interval of noise", "runs")
    texts = [
        (
            points(row["difference"]),
            str(row["of"]),
            f"{row['pairs']:,}",
            _number(row["seeds"]),
            f"{_number(row['seeds_low'])} to {_number(row['seeds_high'])}",
            _number(row["runs"]),
        )
        for row in rows
    ]
    return [header, *texts]

"""How much: the variance of classes, seeds and noise, and how reliable one run and the means are.

By the method of moments on a fit of groups and seeds. Not here: tests of whether groups differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import fdtri

from nas_core.cells.topology import topology_count
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.inference.balance import untestable
from topo_sweep.analysis.statistics.mean_squares import (
    Bounded,
    Term,
    difference,
    satterthwaite,
    total,
)
from topo_sweep.analysis.statistics.pure_noise import NoiseSpread, noise_spread
from topo_sweep.analysis.statistics.two_way import ClassBySeed, class_by_seed
from topo_sweep.analysis.text import interval_words, plural, points

TITLE: Final = "how much"

_METHOD: Final = (
    "variance components by the method of moments, modified large-sample intervals; intraclass "
    "correlations ICC(3,1) and ICC(3,k) with intervals of F, ICC(2,1) with a generalised interval; "
    "studentised range"
)
_ASSUMES: Final = (
    "{units}, seeds and noise that add up, independent and normal, with noise as large in each "
    "{unit}; members of a class differ by noise alone"
)
_DRAWS: Final = 10_000
_RELIABILITIES: Final = {
    "run": "one run, all with one seed",
    "means": "means at hand",
    "run_any_seed": "one run, each with its own seed",
}


def variance_components(layout: ClassBySeed, *, confidence: float = 0.95) -> dict[str, Bounded]:
    """Return the variances of accuracies (fractions squared), those that can be told.

    Intervals are exact for one mean square, else modified large-sample ones (Graybill and Wang for
    sums, Ting and others for differences); all assume normal effects.

    Returns:
        `group`; `seed`; `interaction`, of group and seed, and `rest`, of the trainings of one group
        and seed, both only where some have several; `run`, the noise of one training: interaction
        and rest together.

    """
    cells = layout.cells
    found = {}
    rest = (1.0, cells.ms_rest, cells.df_rest)
    if cells.df_groups > 0 and cells.df_rest > 0:
        groups = (1.0, cells.ms_means, cells.df_groups)
        found["group"] = difference(groups, rest, cells.blocks_per_group, confidence)
        if cells.df_blocks > 0:
            seeds = (1.0, cells.ms_blocks, cells.df_blocks)
            found["seed"] = difference(seeds, rest, cells.groups_per_block, confidence)
        if layout.df_within:
            within = (1 / layout.typical_runs, layout.ms_within, layout.df_within)
            found["interaction"] = difference(rest, within, 1.0, confidence)
    if layout.df_within:
        found["rest"] = total([(1.0, layout.ms_within, layout.df_within)], confidence)
    if cells.df_groups > 0 and cells.df_rest > 0:
        found["run"] = total(_run_noise(layout), confidence)
    return found


def reliabilities(
    layout: ClassBySeed, *, confidence: float = 0.95, seed: int = 0
) -> dict[str, Bounded]:
    """Return which share of the variance between groups is theirs, and not noise (ICC).

    Args:
        layout: of groups and seeds that can be tested.
        confidence: of the intervals, which are those of F, exact where no cell is missing and
            groups have normal effects.
        seed: of the draws for an interval that has no formula.

    Returns:
        `run`, of one training a group, all with one seed: ICC(3,1) of Shrout and Fleiss; `means`,
        of the means at hand over the same seeds: ICC(3,k); `run_any_seed`, of one training a
        group, each with a seed of its own: ICC(2,1), with a generalised interval.

    """
    cells = layout.cells
    of_means = [(1 / cells.blocks_per_group, cells.ms_rest, cells.df_rest)]
    return {
        "run": _share(layout, _run_noise(layout), confidence),
        "means": _share(layout, of_means, confidence),
        "run_any_seed": _any_seed(layout, confidence, seed),
    }


def _any_seed(layout: ClassBySeed, confidence: float, seed: int) -> Bounded:
    """Return ICC(2,1) with its generalised interval: where it is for mean squares as likely.

    Weerahandi's: each mean square is divided by draws of its chi squared distribution, over its
    degrees of freedom, and quantiles are taken of what results.
    """
    cells, rng = layout.cells, np.random.default_rng(seed)
    squares = [
        (cells.ms_means, cells.df_groups),
        (cells.ms_blocks, cells.df_blocks),
        (cells.ms_rest, cells.df_rest),
        (layout.ms_within, layout.df_within),
    ]
    drawn = [
        square * np.append(1.0, df / rng.chisquare(df, _DRAWS)) if df else np.zeros(_DRAWS + 1)
        for square, df in squares
    ]
    means, seeds, rest, within = drawn
    groups = np.maximum(means - rest, 0) / cells.blocks_per_group
    noise = rest + (1 - 1 / layout.typical_runs) * within
    noise = noise + np.maximum(seeds - rest, 0) / cells.groups_per_block
    share = groups / (groups + noise)
    low, high = np.quantile(share[1:], [(1 - confidence) / 2, (1 + confidence) / 2])
    cut = cells.ms_means < cells.ms_rest
    return Bounded(value=float(share[0]), low=float(low), high=float(high), is_cut=cut)


def _run_noise(layout: ClassBySeed) -> list[Term]:
    """Return the noise of one training as a sum of mean squares."""
    cells = layout.cells
    noise: list[Term] = [(1.0, cells.ms_rest, cells.df_rest)]
    if layout.df_within:
        noise.append((1 - 1 / layout.typical_runs, layout.ms_within, layout.df_within))
    return noise


def _share(layout: ClassBySeed, noise: Sequence[Term], confidence: float) -> Bounded:
    """Return the variance of groups as a share of itself and a noise, the first term the rest's.

    The ratio of both is between those at which the mean square of groups is too high and too low
    for its expectation, a sum of mean squares whose degrees of freedom are Satterthwaite's.
    """
    cells, tail = layout.cells, (1 + confidence) / 2
    scale = cells.blocks_per_group * sum(factor * square for factor, square, _ in noise)
    ratio = (cells.ms_means - cells.ms_rest) / scale
    at_hand = max(ratio, 0.0) * cells.blocks_per_group
    terms = [(at_hand * factor, square, df) for factor, square, df in noise]
    terms[0] = (terms[0][0] + 1, *terms[0][1:])
    df = satterthwaite(terms)
    low = cells.ms_means / fdtri(cells.df_groups, df, tail) - cells.ms_rest
    high = cells.ms_means * fdtri(df, cells.df_groups, tail) - cells.ms_rest
    value, low, high = (
        max(part, 0.0) / (1 + max(part, 0.0)) for part in (ratio, low / scale, high / scale)
    )
    return Bounded(value=value, low=low, high=high, is_cut=ratio < 0)


def variance_finding(design: Design, *, confidence: float = 0.95, seed: int = 0) -> Finding:
    """Return the section 'how much': components, reliability and the spread of pure noise.

    `seed` is that of draws.
    """
    layout = class_by_seed(design.runs)
    components = variance_components(layout, confidence=confidence)
    missing = untestable(design)
    if missing and "rest" not in components:
        return Finding(title=TITLE, sentence=f"There is no estimate of noise: {missing}.")
    names = _names(design.unit)
    units = plural(design.unit)
    about = Finding(
        title=TITLE,
        sentence="",
        method=_METHOD,
        assumes=_ASSUMES.format(unit=design.unit, units=units),
        tables={"components": _table(components)},
        shown={"components": _shown_components(components, names, confidence)},
    )
    if missing:
        rest = _sd_words(components["rest"], confidence)
        said = f"Of noise only that between members of one {design.unit} and seed is known, {rest}"
        return replace(about, sentence=f"{said}: {missing}.")
    shares = reliabilities(layout, confidence=confidence, seed=seed)
    spreads = _spreads(design, layout, components["run"], confidence, seed)
    observed = float(np.ptp(layout.cells.means)), float(np.std(layout.cells.means, ddof=1))
    noise, groups = (_sd_words(components[name], confidence) for name in ("run", "group"))
    run, means = (_words(shares[name], confidence) for name in ("run", "means"))
    sentences = [
        f"One run has noise of {noise}, and {units} differ by {groups}.",
        f"The reliability of one run a {design.unit}, all with one seed, is {run}.",
        f"That of the means over {design.seed_words} seeds is {means}.",
        _spread_words(observed[0], spreads, confidence),
        *_cut_words(components, names),
    ]
    return replace(
        about,
        sentence=" ".join(sentences),
        numbers={"range": observed[0], "sd": observed[1]},
        tables={
            **about.tables,
            "reliability": _table(shares),
            "pure_noise": pd.DataFrame([asdict(spread) for spread in spreads]),
        },
        shown={
            **about.shown,
            "reliability": _shown_reliabilities(shares, confidence),
            "spread of means in points": _shown_spreads(observed, spreads, confidence),
        },
    )


def _spreads(
    design: Design, layout: ClassBySeed, run: Bounded, confidence: float, seed: int
) -> list[NoiseSpread]:
    """Return the spread of noise of the means at hand, and of all topologies with as many seeds."""
    cells = layout.cells
    errors = np.sqrt(cells.ms_rest / np.bincount(cells.group, cells.weights))
    observed = float(np.ptp(cells.means))
    spreads = [noise_spread(errors, cells.df_rest, observed, confidence=confidence, seed=seed)]
    every = topology_count(design.nodes)
    if design.unit != "genotype" and cells.groups != every:
        # What was observed is of other means, so nothing is tested.
        errors = np.full(every, (run.value / cells.blocks_per_group) ** 0.5)
        spread = noise_spread(errors, cells.df_rest, observed, confidence=confidence, seed=seed)
        spreads.append(replace(spread, p_value=np.nan))
    return spreads


def _names(unit: str) -> dict[str, str]:
    """Return what the components are called."""
    return {
        "group": unit,
        "seed": "seed",
        "interaction": f"{unit} x seed",
        "rest": "members of one class and seed",
        "run": "noise of one run",
    }


def _table(parts: Mapping[str, Bounded]) -> pd.DataFrame:
    """Return a row a part: `of`, `value`, `low`, `high` and `is_cut`."""
    return pd.DataFrame([{"of": name, **asdict(part)} for name, part in parts.items()])


def _spread_words(observed: float, spreads: Sequence[NoiseSpread], confidence: float) -> str:
    said = [
        f"{spread.means} means of pure noise would range over {points(spread.range)} on average, "
        f"and in {100 * confidence:g}% of sweeps over less than {points(spread.range_limit)}"
        for spread in spreads
    ]
    return f"The means at hand range over {points(observed)} points; {'; '.join(said)}."


def _cut_words(components: Mapping[str, Bounded], names: Mapping[str, str]) -> list[str]:
    cut = [names[name] for name, part in components.items() if part.is_cut]
    if not cut:
        return []
    return [f"Negative estimates, shown as 0: {', '.join(cut)}."]


def _sd_words(variance: Bounded, confidence: float) -> str:
    ends = interval_words(variance.low**0.5, variance.high**0.5)
    return f"SD {points(variance.value**0.5)} points ({100 * confidence:g}% interval {ends})"


def _words(share: Bounded, confidence: float) -> str:
    return f"{share.value:.2f} ({100 * confidence:g}% interval {share.low:.2f} to {share.high:.2f})"


def _shown_components(
    components: Mapping[str, Bounded], names: Mapping[str, str], confidence: float
) -> list[tuple[str, ...]]:
    rows = [
        (names[name], points(part.value**0.5), interval_words(part.low**0.5, part.high**0.5))
        for name, part in components.items()
    ]
    return [("of", "SD in points", f"{100 * confidence:g}% interval"), *rows]


def _shown_reliabilities(shares: Mapping[str, Bounded], confidence: float) -> list[tuple[str, ...]]:
    rows = [
        (_RELIABILITIES[name], f"{part.value:.2f}", f"{part.low:.2f} to {part.high:.2f}")
        for name, part in shares.items()
    ]
    return [("of", "ICC", f"{100 * confidence:g}% interval"), *rows]


def _shown_spreads(
    observed: tuple[float, float], spreads: Sequence[NoiseSpread], confidence: float
) -> list[tuple[str, ...]]:
    wide, sd = observed
    rows = [
        (
            f"{spread.means} means of pure noise",
            points(spread.sd),
            points(spread.range),
            points(spread.range_limit),
        )
        for spread in spreads
    ]
    header = ("of", "SD", "range", f"{100 * confidence:g}% of ranges below")
    return [header, ("means at hand", points(sd), points(wide), "-"), *rows]

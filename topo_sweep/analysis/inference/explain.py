"""What goes with the ranking: features of a wiring, and sizes of a network, beside its mean.

A rank correlation says that two orders go together, and nothing of why; so does all text here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from nas_core.cells.genotype import Genotype
from nas_core.cells.topology import INPUTS, Topology, isomorphism_classes
from topo_sweep.analysis.accuracy import DIGITS, Floats
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.statistics.corrections import holm
from topo_sweep.analysis.text import counted, p_words

FEWEST: Final = 6
"""Groups below which nothing is correlated."""

SIZES: Final = ("parameters", "multiply_adds")
"""Columns of trials that are features where networks differ in them."""

_NAMES: Final = {"input_0_edges": "edges from input 0", "multiply_adds": "multiply-adds"}
_SHAPE: Final = ("longest_path", "input_edges", "input_0_edges")
_SMALL: Final = 1e-9  # a residual that is only rounding
_CHUNK: Final = 500

COLUMNS: Final = (
    *("feature", "n", "rho", "low", "high", "p", "p_holm"),
    *("given", "partial", "partial_low", "partial_high", "partial_p", "partial_p_holm"),
)  # fmt: skip
"""Of the table of `rank_correlations`; `given` counts the features that are held fixed."""


def wiring_features(topology: Topology) -> dict[str, int]:
    """Return the features of a wiring, the same for all members of its class.

    `longest_path` and `input_edges` as `Topology` has them; `input_0_edges`, those that read input
    0; and for node 3, 4, ... whether it reads input 0 and input 1 (`node_3_reads_0`), with nodes
    named as in the smallest topology of the class. Node 2 always reads both.
    """
    named = isomorphism_classes(topology.nodes)[topology.class_id][0]
    features = {
        "longest_path": topology.longest_path,
        "input_edges": topology.input_edges,
        "input_0_edges": sum(0 in pair for pair in topology.pairs),
    }
    for node, pair in enumerate(named.pairs[1:], INPUTS + 1):
        features |= {f"node_{node}_reads_{source}": int(source in pair) for source in range(INPUTS)}
    return features


def features_of(design: Design, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the features in which the groups of a design differ, a row a group.

    Those of the normal cell's wiring, then `reduction_longest_path` and
    `reduction_input_edges`, then `SIZES`, the means over a group's networks. Features that are
    the same for all groups are left out.

    Args:
        design: whose groups.
        trials: the rows that it is made of; sizes are read from there.

    """
    rows = []
    for genotype in map(Genotype.from_string, design.groups["genotype"]):
        reduction = wiring_features(genotype.reduction.topology)
        rows.append(
            wiring_features(genotype.normal.topology)
            | {f"reduction_{name}": reduction[name] for name in _SHAPE[:2]}
        )
    features = pd.DataFrame(rows, index=design.groups.index, dtype=float)
    pairs = design.runs.drop_duplicates("member").sort_values("member")
    group_of = pairs["group"].to_numpy()
    results = trials[trials["status"] != "failed"]
    members = pd.factorize(results["genotype"], sort=True)[0]
    for name in SIZES:
        if name in results:
            sizes = results[name].astype(float).groupby(group_of[members]).mean()
            features[name] = sizes.reindex(features.index)
    return features[[name for name in features if _differs(features[name])]]


def alike(features: pd.DataFrame) -> dict[str, str]:
    """Return of each feature that orders the groups as an earlier one does, which that is."""
    first: dict[tuple[float, ...], str] = {}
    ranks = {str(name): tuple(column) for name, column in features.rank().items()}
    names = {name: first.setdefault(order, name) for name, order in ranks.items()}
    return {name: earlier for name, earlier in names.items() if name != earlier}


def rank_correlations(
    means: pd.Series[float],
    features: pd.DataFrame,
    *,
    permutations: int = 9_999,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Return Spearman's rho of each feature with the means, alone and given other features.

    Intervals are on Fisher's z scale with the standard error of Bonett and Wright (2000) for
    ranks; they take the groups for a sample. p-values permute the groups, those of partial
    correlations the residuals of the means (Freedman and Lane, 1983), and are adjusted by Holm's
    method over the features. Partial correlations are of the residuals of ranks after a linear
    regression on the ranks of the other features of whole wirings and sizes; those of single
    nodes are never held fixed, since they add up to the others.

    Args:
        means: by group.
        features: a row a group, a column a feature; no feature is constant.
        permutations: how many are drawn.
        confidence: of the intervals.
        seed: of the permutations.

    Returns:
        `COLUMNS`, a row a feature; NaN where there is no number: means that are all equal, or a
        feature that the others determine.

    """
    ranks = features.loc[means.index].rank().to_numpy(dtype=float)
    ranked = np.asarray(means.round(DIGITS).rank(), dtype=np.float64)
    n, names = len(ranked), [str(name) for name in features]
    order = _orders(n, permutations, seed)
    held = [number for number, name in enumerate(names) if _is_held(name)]
    rows = []
    for number, name in enumerate(names):
        given = [other for other in held if other != number]
        rho, p = _partial(ranked, ranks[:, number], ranks[:, []], order)
        partial, partial_p = _partial(ranked, ranks[:, number], ranks[:, given], order)
        low, high = spearman_interval(rho, n, confidence=confidence)
        partial_ends = spearman_interval(partial, n, given=len(given), confidence=confidence)
        row = (name, n, rho, low, high, p, np.nan, len(given), partial, *partial_ends, partial_p)
        rows.append((*row, np.nan))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for p_name in ("p", "partial_p"):
        table[f"{p_name}_holm"] = holm(table[p_name])
    return table


def spearman_interval(
    rho: float, n: int, *, given: int = 0, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a rank correlation of n groups, `given` features held fixed.

    NaN where there is none: too few groups, or ranks that agree in full.
    """
    free = n - given - 3
    if free < 1 or not abs(rho) < 1:
        return np.nan, np.nan
    half = float(ndtri((1 + confidence) / 2)) * ((1 + rho**2 / 2) / free) ** 0.5
    low, high = np.tanh(np.arctanh(rho) + np.array([-half, half]))
    return float(low), float(high)


def explain_finding(
    design: Design,
    trials: pd.DataFrame,
    *,
    permutations: int = 9_999,
    confidence: float = 0.95,
    seed: int = 0,
) -> Finding:
    """Say which features of wirings and networks go with the ranking.

    Args:
        design: the groups and their accuracies.
        trials: the rows that it is made of.
        permutations: as in `rank_correlations`.
        confidence: of the intervals; a feature counts as one that goes with the ranking where its
            adjusted p is below 1 less that.
        seed: of the permutations.

    """
    title, groups = "what goes with the ranking", len(design.groups)
    what = counted(groups, design.unit)
    if groups < FEWEST:
        few = f"Nothing is correlated with the means of {what}: it takes {FEWEST} or more."
        return Finding(title=title, sentence=few, numbers={"groups": groups})
    features, means = features_of(design, trials), design.means
    same_order = alike(features)
    features = features.drop(columns=list(same_order))
    if features.empty or not _differs(means):
        same = "have the same mean" if len(features.columns) else "do not differ in any feature"
        sentence = f"Nothing to correlate: the {what} {same}."
        return Finding(title=title, sentence=sentence, numbers={"groups": groups})
    table = rank_correlations(
        means, features, permutations=permutations, confidence=confidence, seed=seed
    )
    setting = f"over {what}, {design.seed_words} seeds"
    goes = table[table["p_holm"] < 1 - confidence].sort_values("p_holm", kind="stable")
    tried = counted(len(table), "feature")
    if goes.empty:
        sentence = (
            f"None of {tried} was found to go with the ranking ({setting}; smallest adjusted "
            f"{p_words(table['p_holm'].min())}), which does not show that none does."
        )
    else:
        named = "; ".join(_named(row) for row in goes.to_dict("records"))
        sentence = f"Of {tried}, {len(goes)} go with the ranking ({setting}): {named}."
        if len(goes) == 1:
            sentence = sentence.replace("1 go with", "1 goes with")
    if same_order:
        pairs = (f"{_words(name)} as {_words(other)}" for name, other in same_order.items())
        sentence += f" Left out, for they order alike: {', '.join(pairs)}."
    return Finding(
        title=title,
        sentence=sentence,
        method="Spearman's rank correlation of means with each feature, alone and given the "
        f"others of {_listed_held(features)}; p by {permutations:,} permutations, adjusted by "
        "Holm's method",
        assumes="groups that could stand in any order if a feature did not matter; it tells what "
        "goes together and nothing of why, and noise between seeds pulls it towards 0",
        numbers={
            "groups": groups,
            "features": len(table),
            "found": len(goes),
            "permutations": permutations,
            "alpha": 1 - confidence,
        },
        tables={"features": table},
        shown={"rank correlations": _shown(table, f"{100 * confidence:g}% interval")},
    )


def _is_held(feature: str) -> bool:
    """Return whether a feature is held fixed where others are correlated: not those of a node."""
    return not feature.startswith("node_")


def _listed_held(features: pd.DataFrame) -> str:
    """Return the features that are held fixed, each but where it is looked at itself."""
    *first, last = [_words(str(name)) for name in features if _is_held(str(name))] or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def _differs(values: pd.Series[float]) -> bool:
    """Return whether all groups have a value, and not all the same."""
    rounded = values.round(DIGITS).to_numpy()
    return bool((rounded != rounded[0]).any()) and not np.isnan(rounded).any()


def _orders(n: int, permutations: int, seed: int) -> NDArray[np.intp]:
    """Return so many orders of n groups: (permutations, n)."""
    random = np.random.default_rng(seed)
    return random.permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)


def _partial(
    ranked: Floats, feature: Floats, given: Floats, order: NDArray[np.intp]
) -> tuple[float, float]:
    """Return the partial correlation and its permutation p; NaN where there is none.

    Args:
        ranked: ranks of the means (n,).
        feature: ranks of the feature (n,).
        given: ranks of what is held fixed (n, k).
        order: permutations (B, n).

    """
    n = len(ranked)
    basis = _basis(np.column_stack([np.ones(n), given]))
    mean, x = (values - basis @ (basis.T @ values) for values in (ranked, feature))
    scale = float(np.sqrt(x @ x))
    if n - basis.shape[1] < 2 or min(scale, float(np.sqrt(mean @ mean))) < _SMALL * n:
        return np.nan, np.nan
    observed = float(mean @ x) / scale / float(np.sqrt(mean @ mean))
    extreme = 0
    for start in range(0, len(order), _CHUNK):
        shuffled = mean[order[start : start + _CHUNK]]
        # Permuted residuals are no residuals any more: what `given` explains of them goes as well.
        left = (shuffled**2).sum(axis=1) - ((shuffled @ basis) ** 2).sum(axis=1)
        rho = shuffled @ x / scale / np.sqrt(np.maximum(left, _SMALL))
        extreme += int((np.abs(rho) >= abs(observed) - _SMALL).sum())
    return float(np.clip(observed, -1, 1)), (1 + extreme) / (1 + len(order))


def _basis(columns: Floats) -> Floats:
    """Return an orthonormal basis of the space of these columns."""
    u, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    basis: Floats = u[:, sizes > _SMALL * sizes.max()]
    return basis


def _named(row: Mapping[Hashable, Any]) -> str:
    ends = f"{row['low']:.2f} to {row['high']:.2f}" if not np.isnan(row["low"]) else "no interval"
    return (
        f"{_words(str(row['feature']))} (rho = {row['rho']:.2f}, {ends}, {p_words(row['p_holm'])})"
    )


def _words(feature: str) -> str:
    """Return a feature's name for people."""
    if feature.startswith("node_"):
        node, source = feature.removeprefix("node_").split("_reads_")
        return f"node {node} reads input {source}"
    return _NAMES.get(feature, feature.replace("_", " "))


def _shown(table: pd.DataFrame, interval: str) -> list[tuple[str, ...]]:
    header = ("feature", "rho", interval, "Holm p", "given others", interval, "Holm p")
    return [header, *(_shown_row(row) for row in table.to_dict("records"))]


def _shown_row(row: Mapping[Hashable, Any]) -> tuple[str, ...]:
    parts = [_words(str(row["feature"]))]
    for rho, low, high, p in (
        ("rho", "low", "high", "p_holm"),
        ("partial", "partial_low", "partial_high", "partial_p_holm"),
    ):
        parts.append(_number(row[rho]))
        parts.append("-" if np.isnan(row[low]) else f"{row[low]:.2f} to {row[high]:.2f}")
        parts.append(_number(row[p], digits=4))
    return tuple(parts)


def _number(value: float, digits: int = 2) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"

"""Does the group matter at all: classes against class x seed, and members of a class as a check.

Seeds are blocks, so groups are tested within them. Not here: which groups differ, and how much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding, Number
from topo_sweep.analysis.inference.balance import untestable
from topo_sweep.analysis.statistics.mean_squares import noncentrality
from topo_sweep.analysis.statistics.two_way import TwoWay, class_by_seed, two_way
from topo_sweep.analysis.text import p_number, p_words, plural
from topo_sweep.spec.int_sets import format_int_set

PERMUTATIONS: Final = 1999
"""So many permutations can show a p-value of 0.0005."""

TITLE: Final = "does topology matter"

_COLUMNS: Final = ("of", "test", "statistic", "df1", "df2", "p_value")
_METHOD: Final = (
    "two-way analysis of variance, {unit} against {unit} x seed on means of the members, by least "
    "squares on the cells that there are; Box's correction for unequal variances; permutation of "
    "{unit} labels within each seed; Friedman's test"
)
_ASSUMES: Final = (
    "noise that is independent and about normal (F), or that only chance tells the labels of a "
    "seed apart (permutation, Friedman); seeds add the same to every {unit} but for the noise"
)


@dataclass(frozen=True, kw_only=True)
class OmnibusTest:
    """Whether treatments differ at all within their blocks.

    Args:
        f: mean square of the treatments, adjusted for blocks, against that of the rest.
        df1: degrees of freedom of the treatments.
        df2: those of the rest.
        epsilon: Box's factor of both for unequal variances; 1 where it is not needed.
        p_value: of F with both times `epsilon`.
        permutation_p: of F among permutations within blocks.
        omega_squared: partial omega squared, the share of the variance within blocks that the
            treatments explain; below 0 where F is below 1.
        omega_low: lower end of its interval.
        omega_high: upper end of its interval.

    """

    f: float
    df1: int
    df2: int
    epsilon: float
    p_value: float
    permutation_p: float
    omega_squared: float
    omega_low: float
    omega_high: float

    @property
    def words(self) -> str:
        """F with its degrees of freedom and both p-values, for a sentence."""
        f = f"F({self.df1}, {self.df2}) = {self.f:.2f}"
        f += f", Box's epsilon {self.epsilon:.2f}" if self.epsilon < 1 else ""
        return f"({f}, {p_words(self.p_value)}; permutation {p_words(self.permutation_p)})"

    def is_significant(self, alpha: float = 0.05) -> bool:
        """Whether F and the permutation both say so."""
        return max(self.p_value, self.permutation_p) <= alpha


def class_test(
    runs: pd.DataFrame,
    *,
    permutations: int = PERMUTATIONS,
    confidence: float = 0.95,
    seed: int = 0,
) -> OmnibusTest | None:
    """Return the test of groups against group x seed; None where nothing can be tested.

    That is with one seed or group, with no group of two seeds beside others, and where all
    accuracies are equal but for groups or seeds. Trainings of one group and seed are averaged
    first; missing cells are left out of the fit, and permutations move only those that there are.

    Args:
        runs: `group`, `seed` and `accuracy` (a fraction) of each training.
        permutations: how many are drawn.
        confidence: of the interval of the effect size.
        seed: of the permutations.

    """
    fit = class_by_seed(runs).cells
    return _tested(fit, fit.epsilon, permutations, confidence, seed) if fit.is_testable else None


def member_test(
    runs: pd.DataFrame,
    *,
    permutations: int = PERMUTATIONS,
    confidence: float = 0.95,
    seed: int = 0,
) -> OmnibusTest | None:
    """Return the test of members within their class against member x seed within the class.

    Members of a class are the same random experiment, so that a difference between them speaks
    against the apparatus. None where no class has two members with two seeds in common, or
    nothing has any spread.

    Args:
        runs: `group`, `member`, `seed` and `accuracy` (a fraction) of each training.
        permutations: how many are drawn.
        confidence: of the interval of the effect size.
        seed: of the permutations.

    """
    cells = runs.groupby(["group", "seed", "member"])["accuracy"].mean().reset_index()
    others = cells.groupby(["group", "seed"])["member"].transform("size")
    cells = cells[others > 1]
    if cells.empty:
        return None
    member, block = (
        np.asarray(cells.groupby(["group", name]).ngroup(), np.int64) for name in ("member", "seed")
    )
    fit = two_way(cells["accuracy"].to_numpy(float), member, block)
    return _tested(fit, 1.0, permutations, confidence, seed) if fit.is_testable else None


def _tested(
    fit: TwoWay, epsilon: float, permutations: int, confidence: float, seed: int
) -> OmnibusTest:
    count, df1, f = len(fit.value), fit.df_groups, fit.f
    ends = noncentrality(f, epsilon * df1, epsilon * fit.df_rest, confidence=confidence)
    low, high = (end / epsilon for end in ends)
    return OmnibusTest(
        f=f,
        df1=df1,
        df2=fit.df_rest,
        epsilon=epsilon,
        p_value=fit.p_value(epsilon),
        permutation_p=fit.permutation_p(permutations, np.random.default_rng(seed)),
        omega_squared=df1 * (f - 1) / (df1 * (f - 1) + count),
        omega_low=low / (low + count),
        omega_high=high / (high + count),
    )


@dataclass(frozen=True, kw_only=True)
class FriedmanTest:
    """The rank version, on seeds that all groups have.

    Args:
        chi_squared: Friedman's statistic.
        df: its degrees of freedom.
        p_value: of its chi squared approximation.
        left_out: seeds in which a group is missing.

    """

    chi_squared: float
    df: int
    p_value: float
    left_out: tuple[int, ...]


def friedman(table: pd.DataFrame) -> FriedmanTest | None:
    """Return Friedman's test; None with fewer than 3 groups or 2 complete seeds, or all equal.

    Args:
        table: a row a seed, a column a group, accuracies, NaN where nothing was trained.

    """
    from scipy.stats import friedmanchisquare  # half a second, and only an analysis needs it

    complete = table.dropna()
    left_out = tuple(int(seed) for seed in table.index.difference(complete.index))
    values = complete.to_numpy()
    if values.shape[1] < 3 or len(values) < 2 or not np.ptp(values, axis=1).any():
        return None
    statistic, p_value = friedmanchisquare(*values.T)
    return FriedmanTest(
        chi_squared=float(statistic),
        df=values.shape[1] - 1,
        p_value=float(p_value),
        left_out=left_out,
    )


def omnibus_finding(
    design: Design,
    *,
    permutations: int = PERMUTATIONS,
    confidence: float = 0.95,
    seed: int = 0,
) -> Finding:
    """Return the section 'does topology matter' of a design.

    A difference is claimed only where F and the permutation both show it.
    """
    classes, members = (
        test(design.runs, permutations=permutations, confidence=confidence, seed=seed)
        for test in (class_test, member_test)
    )
    ranks = friedman(design.table)
    sentences = [
        *_answer(design, classes, confidence),
        *_left_out(design, ranks),
        *_check(members, 1 - confidence),
    ]
    about = Finding(title=TITLE, sentence=" ".join(sentences))
    tests = {"": classes, "member_": members, "friedman_": ranks}
    if not any(tests.values()):
        return about
    rows = list(_rows(design.unit, classes, members, ranks))
    return replace(
        about,
        method=_METHOD.format(unit=design.unit),
        assumes=_ASSUMES.format(unit=design.unit),
        numbers={"permutations": permutations, **_numbers(tests)},
        tables={"tests": pd.DataFrame(rows, columns=list(_COLUMNS))},
        shown={"tests": [("of", "test", "statistic", "df", "p"), *map(_shown, rows)]},
    )


def _answer(design: Design, test: OmnibusTest | None, confidence: float) -> list[str]:
    """Return the answer, or why there is none and what it would take."""
    units = plural(design.unit)
    if test is None:
        return [f"There is no test: {untestable(design)}."]
    what = "The genotype" if design.unit == "genotype" else "Topology"
    if test.is_significant(1 - confidence):
        said = (
            f"{what} matters here: {design.unit} means differ by more than seeds explain "
            f"{test.words}."
        )
    elif min(test.p_value, test.permutation_p) <= 1 - confidence:
        said = (
            f"F and permutation disagree on whether {units} differ {test.words}, so nothing is "
            "claimed: more seeds would tell."
        )
    else:
        said = (
            f"No difference between {units} was found with {design.seed_words} seeds "
            f"{test.words}, which does not show that there is none."
        )
    explained = (
        f"Of the variance of {design.unit} means within seeds {units} explain "
        f"{max(test.omega_squared, 0):.0%} "
        f"({100 * confidence:g}% interval {test.omega_low:.0%} to {test.omega_high:.0%})."
    )
    return [said, explained]


def _left_out(design: Design, ranks: FriedmanTest | None) -> list[str]:
    """Return what is missing, and what each method does about it."""
    empty = int(design.table.isna().sum().sum())
    if not empty:
        return []
    said = (
        f"{empty:,} of {design.table.size:,} cells of {design.unit} and seed are empty: F and the "
        "permutation use those that there are"
    )
    if ranks is None:
        return [f"{said}, and there is no Friedman test, for it needs two complete seeds."]
    return [f"{said}, Friedman's test leaves out seeds {format_int_set(ranks.left_out)}."]


def _check(test: OmnibusTest | None, alpha: float) -> list[str]:
    """Return what the second null says of the apparatus; nothing where it cannot be tested."""
    if test is None:
        return []
    if test.is_significant(alpha):
        said = f"But members of one class differ by more than noise {test.words}, as"
        chance = (
            f"{100 * alpha:g}% of sound sweeps show; else something is wrong with the trainings."
        )
        return [f"{said} {chance}"]
    if min(test.p_value, test.permutation_p) <= alpha:
        return [f"F and permutation disagree on whether members of one class differ {test.words}."]
    return [f"As a check, members of one class were not found to differ {test.words}."]


def _numbers(tests: Mapping[str, OmnibusTest | FriedmanTest | None]) -> dict[str, Number]:
    """Return what each test gave, the name of its number behind that of the test."""
    return {
        f"{name}{part}": number
        for name, test in tests.items()
        if test is not None
        for part, number in asdict(test).items()
        if part != "left_out"
    }


def _rows(
    unit: str,
    classes: OmnibusTest | None,
    members: OmnibusTest | None,
    ranks: FriedmanTest | None,
) -> Iterator[tuple[str, str, float, float, float, float]]:
    """Yield a row of `_COLUMNS` for each test."""
    for what, test in ((unit, classes), ("member of its class", members)):
        if test is not None:
            df = test.epsilon * test.df1, test.epsilon * test.df2
            yield (what, "F", test.f, *df, test.p_value)
            yield (what, "permutation of F", test.f, np.nan, np.nan, test.permutation_p)
    if ranks is not None:
        yield (unit, "Friedman", ranks.chi_squared, ranks.df, np.nan, ranks.p_value)


def _shown(row: tuple[str, str, float, float, float, float]) -> tuple[str, ...]:
    what, test, statistic, *df, p_value = row
    free = ", ".join(f"{number:.4g}" for number in df if not np.isnan(number))
    return what, test, f"{statistic:.2f}", free or "-", p_number(p_value)

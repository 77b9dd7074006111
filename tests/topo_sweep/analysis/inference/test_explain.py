"""What goes with the ranking: features of wirings, correlations against scipy and regression."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from nas_core.cells.topology import Topology, isomorphism_classes
from tests.topo_sweep.analysis.ranking_rows import frame, row, uniform
from topo_sweep.analysis.design import Design, design_of
from topo_sweep.analysis.inference.explain import (
    alike,
    explain_finding,
    features_of,
    rank_correlations,
    spearman_interval,
    wiring_features,
)

FEW: dict[str, Any] = {"permutations": 499}
REPRESENTATIVES = [members[0].index for members in isomorphism_classes()]


def swept(
    slope: float, *, seeds: int = 3, noise: float = 0.001, **values: Any
) -> tuple[Design, pd.DataFrame]:
    """A topology of each class; the longest path adds `slope` an edge."""
    random = np.random.default_rng(0)
    trials = frame(
        [
            row(index, seed, 0.8 + slope * path + 0.01 * seed + random.normal(0, noise), **values)
            for index in REPRESENTATIVES
            for path in [Topology.from_index(index).longest_path]
            for seed in range(seeds)
        ]
    )
    return design_of(trials), trials


def of(table: pd.DataFrame, feature: str) -> dict[str, float]:
    """Return the numbers of a feature."""
    rows = {row["feature"]: row for row in table.to_dict("records")}
    return {str(name): value for name, value in rows[feature].items()}


def test_features_are_those_of_the_wiring_and_the_same_for_a_whole_class() -> None:
    chain = wiring_features(Topology(((0, 1), (1, 2), (2, 3), (3, 4))))
    assert chain["longest_path"] == 4
    assert (chain["input_edges"], chain["input_0_edges"]) == (3, 1)
    assert [chain[f"node_{node}_reads_{i}"] for node in (3, 4, 5) for i in (0, 1)] == [
        *(0, 1),
        *(0, 0),
        *(0, 0),
    ]
    for members in isomorphism_classes():
        assert len({tuple(wiring_features(member).items()) for member in members}) == 1


def test_features_that_do_not_differ_or_repeat_another_are_left_out() -> None:
    design, trials = swept(0.0, parameters=100)
    assert list(features_of(design, trials)) == [
        *("longest_path", "input_edges", "input_0_edges"),
        *(f"node_{node}_reads_{source}" for node in (3, 4, 5) for source in (0, 1)),
    ]

    sized = trials.assign(parameters=trials["topology"].astype(int), multiply_adds=1)
    both = features_of(design, sized)
    assert "multiply_adds" not in both
    assert both["parameters"].tolist() == design.groups["topology"].tolist()

    copied = trials.assign(
        parameters=7 * features_of(design, trials)["input_edges"].repeat(3).array
    )
    assert alike(features_of(design, copied)) == {"parameters": "input_edges"}
    sentence = explain_finding(design, copied, **FEW).sentence
    assert sentence.endswith("Left out, for they order alike: parameters as input edges.")


def test_reduction_wirings_are_features_where_they_vary_by_themselves() -> None:
    pairs = [(0, 0), (0, 179), (5, 0), (5, 179), (17, 60)]
    trials = frame(
        [row(uniform(normal, reduction=other), 0, 0.5) for normal, other in pairs]
    ).assign(kind="genotypes")

    features = features_of(design_of(trials, by="topology"), trials)

    assert set(features["reduction_longest_path"]) == {1, 2, 4}


def test_rho_and_its_p_are_those_of_scipy() -> None:
    random = np.random.default_rng(1)
    features = pd.DataFrame({"longest_path": random.integers(1, 5, 30)}, dtype=float)
    means = pd.Series(features["longest_path"] + random.normal(0, 2, 30))
    expected = stats.spearmanr(means, features["longest_path"])

    (found,) = rank_correlations(means, features, permutations=9_999).to_dict("records")

    assert found["rho"] == pytest.approx(expected.statistic)
    assert found["p"] == pytest.approx(expected.pvalue, abs=0.01)
    assert found["partial"] == pytest.approx(found["rho"])


def test_a_partial_correlation_is_that_of_the_residuals_of_a_regression_on_ranks() -> None:
    random = np.random.default_rng(2)
    features = pd.DataFrame(random.normal(size=(25, 3)), columns=["a", "b", "node_3_reads_0"])
    features["b"] += features["a"]
    means = pd.Series(random.normal(size=25) + features["a"])

    table = rank_correlations(means, features, **FEW)

    ranks, ranked = features.rank(), means.rank()
    for name, others in (("b", ["a"]), ("node_3_reads_0", ["a", "b"])):
        columns = np.column_stack([np.ones(25), ranks[others]])
        left = [
            values - columns @ np.linalg.lstsq(columns, values)[0]
            for values in (ranked.to_numpy(), ranks[name].to_numpy())
        ]
        expected = stats.pearsonr(*left).statistic
        assert of(table, name)["partial"] == pytest.approx(expected)
    # Of three variables the textbook formula holds (Kendall, 1942).
    mean_b, mean_a, a_b = (
        stats.spearmanr(*pair).statistic
        for pair in (
            (means, features["b"]),
            (means, features["a"]),
            (features["a"], features["b"]),
        )
    )
    formula = (mean_b - mean_a * a_b) / np.sqrt((1 - mean_a**2) * (1 - a_b**2))
    assert of(table, "b")["partial"] == pytest.approx(formula)
    adjusted = multipletests(table["p"], method="holm")[1]
    assert table["p_holm"].tolist() == pytest.approx(adjusted.tolist())


def test_p_of_a_partial_correlation_is_about_that_of_the_regression() -> None:
    random = np.random.default_rng(4)
    features = pd.DataFrame(random.normal(size=(13, 4)), columns=list("abcd"))
    features["b"] += features["a"]
    means = pd.Series(random.normal(size=13) + features["a"])

    table = rank_correlations(means, features, permutations=9_999)

    model = OLS(means.rank(), np.column_stack([np.ones(13), features.rank()])).fit()
    assert table["partial_p"].tolist() == pytest.approx(model.pvalues[1:], abs=0.02)


def test_a_feature_that_the_others_determine_has_no_partial_correlation() -> None:
    design, trials = swept(0.01)
    features = features_of(design, trials)[["longest_path", "input_edges"]]
    features["copy"] = features["longest_path"]

    table = rank_correlations(design.table.mean(), features, **FEW)

    copied = of(table, "copy")
    assert np.isnan([copied[name] for name in ("partial", "partial_p", "partial_p_holm")]).all()
    assert np.isfinite(of(table, "copy")["rho"])


def test_an_interval_is_on_the_scale_of_fisher_with_the_error_of_bonett_and_wright() -> None:
    half = stats.norm.ppf(0.975) * np.sqrt((1 + 0.5**2 / 2) / (30 - 3))
    ends = np.tanh(np.arctanh(0.5) - half), np.tanh(np.arctanh(0.5) + half)
    assert spearman_interval(0.5, 30) == pytest.approx(ends)
    assert np.isnan(spearman_interval(1.0, 30)).all()
    assert np.isnan(spearman_interval(0.5, 5, given=2)).all()


def test_a_feature_that_goes_with_the_ranking_is_named_with_its_numbers() -> None:
    design, trials = swept(0.01)

    found = explain_finding(design, trials, **FEW)

    table = found.tables["features"]
    rho = of(table, "longest_path")["rho"]
    assert rho > 0.9
    assert table.set_index("feature")["partial"].idxmax() == "longest_path"
    assert of(table, "longest_path")["p_holm"] == pytest.approx(9 / 500)
    assert f"longest path (rho = {rho:.2f}, " in found.sentence
    assert "over 79 classes, n = 3 seeds" in found.sentence
    # What single nodes read is never held fixed, and all reduction cells are the same here.
    held = "given the others of longest path, input edges and edges from input 0; p by"
    assert held in found.method
    assert set(table["given"]) == {2, 3}


def test_where_nothing_goes_with_the_ranking_that_is_no_proof_that_nothing_does() -> None:
    design, trials = swept(0.0, noise=0.01)

    found = explain_finding(design, trials, **FEW)

    assert found.numbers["found"] == 0
    assert found.sentence.startswith("None of 9 features was found to go with the ranking")
    assert found.sentence.endswith("which does not show that none does.")


def test_false_alarms_are_no_more_than_promised() -> None:
    random = np.random.default_rng(3)
    features = pd.DataFrame([wiring_features(Topology.from_index(i)) for i in REPRESENTATIVES])
    alarms = [
        (
            rank_correlations(
                pd.Series(means), features.astype(float), permutations=199, seed=number
            )["p_holm"]
            < 0.05
        ).any()
        for number, means in enumerate(random.normal(size=(40, 79)))
    ]
    assert np.mean(alarms) < 0.12


def test_seeds_that_some_groups_miss_praise_nobody() -> None:
    _, trials = swept(0.01)
    better = trials["test_accuracy"] + 0.1 * (trials["seed"] == 2)
    kept = trials.assign(test_accuracy=better)[(trials["seed"] < 2) | (trials["class_id"] < 40)]

    table = explain_finding(design_of(kept), kept, **FEW).tables["features"]

    assert of(table, "longest_path")["rho"] > 0.9
    plain = kept.groupby("class_id")["test_accuracy"].mean()
    paths = [Topology.from_index(index).longest_path for index in REPRESENTATIVES]
    assert stats.spearmanr(plain, paths).statistic < 0.5


@pytest.mark.parametrize(
    ("groups", "accuracies", "said"),
    [
        (3, (0.5, 0.6, 0.7), "Nothing is correlated with the means of 3 classes: it takes 6"),
        (7, (0.5,) * 7, "Nothing to correlate: the 7 classes have the same mean."),
    ],
)
def test_what_cannot_be_correlated_is_said(
    groups: int, accuracies: tuple[float, ...], said: str
) -> None:
    trials = frame(
        [row(i, 0, a) for i, a in zip(REPRESENTATIVES[:groups], accuracies, strict=True)]
    )

    assert explain_finding(design_of(trials), trials).sentence.startswith(said)


def test_no_word_says_why() -> None:
    for slope in (0.0, 0.01):
        design, trials = swept(slope)
        found = explain_finding(design, trials, **FEW)
        text = f"{found.to_text()} {json.dumps(found.to_json_value())}".lower()
        assert not re.findall(r"\bcaus\w*|\beffect\w*|because|leads? to|due to|drives?\b", text)
        assert explain_finding(design, trials, **FEW).to_text() == found.to_text()

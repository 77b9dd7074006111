"""When a claim of the paper is decided by contrasts of our searches."""

from __future__ import annotations

import pandas as pd
import pytest

from topo_sweep.analysis.accuracy import estimate
from topo_sweep.paper.claims import Contrast, claim_entries, verdict

GAIN = Contrast(label="gain", weights={("SS1", 16): 1.0, ("SS1", 5): -1.0})
EXCESS = Contrast(label="excess", weights={("SS3", 16): 1.0, ("SS3", 5): -1.0}, judged=False)
ACCURACY = {
    ("SS1", 5): pd.Series({0: 80.0, 1: 81.0, 2: 80.5}),
    ("SS1", 16): pd.Series({0: 82.0, 1: 82.9, 2: 82.6}),
    ("SS3", 5): pd.Series({0: 90.0, 1: 91.0, 2: 91.0}),
    ("SS3", 16): pd.Series({0: 80.0, 1: 80.9, 2: 81.1}),
}


def test_one_open_contrast_leaves_a_claim_undecided() -> None:
    clear, open_ = estimate([1.0, 1.1, 0.9]), estimate([1.0, -1.1, 0.9])

    assert verdict([clear]) == "supported"
    assert verdict([clear, open_]) == "undecided"
    assert verdict([clear, None]) == "undecided"
    assert verdict([clear, estimate([1.0])]) == "undecided"


def test_one_contrast_against_it_contradicts_a_claim_if_it_survives_holms_correction() -> None:
    clear, open_ = estimate([1.0, 1.1, 0.9]), estimate([1.0, -1.1, 0.9])
    against = estimate([-1.0, -1.6, -0.7])

    assert against is not None
    assert against.p_value is not None
    assert 0.025 < against.p_value < 0.06
    strong = estimate([-1.0, -1.1, -0.9])
    assert verdict([clear, strong, open_, None]) == "contradicted"
    weak = estimate([-1.0, -1.45, -0.75])
    assert weak is not None
    assert weak.p_value is not None
    assert 0.025 < weak.p_value < 0.05  # its interval alone lies below 0
    assert verdict([weak]) == "contradicted"
    assert verdict([weak, open_]) == "undecided"  # 2 x p is above 5%


def test_nothing_is_supported_without_an_interval() -> None:
    one_seed = {point: accuracy[:1] for point, accuracy in ACCURACY.items()}
    (gain,) = claim_entries("deeper is better", [GAIN], one_seed)

    assert (gain.ours, gain.verdict, gain.note) == (2.0, "undecided", "one seed: no interval")


def test_a_contrast_without_a_claimed_sign_is_reported_and_leaves_the_verdict_alone() -> None:
    gain, excess = claim_entries("deeper is better", [GAIN, EXCESS], ACCURACY)

    assert (gain.verdict, gain.theirs) == ("supported", "> 0")
    assert excess.ours == pytest.approx(-10, abs=0.1)
    assert (excess.verdict, excess.theirs) == ("not judged", "")
    assert excess.note == "below 0; not judged"
    assert excess.low is not None

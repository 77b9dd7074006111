"""Settings of a race: which are taken, and how what was decided is written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from topo_sweep.spec.adaptive import Adaptive


def test_settings_have_defaults_and_deltas_are_points_outside_and_fractions_inside() -> None:
    settings = Adaptive()
    assert (settings.top, settings.confidence, settings.delta) == (20, 0.95, 0.0025)
    assert settings.goal == "the 20 best classes"
    assert Adaptive(top=1).goal == "the best class"


def test_what_was_decided_is_written_as_sets_and_read_back() -> None:
    more = ((3, (0, 1, 2, 7)), (4, (7,)))
    settings = Adaptive(top=1, more=more)
    value = settings.model_dump(mode="json")

    assert value["more"] == [[3, "0-2,7"], [4, "7"]]
    assert Adaptive.model_validate(value) == settings
    assert "more" not in settings.settings


@pytest.mark.parametrize(
    "values",
    [
        {"top": 0},
        {"top": "best"},
        {"top": True},
        {"confidence": 1.0},
        {"confidence": 0.2},
        {"delta_points": -0.1},
        {"delta_points": float("nan")},
        {"batch": 0},
        {"more": [3]},
        {"more": "3"},
        {"more": [[3, "0-"]]},
        {"seeds": 3},
    ],
)
def test_other_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Adaptive(**values)

"""Options of a race: what they mean, and what is refused in one line."""

from __future__ import annotations

import pytest

from nas_core.errors import InputError
from topo_sweep.cli.shared.adaptive import RaceChoice, parse_budget, parse_goal
from topo_sweep.runs.adaptive import Budget


def choice(**given: object) -> RaceChoice:
    nothing = dict.fromkeys(("adaptive", "confidence", "delta", "budget", "batch"))
    return RaceChoice(**(nothing | given))


def test_a_goal_is_the_best_or_so_many_of_them() -> None:
    assert (parse_goal("best"), parse_goal("top=20")) == (1, 20)


@pytest.mark.parametrize(
    "text", ["", "top", "top=", "top=0", "top=-1", "top=1.5", "20", "Best", "top=٣"]
)
def test_another_goal_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--adaptive .*: write top=20, with any number from 1"):
        parse_goal(text)


def test_settings_are_those_that_were_given() -> None:
    assert choice().settings == {}
    assert choice(adaptive="best", delta=0.5, budget="500").settings == {
        "top": 1,
        "delta_points": 0.5,
    }
    assert choice(confidence=0.9, batch=4).settings == {"confidence": 0.9, "batch": 4}


def test_a_budget_is_runs_or_hours_and_without_yes_never_too_many() -> None:
    assert parse_budget("500", first_runs=237, yes=False) == Budget(runs=500)
    assert parse_budget("1.5h", first_runs=237, yes=True) == Budget(hours=1.5)
    assert parse_budget("6h", first_runs=237, yes=False) == Budget(runs=10_000, hours=6.0)
    assert parse_budget(None, first_runs=237, yes=False) == Budget(runs=10_000)
    assert parse_budget(None, first_runs=237, yes=True) == Budget()
    assert parse_budget("20000", first_runs=237, yes=True) == Budget(runs=20_000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("many", "--budget many: write runs, such as 500, or hours, such as 6h"),
        ("6 h", "write runs"),
        ("-5", "write runs"),
        ("1e3", "write runs"),
        ("nanh", "write runs"),
        ("236", "--budget 236: the first seeds of all classes alone are 237 runs: allow more"),
        ("10001", "add --yes if that is meant"),
    ],
)
def test_another_budget_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        parse_budget(text, first_runs=237, yes=False)
    assert said in str(error.value)

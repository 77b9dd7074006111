"""Worlds whose truth is known: what they are made of, and that answers are right in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.conftest import RunScript, Script
from tests.pages import ROOT, section
from topo_sweep.bench.record import figures_of
from topo_sweep.spec.adaptive import Adaptive

KEPT = figures_of(ROOT / "benchmarks/results/simulations.json")
NORMAL = ("winner", "reliability 0.3", "reliability 0.5", "reliability 0.9")
NULLS = ("null", "rough null", "members null")
WORLDS = ("null", *NORMAL, "rough null", "rough", "members null", "members")
LABELS = {
    "null": "no class differs",
    "winner": "one class is better by 0.5 points",
    "reliability 0.3": "reliability 0.3",
    "reliability 0.5": "reliability 0.5",
    "reliability 0.9": "reliability 0.9",
    "rough null": "no class differs, rough",
    "rough": "reliability 0.5, rough",
    "members null": "no class differs, all 180 topologies",
    "members": "reliability 0.5, all 180 topologies",
}
"""What the pages call the worlds."""

COLUMNS = {
    "both say so": 100,
    "Holm makes a false claim": 100,
    "interval of a mean": 100,
    "all intervals at once": 100,
    "interval of the reliability": 100,
    "all ranks at once": 100,
    "best set holds the best": 100,
    "size of the best set": 1,
    "interval of a shrunken mean": 100,
    "raw best above its truth": 100,
    "shrunken best above its truth": 100,
}
"""What the page of statistics shows, and in which unit."""


def table(page: str, title: str, begin: str) -> list[list[str]]:
    """Return the rows of a section's table that begins so."""
    lines = section(page, title).split(begin)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("world", NORMAL)
def test_kept_intervals_hold_the_truth_as_often_as_promised(world: str) -> None:
    means = KEPT["answers"][world]["means"]

    assert KEPT["answers"][world]["repeats"] == 2000
    for each in ("interval of a mean", "all intervals at once", "interval of the reliability"):
        assert 0.93 <= means[each] <= 0.97
    assert min(means["all ranks at once"], means["best set holds the best"]) >= 0.94


@pytest.mark.parametrize("world", [name for name in NULLS if name in KEPT["answers"]])
def test_kept_false_alarms_are_as_few_as_promised(world: str) -> None:
    means = KEPT["answers"][world]["means"]

    assert means["both say so"] <= 0.06
    assert means["Holm makes a false claim"] <= 0.06


def test_the_page_shows_the_kept_answers() -> None:
    shown = table("docs/statistics.md", "How sure these methods are themselves", "| world |")
    kept = [(LABELS[world], each["means"]) for world, each in KEPT["answers"].items()]

    for (label, *row), (world, means) in zip(shown, kept, strict=True):
        assert label == world
        numbers = [100 * means[name] if of == 100 else means[name] for name, of in COLUMNS.items()]
        tolerances = [10.0 ** -len(cell.partition(".")[2]) / 2 for cell in row]
        for cell, number, tolerance in zip(row, numbers, tolerances, strict=True):
            assert float(cell) == pytest.approx(number, abs=1.001 * tolerance)


def test_the_readme_shows_some_of_the_kept_answers() -> None:
    shown = table("README.md", "One finding, and what it does not show", "| in % of repeats")
    answers = {world: each["means"] for world, each in KEPT["answers"].items()}
    figures = (
        "both say so",
        "interval of a mean",
        "interval of the reliability",
        "best set holds the best",
    )

    for figure, (_, _, *cells) in zip(figures, shown, strict=True):
        of_worlds = [cell for part in cells for cell in part.split(", ")]
        worlds = ("null", "reliability 0.3", "reliability 0.5", "reliability 0.9", "rough")
        for world, cell in zip(worlds, of_worlds, strict=True):
            assert float(cell) == pytest.approx(100 * answers[world][figure], abs=0.0501)


def test_a_kept_race_saves_what_the_page_says_in_three_worlds_at_least() -> None:
    shown = table("docs/sweeps.md", "Adaptive sweeps", "| world |")
    saved = dict.fromkeys(("the best", "the 20 best"), 0)

    raced = [world for world in KEPT["answers"] if f"{world}, the best" in KEPT["races"]]
    for world, (label, *row) in zip(raced, shown, strict=True):
        assert label == LABELS[world]
        for top, cells in (("the best", row[:3]), ("the 20 best", row[3:])):
            means = KEPT["races"][f"{world}, {top}"]["means"]
            race, equal = means["race: runs"], means["equal seeds: runs"]
            expected = [f"{race:,.0f}", f"{equal:,.0f}", f"{equal / race:.1f}"]
            assert cells == expected
            assert means["race: wrong"] == means["equal seeds: wrong"] == 0
            assert means["both decided"] == 1
            saved[top] += equal / race >= 1.5
    assert min(saved.values()) >= 3


def test_a_world_is_what_it_says(script: Script) -> None:
    simulations = script("simulations")
    assert set(simulations.WORLDS) == set(WORLDS)
    rng = np.random.default_rng(0)
    world = simulations.reliable(0.8, missing=0.3)
    truth = simulations.true_means(world, 400, rng)
    table = simulations.drawn(world, truth, 200, rng)

    assert truth.std() == pytest.approx(2 * simulations.NOISE, rel=0.1)
    assert table.isna().mean().mean() == pytest.approx(0.3, abs=0.01)
    assert table.notna().sum().min() >= 2
    noise = table.sub(table.mean(axis=1), axis=0)
    assert noise.std().mean() == pytest.approx(simulations.NOISE, rel=0.05)
    assert table.mean(axis=1).std() == pytest.approx(simulations.NOISE, rel=0.15)
    winner = simulations.true_means(simulations.World(winner=0.01), 5, rng)
    assert (winner - winner[1]).tolist() == pytest.approx([0.01, 0, 0, 0, 0])
    rough = simulations.drawn(
        simulations.World(tails=4, unequal=3.0, seeds=0.0), np.zeros(300), 100, rng
    )
    assert rough.std().quantile(0.99) > 2 * rough.std().quantile(0.01)
    assert (rough.abs() > 4 * simulations.NOISE).mean(axis=None) > 1e-3


def test_a_world_of_members_trains_every_topology_of_its_classes(script: Script) -> None:
    simulations = script("simulations")
    world = simulations.reliable(0.5, members=True, seeds=0.0)
    rng = np.random.default_rng(0)
    truth = simulations.true_means(world, 79, rng)

    design = simulations.designed(world, truth, 200, rng)

    sizes = design.runs.groupby("group")["member"].nunique()
    assert (len(sizes), sizes.sum(), sizes.min(), sizes.max()) == (79, 180, 1, 8)
    assert design.table.mean().to_numpy() == pytest.approx(truth, abs=5 * 0.0022 / 200**0.5)
    noise = design.table.std() * sizes**0.5
    assert noise.to_numpy() == pytest.approx(np.full(79, simulations.NOISE), rel=0.3)


@pytest.mark.parametrize("world", WORLDS)
def test_answers_hold_the_truth_and_claim_a_difference_where_there_is_one(
    script: Script, world: str
) -> None:
    simulations = script("simulations")

    means = simulations.averaged(
        [simulations.asked(world, number, classes=20, seeds=5) for number in range(24)]
    )

    if world in NULLS:
        assert means["both say so"] < 0.3
    elif world.startswith("reliability"):
        assert means["both say so"] > 0.8
    if world.startswith("members"):
        assert means["both say that members differ"] < 0.3
    assert means["interval of a mean"] == pytest.approx(0.95, abs=0.06)
    assert means["all intervals at once"] > 0.7
    assert means["interval of the reliability"] > 0.6
    assert means["interval of a rank"] > 0.98
    assert means["all ranks at once"] > 0.7
    assert means["best set holds the best"] > 0.9
    assert means["Holm makes a false claim"] < 0.3
    assert abs(means["shrunken best above its truth"]) < 0.005


@pytest.mark.parametrize("world", ["reliability 0.9", "winner"])
def test_a_race_takes_fewer_runs_than_equal_seeds_and_errs_as_seldom(
    script: Script, world: str
) -> None:
    simulations = script("simulations")

    means = simulations.averaged(
        [simulations.raced(world, number, top=1, classes=79) for number in range(2)]
    )

    assert means["both decided"] == 1.0
    assert means["equal seeds: runs"] > 1.25 * means["race: runs"]
    assert means["race: wrong"] == means["equal seeds: wrong"] == 0.0


def test_without_enough_seeds_a_race_stays_undecided(script: Script) -> None:
    simulations = script("simulations")
    rng = np.random.default_rng(1)
    settings = Adaptive(top=2, delta_points=0.0)

    ended = simulations.spent(np.zeros(6), rng.normal(size=(5, 6)), settings, races=True)

    assert not ended.decided
    assert ended.runs <= 5 * 6


def test_what_a_file_has_of_worlds_that_were_made_in_another_way_is_left_out(
    script: Script,
) -> None:
    simulations = script("simulations")
    size = {"classes": 8, "seeds": 3}
    names = ("null", "winner")
    kept = simulations.begun({}, size) | {
        "answers": dict.fromkeys(names, 1),
        "races": {f"{name}, the best": 1 for name in names},
    }
    kept["worlds"]["null"]["noise"] += 1

    figures = simulations.begun(kept, size)

    assert figures["answers"].keys() == {"winner"}
    assert figures["races"].keys() == {"winner, the best"}
    assert figures["worlds"] == simulations.begun({}, size)["worlds"]


def test_worlds_that_a_file_has_are_not_simulated_again(
    run_script: RunScript, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "simulations.json"
    size = ("--classes", "8", "--seeds", "3", "--processes", "1", "--json", str(file))

    run_script("simulations", *size, "--repeats", "2", "--races", "1", "--worlds", "winner")
    first = figures_of(file)
    run_script(
        "simulations",
        *size,
        "--repeats",
        "2",
        "--races",
        "1",
        "--worlds",
        "winner,null",
        "--resume",
    )

    second = figures_of(file)
    assert second["answers"].keys() == {"winner", "null"}
    assert second["answers"]["winner"] == first["answers"]["winner"]
    assert "answers, null, 2 repeats" in capsys.readouterr().out

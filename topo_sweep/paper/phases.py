"""The paper's topology sweep (phase 1) and unified cells (phase 2) beside our sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from nas_core.cells.genotype import Genotype
from topo_sweep.analysis.accuracy import (
    PERCENT,
    Estimate,
    chosen_metric,
    difference,
    estimate,
    group_means,
    wide,
)
from topo_sweep.analysis.adaptive.rule import race_table
from topo_sweep.analysis.design import fewest_seeds
from topo_sweep.analysis.inference.best import places
from topo_sweep.analysis.statistics.additive import adjusted_means
from topo_sweep.analysis.statistics.anytime import anytime_interval
from topo_sweep.analysis.text import counted
from topo_sweep.paper.differences import evaluation_differences
from topo_sweep.paper.evidence import (
    Evidence,
    chosen_notes,
    groups,
    setting_text,
    settings_with_results,
    usable,
)
from topo_sweep.paper.published import Published, printed
from topo_sweep.paper.records import ComparedTable, Entry, entry

if TYPE_CHECKING:
    import pandas as pd

PHASES: Final = ("phase 1", "phase 2")

_TOPOLOGIES: Final = dict(zip(PHASES, (180, 20), strict=True))
"""How many the paper trained in each phase."""

_CAUTIONS: Final = (
    (
        "The paper does not say whether its best and its worst are of one training each (IV-D), or "
        "of the several that III-D asks for; they are chosen and reported on the same test images. "
        "They stand beside ours of one seed, which is like with like if they are single trainings: "
        "such a best holds the luck of its seed, too. Beside our means over seeds there is no "
        "number of the paper's."
    ),
    (
        "A range of 1.20 points over 180 topologies is what seed noise of SD 0.22 alone would "
        "give, which is no evidence that it was noise."
    ),
    (
        "Phase 2 adds 61% parameters (162,746 -> 261,562 in 5 cells of 16 channels): its gain is "
        "not one of wiring alone, and only comparisons inside a phase are fair."
    ),
)


_ADAPTIVE: Final = (
    "seeds went where they told most (an adaptive sweep), so the interval is an anytime-valid one "
    "and the race alone says which may be the best"
)


def phases(evidence: Evidence) -> list[ComparedTable]:
    """Compare the best, the worst and the range of both phases.

    Whether the paper trained each network once is not said. Its figures stand beside those of one
    seed: highest, lowest and range among the topologies of each seed are averaged over seeds. Only
    seeds that trained the most topologies count, for the highest of more is higher; of an adaptive
    sweep only among those that results did not choose.
    """
    trials = evidence.trials
    rows = trials[(trials["role"] == "shallow") & (trials["kind"] == "topologies")]
    by_genotype = {text: phase(Genotype.from_string(text)) for text in rows["genotype"].unique()}
    rows = rows.assign(phase=rows["genotype"].map(by_genotype))
    settings = settings_with_results(rows[rows["phase"].isin(PHASES)])
    return [_phases(evidence, setting) for setting in settings]


def phase(genotype: Genotype) -> str:
    """Return 'phase 1', 'phase 2', or '' for a network that belongs to neither.

    In both the normal operations are all sep_conv_3x3. In phase 1 the reduction operations are
    all max_pool_3x3, in any wiring; in phase 2 both cells are equal.
    """
    normal, reduction = genotype.normal, genotype.reduction
    if normal.uniform_operation != "sep_conv_3x3":
        return ""
    if reduction.uniform_operation == "max_pool_3x3":
        return PHASES[0]
    return PHASES[1] if reduction == normal else ""


def _phases(evidence: Evidence, rows: pd.DataFrame) -> ComparedTable:
    kept, notes = usable(rows, "accuracy")
    entries: list[Entry] = []
    highest: dict[str, list[pd.Series[float]]] = {name: [] for name in PHASES}
    for name in PHASES:
        for sweep in groups(kept[kept["phase"] == name], ("source",)):
            seeds = _by_seed(sweep[sweep["beforehand"]])
            highest[name].append(seeds["highest"])
            entries += _entries(name, sweep, seeds)
    if all(len(sweeps) == 1 for sweeps in highest.values()):
        entries.append(_gain(*(highest[name][0] for name in PHASES)))
    choice = "chosen and reported on the same seeds and test images: it is optimistic"
    if int(rows["holdout"].iloc[0]):
        choice = "chosen by validation accuracy; the test accuracy beside it was not chosen"
    return ComparedTable(
        table="phases",
        title="Topology sweep (phase 1) and unified cells (phase 2)",
        setting=f"{setting_text(kept)}; n counts training seeds",
        differs=(
            *evaluation_differences(evidence, kept),
            *_reduction_wirings(kept[kept["phase"] == PHASES[0]]),
        ),
        entries=tuple(entries),
        notes=(
            *notes,
            *chosen_notes(kept),
            f"Our best mean is the best of many, {choice}.",
            *_CAUTIONS,
        ),
    )


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return by seed the highest, the lowest and their range, and how many topologies it has."""
    accuracy = group_means(rows, ["genotype", "seed"], "accuracy").groupby("seed")["value"]
    seeds = accuracy.agg(highest="max", lowest="min", topologies="count")
    most: pd.DataFrame = seeds[seeds["topologies"] == seeds["topologies"].max()]
    return most.assign(range=most["highest"] - most["lowest"])


def _entries(name: str, rows: pd.DataFrame, seeds: pd.DataFrame) -> Iterator[Entry]:
    """Yield what one sweep reached in a phase."""
    count = int(seeds["topologies"].max()) if len(seeds) else rows["topology"].nunique()
    networks = "topology" if count == 1 else "topologies"
    quantity = f"{name}, test accuracy, %: {count} {networks} of {rows['source'].iloc[0]}"
    fewer = "" if count == _TOPOLOGIES[name] else f"paper: of {_TOPOLOGIES[name]}"
    highest = printed("phases", name, "highest" if name == PHASES[0] else "best_unified_phase_2")
    theirs: dict[str, dict[str, Any]] = {"highest": {"paper": highest}, "lowest": {}, "range": {}}
    if name == PHASES[0]:
        lowest = printed("phases", name, "lowest")
        theirs |= {"lowest": {"paper": lowest}, "range": _difference(highest, lowest)}
    for column, paper in theirs.items():
        yield entry(
            quantity,
            f"{column} in one seed",
            estimate(seeds[column], within=PERCENT),
            note=fewer,
            **paper,
        )
    topology, ours = _best(rows)
    is_adaptive = bool(rows["adaptive"].any())
    how_sure = [_ADAPTIVE] if is_adaptive else _best_set(rows)
    note = "; ".join(["a mean over seeds; the paper's may be of one", *how_sure])
    yield entry(quantity, f"best mean: topology {topology}", ours, note=note)


def _best(rows: pd.DataFrame) -> tuple[int, Estimate | None]:
    """Return the best topology and the estimate of its test accuracy.

    Best is the highest mean of validation accuracy where there is a hold-out, else of test
    accuracy, as if all had the same seeds; topologies with less than half as many seeds as another
    do not compete, the first of equals wins. Of an adaptive sweep it is the highest mean as its
    race has it, and the interval holds at any time.
    """
    metric, interval = _metric(rows), None
    if rows["adaptive"].any():
        means, interval = _race_means(rows), anytime_interval
    else:
        tables = wide(group_means(rows, ["topology", "seed"], metric), "topology")
        means, counts = adjusted_means(*tables), tables[0].count()
        means = means[counts >= fewest_seeds(counts)]
    best = means.sort_values(ascending=False, kind="stable").index[0]
    seeds = group_means(rows[rows["topology"] == best], ["seed"], "accuracy")
    return int(best), estimate(seeds["value"], within=PERCENT, interval=interval)


def _race_means(rows: pd.DataFrame) -> pd.Series[float]:
    """Return the mean of each topology by which a race orders them: without what seeds add."""
    networks = rows.drop_duplicates("genotype").sort_values("topology", kind="stable")
    metric = chosen_metric(None, holdout=int(rows["holdout"].iloc[0]))
    table, _ = race_table(rows, networks["genotype"].tolist(), metric)
    return adjusted_means(table).set_axis(networks["topology"])


def _best_set(rows: pd.DataFrame) -> list[str]:
    """Say how many classes may be the best, unless seeds are too few to tell."""
    points = group_means(rows, ["class_id", "seed"], _metric(rows))
    trainings = rows.groupby(["class_id", "seed"]).size().astype(float)
    trainings = trainings.groupby("class_id").mean()
    table, _ = wide(points, "class_id")
    judged = places(table, members=trainings)["in_best_set"].dropna()
    if len(judged) < 2:
        return []
    of = counted(len(judged), "class")
    return [f"with 95% confidence the best of {of} is among {int(judged.sum())}"]


def _metric(rows: pd.DataFrame) -> str:
    """Return the column that chooses the best."""
    return "val_accuracy" if int(rows["holdout"].iloc[0]) else "accuracy"


def _gain(first: pd.Series[float], second: pd.Series[float]) -> Entry:
    """Return by how much phase 2 exceeds phase 1: paired where both have the same seeds.

    `promote` takes seeds that selected nothing, so that the phases usually share none.
    """
    best = printed("phases", PHASES[0], "highest")
    unified = printed("phases", PHASES[1], "best_unified_phase_2")
    if set(first.index) == set(second.index):
        ours, note = estimate(second - first), "paired by seed"
    else:
        ours = difference(second, first)
        note = f"means over seeds, {len(second)} and {len(first)}; Welch's interval"
    return entry(
        "phase 2 - phase 1, percentage points",
        "highest in one seed",
        ours,
        note=note,
        **_difference(unified, best),
    )


def _difference(first: Published, second: Published) -> dict[str, Any]:
    """Return the fields of an entry that hold a difference of two printed numbers."""
    value = first.number - second.number
    return {"theirs": f"{first.value} - {second.value} = {value:.2f}", "theirs_value": value}


def _reduction_wirings(first_phase: pd.DataFrame) -> list[str]:
    """Say how the reduction cells of phase 1 are wired, which the paper does not."""
    if first_phase.empty:
        return []
    wirings = sorted(set(first_phase["reduction_topology"].astype(int)))
    like = bool((first_phase["reduction_topology"] == first_phase["topology"]).all())
    how = "wired like the normal cell" if like else f"wiring {', '.join(map(str, wirings[:5]))}"
    return [f"reduction cell of phase 1: {how} (paper: does not say)"]

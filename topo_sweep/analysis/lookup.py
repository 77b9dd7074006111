"""A sweep as a benchmark that is looked up: what each network reached, without training it again.

What is there is answered; nothing is predicted. Means and intervals are in `ranking.py`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from nas_core.cells.genotype import Genotype
from nas_core.cells.isomorphism import class_key
from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import data_words
from topo_sweep.analysis.comparable import check_one_experiment, nothing_finished
from topo_sweep.analysis.text import counted
from topo_sweep.store.opened import only_sweep
from topo_sweep.store.paths import RESULTS
from topo_sweep.store.tables import TRIALS

if TYPE_CHECKING:
    from topo_sweep.store.opened import OpenedSweep

Network = Genotype | Topology | str
"""A genotype, its text or name, or a topology where that alone says which network it is."""

Which = int | Literal["mean", "sample"] | None

_Question = tuple[int | None, str, Any]
"""An epoch, and either a row by its number or a seed, or 'mean'."""

_ACCURACIES: Final = ("train_accuracy", "val_accuracy", "test_accuracy")
_COLUMNS: Final = (
    *("genotype", "seed", "status", *_ACCURACIES),
    *("train_seconds", "parameters", "multiply_adds"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What was measured of a network.

    Args:
        genotype: the canonical text of the network that was trained; of several members of a
            class the first in order.
        match: 'genotype' where that is what was asked for, 'class' where it is equal up to renamed
            nodes.
        epoch: from 0, after which it was measured; None is after the last.
        seed: of the training; None is a mean over seeds.
        n: seeds.
        runs: trainings.
        status: 'ok', or 'diverged' where any of them had.
        train_accuracy: a fraction, as all accuracies; None where any training has none.
        val_accuracy: None too where no images were held out.
        test_accuracy: as the others.
        seconds: of one training until then, the mean.
        parameters: of the network; None where they are not known.
        multiply_adds: of one image; likewise.

    """

    genotype: str
    match: str
    epoch: int | None
    seed: int | None
    n: int
    runs: int
    status: str
    train_accuracy: float | None
    val_accuracy: float | None
    test_accuracy: float | None
    seconds: float
    parameters: int | None
    multiply_adds: int | None


@dataclass(frozen=True, slots=True)
class _Answers:
    """The rows that answer for a network, and the answers that were given."""

    genotype: str
    match: str
    rows: list[int]
    known: dict[_Question, Measurement] = field(default_factory=dict)


class Benchmark:
    """The networks of a sweep and what they reached, looked up 100,000 times a second and more.

    Iterating gives the genotypes that were trained, in the order of their texts; `len` counts them,
    and `in` says whether `query` has an answer. Trainings that failed have no result and are left
    out. One that diverged counts with the last accuracy that it had, as 0 where it has none.

    >>> from topo_sweep import Benchmark
    >>> benchmark = Benchmark.load("results/studies/table2-digits/full")
    >>> genotype = next(iter(benchmark))
    >>> found = benchmark.query(genotype)
    >>> found.n, found.match, round(found.test_accuracy, 3)
    (1, 'genotype', 0.978)
    >>> round(benchmark.query(genotype, epoch=0).test_accuracy, 3)
    0.231

    """

    def __init__(self, sweep: OpenedSweep, *, sample_seed: int = 0) -> None:
        rows = sweep.trials()
        rows = rows[rows["status"] != "failed"].reset_index(drop=True)
        if rows.empty:
            raise nothing_finished("training to look up")
        check_one_experiment(rows.assign(kind="any"))  # found or drawn, each is a network
        self.data = data_words(rows)
        """The data set and how it was split, in words."""
        self.protocol_hash = str(rows["protocol_hash"].iloc[0])
        self.epochs = int(rows["epochs"].max())
        """Epochs of a training."""
        self.folder = sweep.folder
        self._sweep = sweep
        self._rows = rows
        self._holdout = int(rows["holdout"].iloc[0])
        self._column: dict[str, list[Any]] = {
            name: rows[name].astype(object).where(rows[name].notna(), None).tolist()
            for name in _COLUMNS
        }
        trained: dict[str, list[int]] = {}
        for row, text in enumerate(self._column["genotype"]):
            trained.setdefault(text, []).append(row)
        self._trained = dict(sorted(trained.items()))
        self._networks: dict[Any, _Answers] = {}
        self._draw = random.Random(sample_seed).random  # noqa: S311 - no secret

    @classmethod
    def load(cls, path: str | Path = RESULTS, *, sample_seed: int = 0) -> Benchmark:
        """Open a sweep's folder, or one that holds a single sweep.

        Args:
            path: the folder.
            sample_seed: names the draws of `query(..., seed="sample")`, which come in sequence.

        Raises:
            InputError: nothing there, not a sweep, several of them, or nothing was trained.

        """
        return cls(only_sweep(path), sample_seed=sample_seed)

    def query(
        self, network: Network, *, epoch: int | None = None, seed: Which = None
    ) -> Measurement:
        """Return what a network reached.

        A network that was not trained itself is answered by those that are equal to it up to
        renamed nodes, which are the same random experiment; `match` says so.

        Args:
            network: a genotype, its text or known name; or a topology, where all trained networks
                with that wiring are one or of one class.
            epoch: from 0; None is the last. The first that is given reads the learning curves.
            seed: that of a training; 'mean' or None, the mean over seeds (trainings of one seed are
                averaged first); or 'sample', one training, each with equal probability.

        Raises:
            InputError: neither the network nor one of its class was trained, a topology does not
                say which of several networks is meant, or there is no such epoch or seed.

        """
        key = network.pairs if isinstance(network, Topology) else str(network)
        answers = self._networks.get(key) or self._found(key, network)
        question: _Question = (epoch, "seed", "mean" if seed is None else seed)
        if seed == "sample":
            question = epoch, "row", answers.rows[int(self._draw() * len(answers.rows))]
        return answers.known.get(question) or self._measured(answers, question)

    def isomorphic(self, network: Network) -> tuple[Genotype, ...]:
        """Return the trained genotypes that are equal to a network up to renamed nodes."""
        texts = self._of_class(network)
        return tuple(map(Genotype.from_string, texts))

    def __iter__(self) -> Iterator[Genotype]:
        """Yield what was trained."""
        return map(Genotype.from_string, self._trained)

    def __len__(self) -> int:
        """Return how many genotypes were trained."""
        return len(self._trained)

    def __contains__(self, network: Network) -> bool:
        """Return whether `query` has an answer."""
        try:
            self.query(network)
        except InputError:
            return False
        return True

    def _found(self, key: object, network: Network) -> _Answers:
        """Look a network up for the first time."""
        texts, match = self._texts(network)
        if not texts:
            what = f"topology {network.index}" if isinstance(network, Topology) else str(network)
            raise InputError(
                f"{what} was not trained in {self.folder}, nor was any of its class: "
                f"{counted(len(self), 'network')} were, which iterating the benchmark gives"
            )
        rows = sorted(row for text in texts for row in self._trained[text])
        answers = self._networks[key] = _Answers(texts[0], match, rows)
        return answers

    def _texts(self, network: Network) -> tuple[list[str], str]:
        """Return the trained genotypes that answer for a network, and how they match."""
        if isinstance(network, Topology):
            exact = self._with_wiring(network, [network])
            match = "genotype" if exact else "class"
            return exact or self._of_class(network), match
        text = str(network)
        if text not in self._trained:
            text = str(Genotype.parse(text))
        if text in self._trained:
            return [text], "genotype"
        return self._of_class(text), "class"

    def _of_class(self, network: Network) -> list[str]:
        if isinstance(network, Topology):
            members = {network.renamed(order) for order in network.renamings()}
            return self._with_wiring(network, members)
        genotype = network if isinstance(network, Genotype) else Genotype.parse(network)
        return self._classes.get(class_key(genotype), [])

    def _with_wiring(self, asked: Topology, wirings: Iterable[Topology]) -> list[str]:
        texts = [text for wiring in wirings for text in self._wirings.get(wiring.pairs, [])]
        kinds = len({class_key(Genotype.from_string(text)) for text in texts})
        if kinds > 1:
            raise InputError(
                f"{kinds} different networks here are wired like topology {asked.index}: ask for "
                "a genotype"
            )
        return sorted(texts)

    @cached_property
    def _classes(self) -> dict[str, list[str]]:
        """The genotypes of each class."""
        classes: dict[str, list[str]] = {}
        for text in self._trained:
            classes.setdefault(class_key(Genotype.from_string(text)), []).append(text)
        return classes

    @cached_property
    def _wirings(self) -> dict[tuple[tuple[int, int], ...], list[str]]:
        """The genotypes of each normal wiring that have equal normal operations."""
        wirings: dict[tuple[tuple[int, int], ...], list[str]] = {}
        for text in self._trained:
            topology = Genotype.from_string(text).topology
            if topology is not None:
                wirings.setdefault(topology.pairs, []).append(text)
        return wirings

    def _measured(self, answers: _Answers, question: _Question) -> Measurement:
        """Answer a question for the first time."""
        epoch, kind, which = question
        if kind == "row":
            rows, genotype = [which], self._column["genotype"][which]
        else:
            rows, genotype = self._with_seed(answers, which), answers.genotype
        by_seed: dict[int, list[tuple[float | None, ...]]] = {}
        for row in rows:
            by_seed.setdefault(self._column["seed"][row], []).append(self._at(row, epoch))
        points = [_means(values) for values in by_seed.values()]
        train, val, test, seconds = _means(points)
        statuses = {self._column["status"][row] for row in rows}
        measurement = Measurement(
            genotype=genotype,
            match=answers.match,
            epoch=epoch,
            seed=None if which == "mean" else next(iter(by_seed)),
            n=len(by_seed),
            runs=len(rows),
            status="diverged" if "diverged" in statuses else "ok",
            train_accuracy=train,
            val_accuracy=val,
            test_accuracy=test,
            seconds=seconds,
            parameters=self._column["parameters"][rows[0]],
            multiply_adds=self._column["multiply_adds"][rows[0]],
        )
        answers.known[question] = measurement
        return measurement

    def _with_seed(self, answers: _Answers, seed: object) -> list[int]:
        if seed == "mean":
            return answers.rows
        rows = [row for row in answers.rows if self._column["seed"][row] == seed]
        if not rows:
            seeds = sorted({self._column["seed"][row] for row in answers.rows})
            there = ", ".join(map(str, seeds))
            raise InputError(f"there is no seed {seed!r} here: use {there}, mean or sample")
        return rows

    def _at(self, row: int, epoch: int | None) -> tuple[float | None, ...]:
        """Return the accuracies of a training after an epoch, then the seconds until then."""
        diverged = self._column["status"][row] == "diverged"
        if epoch is None:
            last = (self._counted(n, self._column[n][row], diverged) for n in _ACCURACIES)
            return *last, self._column["train_seconds"][row]
        if not 0 <= epoch < self.epochs:
            raise InputError(f"there is no epoch {epoch!r}: they are 0..{self.epochs - 1}")
        curves, starts = self._curves
        first, end = starts[row], starts[row + 1]
        reached = min(first + epoch + 1, end)
        is_over = diverged and reached == end
        values: list[float | None] = []
        for name in _ACCURACIES:
            value = float(curves[name][reached - 1]) if reached > first else math.nan
            if is_over and math.isnan(value):
                known = curves[name][first:reached]
                known = known[~np.isnan(known)]
                value = float(known[-1]) if len(known) else value
            values.append(self._counted(name, None if math.isnan(value) else value, is_over))
        return *values, float(curves["seconds"][first:reached].sum())

    def _counted(self, name: str, accuracy: float | None, is_over: bool) -> float | None:
        """Return an accuracy, 0 where a training has none that diverged."""
        has_any = name != "val_accuracy" or self._holdout > 0
        return 0.0 if accuracy is None and is_over and has_any else accuracy

    @cached_property
    def _curves(self) -> tuple[dict[str, np.ndarray[Any, Any]], list[int]]:
        """The columns of all learning curves, and where that of each row begins."""
        curves = self._sweep.store.epochs(TRIALS, self._rows, columns=[*_ACCURACIES, "seconds"])
        lengths = curves.groupby("trial_id", sort=False).size()
        counts = self._rows["trial_id"].map(lengths).fillna(0).astype(int)
        starts = [0, *np.cumsum(counts.to_numpy()).tolist()]
        columns = {name: curves[name].to_numpy(dtype=float) for name in (*_ACCURACIES, "seconds")}
        return columns, starts


def _means(values: Sequence[tuple[float | None, ...]]) -> tuple[Any, ...]:
    """Return the mean of each place, None where any has none."""
    if len(values) == 1:
        return values[0]
    return tuple(
        None if None in column else sum(column) / len(column)
        for column in zip(*values, strict=True)
    )

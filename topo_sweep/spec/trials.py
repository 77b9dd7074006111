"""From a sweep to what it trains and searches, under which ids. No torch, no image is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import overload

from nas_core.cells.genotype import Genotype
from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import DataOptions, Protocol, stable_hash
from topo_sweep.spec.load import SweepSpec
from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
from topo_sweep.spec.searches import SearchSweep


@dataclass(frozen=True)
class Trial:
    """One training: a network, a protocol, a choice of data and a seed.

    `search_id` names the search that found the network, if one did; then the id depends on it
    instead of on what it found.
    """

    genotype: Genotype
    protocol: Protocol
    data: DataOptions
    seed: int
    search_id: str | None = None

    @cached_property
    def trial_id(self) -> str:
        """Sixteen hexadecimal digits that name exactly these, on any platform."""
        if self.search_id is not None:
            return evaluation_id(self.search_id, self.protocol, self.seed)
        return stable_hash(
            "trial",
            str(self.genotype),
            self.protocol.canonical(),
            self.data.canonical(),
            str(self.seed),
        )

    @property
    def epochs(self) -> int:
        """Epochs of this training."""
        return self.protocol.epochs


@dataclass(frozen=True)
class SearchTrial:
    """One search: a method's settings, a choice of data and a seed."""

    method: str
    space: str
    protocol: SearchProtocol
    data: DataOptions
    seed: int

    @cached_property
    def search_id(self) -> str:
        """Sixteen hexadecimal digits that name settings, data and seed, on any platform."""
        return stable_hash(
            "search", self.protocol.canonical(), self.data.canonical(), str(self.seed)
        )

    @property
    def trial_id(self) -> str:
        """The id under which it runs: its `search_id`."""
        return self.search_id

    @property
    def epochs(self) -> int:
        """Epochs of all stages of this search."""
        return self.protocol.total_epochs


@dataclass(frozen=True)
class Evaluation:
    """A training that waits for a search: its network is not known yet."""

    search: SearchTrial
    protocol: Protocol
    seed: int

    @cached_property
    def trial_id(self) -> str:
        """The id of the training, known beforehand."""
        return evaluation_id(self.search.search_id, self.protocol, self.seed)

    @property
    def epochs(self) -> int:
        """Epochs of this training."""
        return self.protocol.epochs

    def of(self, genotype: Genotype) -> Trial:
        """Return the training of what the search found."""
        search = self.search
        return Trial(genotype, self.protocol, search.data, self.seed, search.search_id)


Runnable = Trial | SearchTrial
Planned = Runnable | Evaluation


def evaluation_id(search_id: str, protocol: Protocol, seed: int) -> str:
    """Return the id of the training of what a search found, whatever it found."""
    return stable_hash("evaluation", search_id, protocol.canonical(), str(seed))


@overload
def expand(spec: TopologySweep | GenotypeSweep) -> dict[str, Trial]: ...
@overload
def expand(spec: SweepSpec) -> Mapping[str, Planned]: ...
def expand(spec: SweepSpec) -> Mapping[str, Planned]:
    """Return what a sweep trains and searches by id, in the order in which it runs.

    Seeds are the outer loop: a sweep that is stopped early has few seeds of every network
    rather than many of a few.
    """
    if isinstance(spec, SearchSweep):
        return _searches(spec)
    genotypes = spec.genotype_list()
    trials = (
        Trial(genotype, spec.protocol, spec.data, seed)
        for seed in spec.seeds
        for genotype in genotypes
    )
    return {trial.trial_id: trial for trial in trials}


def expand_all(specs: Iterable[SweepSpec]) -> dict[str, Planned]:
    """Return the union of the trials of several requests."""
    return {key: trial for spec in specs for key, trial in expand(spec).items()}


def without_void(
    planned: Mapping[str, Planned], ended: Mapping[str, Genotype | None]
) -> dict[str, Planned]:
    """Leave out the evaluations of searches that ended (diverged) without finding a cell.

    Args:
        planned: trials by id.
        ended: what each search that has ended found, by search id.

    """

    def is_void(trial: Planned) -> bool:
        return isinstance(trial, Evaluation) and ended.get(trial.search.search_id, trial) is None

    return {trial_id: trial for trial_id, trial in planned.items() if not is_void(trial)}


def _searches(spec: SearchSweep) -> dict[str, Planned]:
    """Return each search, followed by the evaluations of what it will find."""
    planned: dict[str, Planned] = {}
    for entry in spec.entries():
        search = SearchTrial(entry.method, entry.space, entry.protocol, spec.data, entry.seed)
        planned[search.search_id] = search
        for seed in spec.evaluation_seeds:
            evaluation = Evaluation(search, spec.protocol, seed)
            planned[evaluation.trial_id] = evaluation
    return planned

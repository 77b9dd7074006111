"""What a sweep trains and searches, under which ids. No torch, no image is read.

Each kind of trial names its table in the store and what it waits for, so that what plans, runs and
records trials treats them alike. Sweeps make them, see `networks.py` and `searches.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from nas_core.cells.genotype import Genotype, known_name
from nas_core.cells.sampling import random_genotypes
from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import (
    DataOptions,
    NetworkTraining,
    Protocol,
    stable_hash,
    stable_hashes,
)


class Work:
    """What all kinds of trials have in common."""

    table: ClassVar[str] = "trials"
    """Where its row goes."""
    finds_cell: ClassVar[bool] = False
    """Whether its result is a network, which evaluations may wait for."""

    protocol: NetworkTraining

    @property
    def epochs(self) -> int:
        """Epochs from its start to its end, those of all stages together."""
        return self.protocol.total_epochs

    @property
    def workload(self) -> str:
        """A name for all work whose epochs take equally long: same table, same settings."""
        return f"{self.table} {self.protocol.protocol_hash}"


@dataclass(frozen=True)
class Trial(Work):
    """One training: a network, a protocol, a choice of data and a seed.

    `search_id` names the search that found the network, if one did; then the id depends on it
    instead of on what it found.
    """

    waits_for: ClassVar[None] = None

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
        key = _training_key(str(self.genotype), self.protocol.canonical(), self.data.canonical())
        return stable_hash(*key, str(self.seed))

    @property
    def name(self) -> str:
        """What people call it: 'topology 17', a known cell's name, or its wiring."""
        return network_name(self.genotype)

    def identity(self) -> dict[str, Any]:
        """Return the columns of its row that are known before it runs."""
        topology = self.genotype.topology
        return {
            "trial_id": self.trial_id,
            "genotype": str(self.genotype),
            "topology": topology.index if topology else None,
            "class_id": topology.class_id if topology else None,
            "reduction_topology": self.genotype.reduction.topology.index,
            "search_id": self.search_id,
            **_setting(self),
        }


@dataclass(frozen=True)
class SearchTrial(Work):
    """One search: a method's settings, a choice of data and a seed.

    `one_hot_cells` random cells are measured with its shared weights at its end; they change
    nothing that it finds, so its id does not depend on them.
    """

    table: ClassVar[str] = "searches"
    finds_cell: ClassVar[bool] = True
    waits_for: ClassVar[None] = None

    method: str
    space: str
    protocol: SearchProtocol
    data: DataOptions
    seed: int
    one_hot_cells: int = 0

    @property
    def one_hot_genotypes(self) -> tuple[Genotype, ...]:
        """The random cells of its space and wiring, the same for all seeds.

        Raises:
            InputError: there are not so many.

        """
        if not self.one_hot_cells:
            return ()
        along = self.protocol.topologies
        return random_genotypes(
            self.protocol.operations, self.one_hot_cells, seed=0, topology=along
        )

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
    def name(self) -> str:
        """What people call it: method, space and depth."""
        return f"{self.method} in {self.space} with {self.protocol.cells} cells"

    def identity(self) -> dict[str, Any]:
        """Return the columns of its row that are known before it runs."""
        normal, reduction = self.protocol.topology or (None, None)
        return {
            "search_id": self.search_id,
            "method": self.method,
            "space": self.space,
            "operations": ",".join(self.protocol.operations),
            "cells": self.protocol.cells,
            "topology": normal,
            "reduction_topology": reduction,
            "attention": self.protocol.attention,
            **_setting(self),
        }


@dataclass(frozen=True)
class Evaluation(Work):
    """A training that waits for a search: its network is not known yet."""

    search: SearchTrial
    protocol: Protocol
    seed: int

    @cached_property
    def trial_id(self) -> str:
        """The id of the training, known beforehand."""
        return evaluation_id(self.waits_for, self.protocol, self.seed)

    @property
    def waits_for(self) -> str:
        """The id of the search that has to end first."""
        return self.search.search_id

    @property
    def name(self) -> str:
        """What people call it, after its search."""
        return f"what {self.search.name}, seed {self.search.seed}, finds"

    def of(self, genotype: Genotype) -> Trial:
        """Return the training of what the search found."""
        return Trial(genotype, self.protocol, self.search.data, self.seed, self.waits_for)


def trainings(
    genotypes: Iterable[Genotype], protocol: Protocol, data: DataOptions, seeds: Sequence[int]
) -> dict[str, Trial]:
    """Return the training of each network with each seed by id; seeds are the outer loop.

    Ids are those of `Trial.trial_id`: what the seeds of a network share is hashed once.
    """
    settings = protocol.canonical(), data.canonical()
    last = [str(seed) for seed in seeds]
    ids = [(cell, stable_hashes(_training_key(str(cell), *settings), last)) for cell in genotypes]
    planned = {}
    for number, seed in enumerate(seeds):
        for genotype, of_seeds in ids:
            trial = Trial(genotype, protocol, data, seed)
            # What the property keeps when it is first read; the instance is frozen.
            vars(trial)["trial_id"] = of_seeds[number]
            planned[of_seeds[number]] = trial
    return planned


def _training_key(genotype: str, protocol: str, data: str) -> tuple[str, ...]:
    """Return what is hashed of a training before its seed."""
    return "trial", genotype, protocol, data


Runnable = Trial | SearchTrial
Planned = Runnable | Evaluation


def network_name(genotype: Genotype) -> str:
    """Return what people call a network: 'topology 17', a known cell's name, or its wiring."""
    if genotype.topology is not None:
        return f"topology {genotype.topology.index}"
    wiring = genotype.normal.topology.index
    return known_name(genotype) or f"genotype on wiring {wiring}"


def searches_among(trials: Iterable[Planned]) -> list[SearchTrial]:
    """Return those that are searches."""
    return [trial for trial in trials if isinstance(trial, SearchTrial)]


def evaluation_id(search_id: str, protocol: Protocol, seed: int) -> str:
    """Return the id of the training of what a search found, whatever it found."""
    return stable_hash("evaluation", search_id, protocol.canonical(), str(seed))


def without_void(
    planned: Mapping[str, Planned], ended: Mapping[str, Genotype | None]
) -> dict[str, Planned]:
    """Leave out the evaluations of searches that ended (diverged) without finding a cell.

    Args:
        planned: trials by id.
        ended: what each search that has ended found, by search id.

    """
    nothing_found = {search_id for search_id, genotype in ended.items() if genotype is None}
    return {key: trial for key, trial in planned.items() if trial.waits_for not in nothing_found}


def _setting(trial: Runnable) -> dict[str, Any]:
    """Return the columns that trainings and searches share."""
    return {
        "seed": trial.seed,
        "protocol_hash": trial.protocol.protocol_hash,
        "dataset": trial.data.dataset,
        "holdout": trial.data.holdout,
        "train_limit": trial.data.train_limit,
    }

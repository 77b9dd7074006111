"""`kind: search`: a grid of searches, and how what they find is evaluated. No torch."""

from __future__ import annotations

import itertools
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from nas_core.cells.genotype import Genotype
from nas_core.cells.spaces import SPACES, space_name
from nas_core.errors import nearest
from nas_core.protocols.search import SEARCH_PRESETS, SearchProtocol, check_topology_given
from topo_sweep.spec.int_sets import format_int_set, members
from topo_sweep.spec.networks import AS_TEXT, Population, Sweep
from topo_sweep.spec.presets import preset_difference, value_text
from topo_sweep.spec.random_cells import (
    MOST_CELLS,
    RANDOM,
    Space,
    checked_space,
    drawn,
    operations_of,
)
from topo_sweep.spec.trials import Evaluation, Planned, SearchTrial, Trial, trainings

_IN_COLUMNS = ("operations", "cells", "attention")
"""Settings that a row of a search holds, so that one store may hold several of each."""


def _listed(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _methods(value: object) -> object:
    if not value:
        raise ValueError("list searches, as in methods: [search_edarts]")
    return _listed(value)


def _spaces(value: object) -> object:
    """Turn the one form that people write for one space into a list of them."""
    spaces = _listed(value)
    if not isinstance(spaces, tuple):
        return spaces
    return tuple(tuple(space) if isinstance(space, list) else space for space in spaces)


def _depths(value: object) -> object:
    return None if value is None else members(value, 100)


def _evaluation_seeds(value: object) -> tuple[int, ...]:
    return () if value in ("", [], ()) else members(value, None)


class SearchSweep(Sweep):
    """Searches by each method in each space at each depth, for each seed of `seeds`.

    What a search finds is trained by `protocol`, once for each of `evaluation_seeds`; with none
    of them, cells are found and not evaluated.
    """

    kind: Literal["search"] = "search"
    presets: dict[str, SearchProtocol] = Field(default_factory=dict)
    """What each method's name stands for; a store keeps it, so that later changes of a preset
    change nothing of what was asked. Methods that are not here are those of this version."""
    methods: Annotated[tuple[str, ...], BeforeValidator(_methods)]
    spaces: Annotated[
        tuple[Annotated[Space, BeforeValidator(checked_space)], ...] | None,
        BeforeValidator(_spaces),
    ] = None
    """Names SS1 to SS8 or all, or lists of operations; None leaves each method its own."""
    pooling: Literal["max", "avg"] = "max"
    """The pooling of the sub-spaces SS1 to SS8; the paper does not give it."""
    cells: Annotated[tuple[int, ...] | None, BeforeValidator(_depths)] = None
    """Depths of the search network; None leaves each method its own."""
    attention: Annotated[
        tuple[Literal["none", "once", "per_update"], ...] | None, BeforeValidator(_listed)
    ] = None
    """Kinds of operation attention; None leaves each method its own."""
    search: dict[str, Any] = Field(default_factory=dict)
    """Settings that replace those of every method, such as `epochs` or `topology`."""
    one_hot_cells: int = Field(default=0, ge=0, le=10_000)
    """Random cells of each space that are measured with the shared weights of each search, at its
    end, to compare with what they reach when trained alone."""
    evaluation_seeds: Annotated[tuple[int, ...], BeforeValidator(_evaluation_seeds), AS_TEXT] = (0,)
    random_cells: int = Field(default=0, ge=0, le=MOST_CELLS)
    """Random cells of each space, along its fixed wiring if it has one, that are trained as the
    found cells are: without them nobody knows whether a search does better than chance."""

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse a method that neither this version nor the sweep itself explains."""
        for name in methods:
            if name not in {**SEARCH_PRESETS, **info.data.get("presets", {})}:
                near = nearest(name, SEARCH_PRESETS, most=2) or ", ".join(SEARCH_PRESETS)
                raise ValueError(f"unknown method {name!r}: write {near}")
        return methods

    @model_validator(mode="after")
    def _searchable(self) -> Self:
        """Refuse a grid of which any point is impossible, or that sets one thing twice."""
        axes = {"operations": self.spaces, "cells": self.cells, "attention": self.attention}
        for name, axis in axes.items():
            if axis is not None and name in self.search:
                key = "spaces" if name == "operations" else name
                raise ValueError(
                    f"search.{name} = {self.search[name]!r} and {key} both set the {name}: "
                    f"give one of them, as in {key}: [...] in a file of your own"
                )
        for search in self._grid(self.seeds[:1]):
            check_topology_given(search.method, search.protocol)
            if self.one_hot_cells and search.protocol.stages:
                raise ValueError(
                    f"one_hot_cells = {self.one_hot_cells}, and {search.method} searches in "
                    "stages, whose last weights are those of few operations: leave one of them out"
                )
            _ = search.one_hot_genotypes
        if self.random_cells and not self.evaluation_seeds:
            raise ValueError(
                f"random_cells = {self.random_cells} and evaluation_seeds = []: random cells are "
                "trained with the evaluation seeds, so give some, or leave random_cells out"
            )
        self.populations()
        return self

    @property
    def trains_cells(self) -> bool:
        """Whether anything is trained by `protocol`."""
        return bool(self.evaluation_seeds)

    @property
    def trial_count(self) -> int:
        """Number of searches, evaluations and trainings of random cells."""
        seeds = len(self.evaluation_seeds)
        return self._search_count * (1 + seeds) + len(self._random_genotypes()) * seeds

    def described(self) -> str:
        """Return how many searches by which methods, and the seeds of their evaluations."""
        count = self._search_count
        searches = f"{count} search{'' if count == 1 else 'es'} by {', '.join(self.methods)}"
        seeds = f"evaluation seeds {format_int_set(self.evaluation_seeds) or 'none'}"
        cells = len(self._random_genotypes())
        return ", ".join([searches, seeds, *([f"{cells} random cells"] if cells else [])])

    def search_words(self) -> str:
        """Return spaces, depths and attention, and what differs from this version's presets."""
        searches = self._searches(self.seeds[:1])
        spaces = dict.fromkeys(search.space for search in searches)
        depths = sorted({search.protocol.cells for search in searches})
        in_spaces = "SS1 to SS8" if set(spaces) == set(SPACES) else ", ".join(spaces)
        words = [
            "all operations" if in_spaces == "all" else in_spaces,
            f"{' and '.join(map(str, depths))} cells",
        ]
        changed: dict[str, set[str]] = {}
        for search in searches:
            usual = SEARCH_PRESETS.get(search.method, SearchProtocol())
            differs = preset_difference(usual, search.protocol).different
            settings = {name: value for name, (_, value) in differs.items()}
            if "attention" in settings or search.protocol.attention != "none":
                settings = {"attention": search.protocol.attention} | settings
            for name, value in settings.items():
                if name not in ("operations", "cells"):
                    changed.setdefault(name, set()).add(value_text(value))
        words += [f"{name} {' and '.join(sorted(values))}" for name, values in changed.items()]
        return ", ".join(words)

    def trials(self) -> dict[str, Planned]:
        """Return each search by id, followed by the evaluations of what it will find.

        Random cells come last.
        """
        planned: dict[str, Planned] = {}
        for search in self.searches():
            planned[search.trial_id] = search
            for seed in self.evaluation_seeds:
                evaluation = Evaluation(search, self.protocol, seed)
                planned[evaluation.trial_id] = evaluation
        random = self._random_genotypes()
        return planned | trainings(random, self.protocol, self.data, self.evaluation_seeds)

    def populations(self) -> dict[Population, tuple[Genotype, ...]]:
        """Return the random cells by what they were drawn from: each space and fixed wiring."""
        if not self.random_cells:
            return {}
        grid = self._grid(self.seeds[:1])
        return {
            population: drawn(*population, self.random_cells)
            for population in dict.fromkeys(
                (search.protocol.operations, search.protocol.topology) for search in grid
            )
        }

    def kind_of(self, trial: Planned) -> str:
        """Return the kind of a trial's row; a training that no search came before is random."""
        is_random = isinstance(trial, Trial) and trial.search_id is None
        return RANDOM if is_random else self.kind

    @property
    def store_key(self) -> str:
        """Settings of the searches that differ from their presets and that no column tells apart.

        However they were written: the same search never has two folders. Of `alpha_at` not the
        preset counts, which once was another, but whether any search has another than `last`.
        """
        resolved = self._grid(self.seeds[:1])[0].protocol.model_dump(mode="json")
        presets = [self._base(name).model_dump(mode="json") for name in self.methods]
        changed = {
            name: resolved[name]
            for name in self.search
            if name not in (*_IN_COLUMNS, "alpha_at")
            and any(preset[name] != resolved[name] for preset in presets)
        }
        looks_ahead = {search.protocol.alpha_at for search in self._grid(self.seeds[:1])}
        if others := looks_ahead - {"last"}:
            changed["alpha_at"] = min(others)
        return json.dumps(changed, sort_keys=True) if changed else ""

    def to_json_value(self) -> dict[str, Any]:
        """Return plain JSON that is read back the same, whatever becomes of the presets."""
        presets = {name: self._base(name) for name in self.methods}
        value = super(SearchSweep, self.model_copy(update={"presets": presets})).to_json_value()
        for name in ("random_cells", "one_hot_cells"):
            if not value[name]:
                del value[name]  # so that older stores hold the same request
        return value

    def searches(self) -> list[SearchTrial]:
        """Return the grid; seeds are the outer loop, each search comes once."""
        return self._searches(self.seeds)

    def _random_genotypes(self) -> list[Genotype]:
        """Return the cells of all populations, each once: small spaces overlap."""
        return list(dict.fromkeys(cell for cells in self.populations().values() for cell in cells))

    @property
    def _search_count(self) -> int:
        """Number of searches, which is the same for each seed."""
        return len(self._searches(self.seeds[:1])) * len(self.seeds)

    def _searches(self, seeds: tuple[int, ...]) -> list[SearchTrial]:
        # Methods may differ in name alone.
        unique: dict[str, SearchTrial] = {}
        for search in self._grid(seeds):
            unique.setdefault(search.search_id, search)
        return list(unique.values())

    def _grid(self, seeds: tuple[int, ...]) -> list[SearchTrial]:
        axes = (self.spaces or (None,), self.cells or (None,), self.attention or (None,))
        grid = []
        for seed, method, space, cells, attention in itertools.product(seeds, self.methods, *axes):
            operations = None if space is None else operations_of(space, self.pooling)
            axis = {"operations": operations, "cells": cells, "attention": attention}
            changes = self.search | {name: v for name, v in axis.items() if v is not None}
            protocol = self._base(method).with_values(changes)
            name = space_name(protocol.operations)
            grid.append(SearchTrial(method, name, protocol, self.data, seed, self.one_hot_cells))
        return grid

    def _base(self, method: str) -> SearchProtocol:
        return self.presets.get(method) or SEARCH_PRESETS[method]

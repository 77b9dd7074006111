"""What a sweep is: YAML and options in, a frozen and fully resolved `SweepSpec` out.

How YAML is read is in `strict_yaml.py`, what is trained for a spec in `trials.py`. No torch.
"""

from __future__ import annotations

import importlib.resources
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from nas_core.errors import InputError, nearest
from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
from topo_sweep.spec.random_cells import RANDOM, RandomSweep
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.spec.strict_yaml import Draft, one_line, parse_scalar, read_yaml, shown_value

SweepSpec = TopologySweep | GenotypeSweep | RandomSweep | SearchSweep

_KINDS: Final[Mapping[str, type[SweepSpec]]] = {
    "topologies": TopologySweep,
    "genotypes": GenotypeSweep,
    RANDOM: RandomSweep,
    "search": SearchSweep,
}
_ADVICE: Final[Mapping[str, str]] = {
    "kind": "write kind: topologies, kind: genotypes, kind: random or kind: search",
    "methods": "list searches, as in methods: [search_edarts] (see topo-sweep protocol show)",
    "topologies": "give --topologies 0-3,17, or write topologies: all in the file",
    "count": "write how many random cells, as in count: 20",
    "space": "write SS1 to SS8, all, or a list of operations, as in space: all",
    "genotypes": "list known or written cells, as in genotypes: [DARTS_V1, DARTS_V2]",
}


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Options of the command line that replace values of a file; None leaves them alone.

    `protocol` holds the texts of `--set key=value`, which are read as values in a file are; keys
    that begin with `search.` set searches, all others the training of cells. `search` holds
    settings of searches as values; of random cells, `topology` alone. `random_cells` is how many
    of them there are, in a sweep of them or beside searches. `adaptive` holds settings of an
    adaptive sweep.
    """

    dataset: str | None = None
    holdout: int | None = None
    train_limit: int | None = None
    topologies: str | None = None
    seeds: str | None = None
    epochs: int | None = None
    random_cells: int | None = None
    protocol: Mapping[str, str] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    adaptive: Mapping[str, Any] = field(default_factory=dict)
    origin: str | None = None


_NO_OVERRIDES: Final = Overrides()
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: ("data", name) for name in DataOptions.model_fields},
    "topologies": ("topologies",),
    "seeds": ("seeds",),
    "epochs": ("protocol", "epochs"),
    "origin": ("origin",),
}
_SEARCH: Final = "search."
_ADAPTIVE_OPTIONS: Final[Mapping[str, str]] = {
    "top": "adaptive top=",
    "confidence": "confidence ",
    "delta_points": "delta ",
    "batch": "batch ",
}
FOUND: Final = "found:"
"""Marks a genotype of a list as what a sweep of searches found, as in found:edarts."""


def shipped_names() -> list[str]:
    """Return the names of the sweeps that are installed with the package."""
    names = (file.name for file in importlib.resources.files("topo_sweep.sweeps").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_spec(
    source: str,
    overrides: Overrides = _NO_OVERRIDES,
    *,
    best_cell: Callable[[str, str], str] | None = None,
) -> SweepSpec:
    """Read a sweep and apply what the command line says; no image is read and no torch imported.

    Args:
        source: a YAML file, or the name of a shipped sweep. A file of that very name in the
            working folder does not hide it: write ./demo for the file.
        overrides: what replaces the file's values.
        best_cell: gives the genotype that the named sweep of searches found for a data set, for
            entries like found:edarts of a list of genotypes.

    Raises:
        InputError: no such sweep, or everything that is wrong with it, in one line.

    >>> from topo_sweep.spec.load import Overrides
    >>> spec = load_spec("demo", Overrides(topologies="0-3,17", seeds="0-1", epochs=2))
    >>> spec.trial_count, spec.protocol.epochs, spec.data.dataset
    (10, 2, 'digits')

    """
    file, displayed = _located(source)
    draft = _draft(displayed, read_yaml(file, displayed))
    if "name" not in draft.values:
        stem = Path(file.name).stem
        label = f"{displayed}: name is missing, and the file's, {shown_value(stem)}, cannot be it"
        draft.give(("name",), stem, label)
    _override(draft, overrides)
    listed = draft.values.get("genotypes")
    if best_cell is not None and isinstance(listed, list):
        dataset = str(draft.values["data"].get("dataset", DataOptions().dataset))
        draft.values["genotypes"] = [
            best_cell(entry.removeprefix(FOUND), dataset)
            if isinstance(entry, str) and entry.startswith(FOUND)
            else entry
            for entry in listed
        ]
    return _resolved(draft)


def make_spec(values: Mapping[str, Any], overrides: Overrides = _NO_OVERRIDES) -> SweepSpec:
    """Return the sweep with these values, as a file would hold them.

    Raises:
        InputError: everything that is wrong with it, in one line.

    """
    draft = _draft(str(values.get("name", "sweep")), dict(values))
    _override(draft, overrides)
    return _resolved(draft)


def spec_from_json_value(value: Mapping[str, Any]) -> SweepSpec:
    """Return the sweep that `to_json_value` described.

    Raises:
        InputError: everything that is wrong with it, in one line.

    """
    values = dict(value)
    if values.get("kind") == "search" and not values.get("presets"):
        # Older stores hold no presets; those of then had their alpha steps at the end of an epoch.
        listed = values.get("methods")
        values["presets"] = {
            name: preset.with_values({"alpha_at": "last"}).model_dump(mode="json")
            for name, preset in SEARCH_PRESETS.items()
            if isinstance(listed, list | tuple) and name in listed
        }
    return _resolved(_draft("sweep.json", values))


def _located(source: str) -> tuple[Traversable, str]:
    """Return the file and its name for messages."""
    names = shipped_names()
    if "/" not in source and not source.lower().endswith((".yaml", ".yml")):
        if source in names:
            folder = importlib.resources.files("topo_sweep.sweeps")
            return folder / f"{source}.yaml", f"{source}.yaml (shipped)"
        if not os.path.exists(source):  # noqa: PTH110 - Path's raises if the name is too long
            meant = f" (did you mean {near}?)" if (near := nearest(source, names)) else ""
            raise InputError(
                f"{shown_value(source)} is neither a file nor a shipped sweep{meant}: "
                f"shipped are {', '.join(names)}"
            )
    return Path(source), source if source.isprintable() else shown_value(source)


def _draft(file: str, values: dict[str, Any]) -> Draft:
    """Return the draft of a sweep, with both sections in the form of a mapping."""
    draft = Draft(file, values, _ADVICE)
    if isinstance(preset := values.get("protocol"), str):
        values["protocol"] = {"preset": preset}
    for name, allowed in (
        ("protocol", "write a preset's name, or keys as in {preset: shallow, epochs: 100}"),
        ("data", "write keys, as in {dataset: cifar10, holdout: 0}"),
        ("search", "write settings of every search, as in {epochs: 50, topology: 17}"),
        ("adaptive", "write how many of the best are wanted, as in {top: 20}"),
    ):
        if name in ("search", "adaptive") and name not in values:
            continue
        section = values.get(name, {})
        if not isinstance(section, Mapping):
            draft.refuse((name,), section, allowed)
            section = {}
        values[name] = dict(section)
    return draft


def _override(draft: Draft, overrides: Overrides) -> None:
    is_random = draft.values.get("kind") == RANDOM
    places = {**_PLACES, "random_cells": ("count" if is_random else "random_cells",)}
    for name, key in places.items():
        if (option := getattr(overrides, name)) is not None:
            draft.give(key, option, f"--{name.replace('_', '-')} {_typed(str(option))}")
    for name, text in overrides.protocol.items():
        label = f"--set {_typed(f'{name}={text}')}"
        try:
            value = parse_scalar(text, label)
        except InputError as error:
            draft.problems.append(str(error))
            continue
        if name == "preset":
            draft.problems.append(f"{label}: a preset is chosen in the file, set single keys")
        elif name.startswith(_SEARCH):
            _give_search(draft, name.removeprefix(_SEARCH), value, label)
        elif name == "epochs" and overrides.epochs not in (None, value):
            draft.problems.append(f"--epochs {overrides.epochs} and {label} differ: give one")
        else:
            draft.give(("protocol", name), value, label)
    for name, value in overrides.search.items():
        option = f"--{name} " if name == "topology" else f"--set {_SEARCH}{name}="
        label = f"{option}{_typed(str(value))}"
        if is_random and name == "topology":
            draft.give((name,), value, label)
        else:
            _give_search(draft, name, value, label)
    _give_adaptive(draft, overrides.adaptive)


def _give_adaptive(draft: Draft, settings: Mapping[str, Any]) -> None:
    """Set how classes race; an option alone asks for no race."""
    for name, value in settings.items():
        label = f"--{_ADAPTIVE_OPTIONS[name]}{_typed(str(value))}"
        if "adaptive" not in draft.values:
            if "top" not in settings:
                draft.problems.append(f"{label}: this is no adaptive sweep: add --adaptive top=20")
                continue
            draft.values["adaptive"] = {}
            draft.labels["adaptive",] = label
        draft.give(("adaptive", name), value, label)


def _give_search(draft: Draft, name: str, value: object, label: str) -> None:
    if "search" not in draft.values:
        draft.values["search"] = {}
        draft.labels["search",] = label  # the file has no such section to be blamed
    draft.give(("search", name), value, label)


def _typed(text: str) -> str:
    """Return an argument as it was typed, in one line."""
    return shlex.quote(text) if text.isprintable() else repr(text)


def _resolved(draft: Draft) -> SweepSpec:
    values = draft.values
    model = _model(draft)
    values["protocol"] = _protocol(draft)
    values["data"] = draft.checked(DataOptions, values["data"], "data") or DataOptions()
    spec = draft.checked(model, values)
    if spec is None or draft.problems:
        raise InputError(one_line(draft.problems))
    return spec.racing() if isinstance(spec, TopologySweep) else spec


def _model(draft: Draft) -> type[SweepSpec]:
    """Return the model of the draft's kind; note keys that belong to another kind alone."""
    kind = draft.values.get("kind")
    if kind not in list(_KINDS):
        if "kind" in draft.values:
            draft.refuse(("kind",), kind, f"write {' or '.join(_KINDS)}")
        else:
            draft.miss(("kind",))
        # A guess, so that the other keys are checked as well.
        guess = "genotypes" if "genotypes" in draft.values else "topologies"
        kind = nearest(kind, _KINDS, most=1) or guess
        draft.values["kind"] = kind
    model = _KINDS[kind]
    for other_kind, other in _KINDS.items():
        foreign = set(other.model_fields) - set(model.model_fields)
        for name in [name for name in draft.values if name in foreign]:
            value = draft.values.pop(name)
            draft.refuse((name,), value, f"belongs to kind: {other_kind}, this is kind: {kind}")
    return model


def _protocol(draft: Draft) -> Protocol:
    values, base = dict(draft.values["protocol"]), Protocol()
    if "preset" in values:
        preset = values.pop("preset")
        if preset in list(PRESETS):
            base = PRESETS[preset]
        else:
            draft.refuse(("protocol", "preset"), preset, f"write {' or '.join(sorted(PRESETS))}")
    merged = base.model_dump() | values
    return draft.checked(Protocol, merged, "protocol", also=frozenset({"preset"})) or base

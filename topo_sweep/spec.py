"""Sweeps as people write them: strict YAML plus command-line overrides -> `SweepSpec`.

What a sweep expands to is in `trials.py`; how YAML is read in `yaml_file.py`.
"""

from __future__ import annotations

import difflib
import importlib.resources
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from nas_core.errors import InputError
from nas_core.genotype import OPERATION_NAMES, CellEdges, Genotype
from nas_core.protocol import PRESETS, DataOptions, Protocol, problem, problems
from nas_core.topology import Topology, isomorphism_classes, topology_count
from topo_sweep.yaml_file import read_mapping, read_scalar

_LAST_TOPOLOGY: Final = topology_count() - 1
_MOST_MEMBERS: Final = 1_000_000
_LARGEST_SEED: Final = 2**63 - 1


def parse_int_set(text: str, *, what: str, maximum: int | None = None) -> tuple[int, ...]:
    """Return the sorted members of a set like '0-3,17'.

    Args:
        text: numbers and ranges, separated by commas.
        what: what the numbers are, for messages.
        maximum: the largest allowed number.

    Raises:
        InputError: names the text and the form or range that is allowed.

    """
    largest = _LARGEST_SEED if maximum is None else maximum
    members: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,19})(?:\s*-\s*(\d{1,19}))?\s*", part, re.ASCII)
        if not match:
            raise InputError(f"{what} {text!r}: {part.strip()!r} is no number or range like 0-3,17")
        first = int(match[1])
        last = int(match[2] or first)
        if last < first:
            raise InputError(f"{what} {text!r}: write {last}-{first} instead of {first}-{last}")
        if last > largest:
            raise InputError(f"{what} {text!r}: {last} is too large, the last one is {largest}")
        if len(members) + last - first >= _MOST_MEMBERS:
            raise InputError(f"{what} {text!r} has more than {_MOST_MEMBERS:,} members")
        members.update(range(first, last + 1))
    return tuple(sorted(members))


def format_int_set(members: Iterable[int]) -> str:
    """Return the shortest text that `parse_int_set` reads as these members."""
    ordered = sorted(set(members))
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(ordered), 1) if b != a + 1), len(ordered)]
    runs = [ordered[start:stop] for start, stop in pairwise(starts) if start != stop]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _int_set(value: Any, *, what: str, maximum: int | None = None) -> tuple[int, ...]:  # noqa: ANN401
    """Read a number, a text like '0-3,17' or a list of numbers."""
    items = value if isinstance(value, list | tuple) else [value]
    if not items or any(type(item) not in (int, str) for item in items):
        raise ValueError(f"{what} are a number, a text like '0-3,17' or a list of numbers")
    try:
        return parse_int_set(",".join(str(i) for i in items), what=what, maximum=maximum)
    except InputError as error:
        raise ValueError(str(error)) from None


def _topology_set(value: Any) -> tuple[int, ...]:  # noqa: ANN401 - whatever YAML holds
    if value == "all":
        return tuple(range(_LAST_TOPOLOGY + 1))
    if value == "classes":
        return tuple(members[0].index for members in isomorphism_classes())
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z]+", value):
        raise ValueError("topologies are 'all', 'classes', a text like '0-3,17' or a list")
    return _int_set(value, what="topologies", maximum=_LAST_TOPOLOGY)


def _seed_set(value: Any) -> tuple[int, ...]:  # noqa: ANN401 - whatever YAML holds
    return _int_set(value, what="seeds")


def _genotype_set(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever YAML holds
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not items or any(type(i) is not str for i in items):
        raise ValueError("genotypes are a list of names or of written cells")
    try:
        return tuple(dict.fromkeys(str(Genotype.parse(item)) for item in items))
    except InputError as error:
        raise ValueError(str(error)) from None


def _protocol(value: Any) -> Any:  # noqa: ANN401 - a preset's name or a mapping
    """Put a preset under the overrides; what is left is validated by `Protocol`."""
    values = {"preset": value} if isinstance(value, str) else value
    if not isinstance(values, Mapping) or "preset" not in values:
        return values
    preset = values["preset"]
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}: use {' or '.join(PRESETS)}")
    rest = {key: item for key, item in values.items() if key != "preset"}
    return PRESETS[preset].model_dump() | rest


_IntSet = PlainSerializer(format_int_set, return_type=str)
Topologies = Annotated[tuple[int, ...], BeforeValidator(_topology_set), _IntSet]
Seeds = Annotated[tuple[int, ...], BeforeValidator(_seed_set), _IntSet]
Genotypes = Annotated[tuple[str, ...], BeforeValidator(_genotype_set)]
AnyProtocol = Annotated[Protocol, BeforeValidator(_protocol)]
OperationName = Literal[OPERATION_NAMES]  # type: ignore[valid-type] # a constant tuple of names


class _Sweep(BaseModel):
    """What every sweep has."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")
    protocol: AnyProtocol = Protocol()
    data: DataOptions = DataOptions()
    seeds: Seeds = (0,)

    def to_json_value(self) -> dict[str, Any]:
        """Return plain data that `spec_from_json_value` reads."""
        return self.model_dump(mode="json")


class TopologySweep(_Sweep):
    """Cells with one operation each, over a set of normal wirings.

    `reduction_topology` is an index, or 'same' for the normal cell's wiring. The paper does not
    give the reduction wiring of its sweep; 0, where every node reads both inputs, is our choice.
    """

    kind: Literal["topologies"] = "topologies"
    topologies: Topologies
    normal_operation: OperationName = "sep_conv_3x3"
    reduction_operation: OperationName = "max_pool_3x3"
    reduction_topology: Annotated[int, Field(ge=0, le=_LAST_TOPOLOGY)] | Literal["same"] = 0

    def genotype_list(self) -> tuple[Genotype, ...]:
        """Return the networks in the order of their topology index."""
        return tuple(self._genotype(Topology.from_index(index)) for index in self.topologies)

    def _genotype(self, topology: Topology) -> Genotype:
        reduction = (
            topology
            if self.reduction_topology == "same"
            else Topology.from_index(self.reduction_topology)
        )
        return Genotype(
            CellEdges.uniform(topology, self.normal_operation),
            CellEdges.uniform(reduction, self.reduction_operation),
        )

    @property
    def trial_count(self) -> int:
        """Number of trainings."""
        return len(self.topologies) * len(self.seeds)


class GenotypeSweep(_Sweep):
    """A list of given cells; `genotypes` are canonical strings."""

    kind: Literal["genotypes"] = "genotypes"
    genotypes: Genotypes

    def genotype_list(self) -> tuple[Genotype, ...]:
        """Return the networks in the order in which they were given."""
        return tuple(Genotype.from_string(text) for text in self.genotypes)

    @property
    def trial_count(self) -> int:
        """Number of trainings."""
        return len(self.genotypes) * len(self.seeds)


SweepSpec = TopologySweep | GenotypeSweep
_KINDS: Final[Mapping[str, type[TopologySweep | GenotypeSweep]]] = {
    "topologies": TopologySweep,
    "genotypes": GenotypeSweep,
}


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the command line changes in a sweep; None changes nothing.

    `topologies` and `seeds` are texts like '0-3,17'; `protocol` holds the raw texts of
    `--set key=value`.
    """

    dataset: str | None = None
    holdout: int | None = None
    train_limit: int | None = None
    topologies: str | None = None
    seeds: str | None = None
    epochs: int | None = None
    protocol: Mapping[str, str] = field(default_factory=dict)


def load_spec(source: str, overrides: Overrides | None = None) -> SweepSpec:
    """Read a sweep and apply overrides.

    Args:
        source: a path (with a slash or a YAML suffix), or the name of a shipped sweep.
        overrides: from the command line.

    Raises:
        InputError: all that is wrong in one line: file or option, key, value, what is allowed.

    """
    is_path = "/" in source or source.endswith((".yaml", ".yml"))
    path = Path(source) if is_path else _shipped(source)
    where = source if is_path else f"shipped sweep {source}"
    values = read_mapping(path)
    kind = values.get("kind")
    if kind not in _KINDS:
        near = difflib.get_close_matches(str(kind), _KINDS, n=1)
        hint = f"kind = {kind!r}" if "kind" in values else "the key kind is missing"
        raise InputError(f"{where}: {hint}; use {' or '.join(near or _KINDS)}")
    values.setdefault("name", path.stem)
    wrong = _apply(values, overrides or Overrides())
    try:
        spec = _KINDS[str(kind)].model_validate(values)
    except ValidationError as error:
        wrong += [f"{where}: {problem}" for problem in _spec_problems(error, str(kind))]
    if wrong:
        raise InputError("; ".join(wrong))
    return spec


def spec_from_json_value(value: Mapping[str, Any]) -> SweepSpec:
    """Return the sweep that `to_json_value` gave."""
    return _KINDS[value["kind"]].model_validate(value)


def shipped_names() -> list[str]:
    """Return the names of the sweeps that are installed with the package."""
    folder = importlib.resources.files("topo_sweep.sweeps")
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml"))


def _shipped(name: str) -> Path:
    names = shipped_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(
            f"there is no shipped sweep {name!r}: {hint}use {', '.join(names)}, or a file's path "
            "such as ./mine.yaml"
        )
    return Path(str(importlib.resources.files("topo_sweep.sweeps") / f"{name}.yaml"))


def _apply(values: dict[str, Any], overrides: Overrides) -> list[str]:
    """Change the values in place; return what is wrong with the overrides."""
    wrong: list[str] = []
    data = {
        key: value
        for key in ("dataset", "holdout", "train_limit")
        if (value := getattr(overrides, key)) is not None
    }
    if data:
        values["data"] = _merged(values.get("data", {}), data, DataOptions, wrong, "--")
    protocol = {key: _scalar(key, text, wrong) for key, text in overrides.protocol.items()}
    if overrides.epochs is not None:
        if protocol.get("epochs", overrides.epochs) != overrides.epochs:
            wrong.append(
                f"--epochs {overrides.epochs} and --set epochs={protocol['epochs']} disagree"
            )
        protocol["epochs"] = overrides.epochs
    if protocol:
        values["protocol"] = _merged(
            _protocol(values.get("protocol", {})), protocol, Protocol, wrong, "--set "
        )
    for key, maximum in (("topologies", _LAST_TOPOLOGY), ("seeds", None)):
        text = getattr(overrides, key)
        if text is not None:
            values[key] = 0  # valid, so that a bad text is complained of once
            try:
                values[key] = parse_int_set(text, what=f"--{key}", maximum=maximum)
            except InputError as error:
                wrong.append(str(error))
    if values["kind"] == "genotypes" and values.pop("topologies", None) is not None:
        wrong.append("--topologies does not go with a sweep of genotypes")
    elif values["kind"] == "topologies" and "topologies" not in values:
        wrong.append("this sweep names no topologies: give them, such as --topologies 0-3,17")
        values["topologies"] = 0
    return wrong


def _scalar(key: str, text: str, wrong: list[str]) -> Any:  # noqa: ANN401 - any YAML scalar
    try:
        return read_scalar(text, f"--set {key}={text}")
    except InputError as error:
        wrong.append(str(error))
        return None


def _merged(
    base: Any,  # noqa: ANN401 - whatever YAML holds
    changes: Mapping[str, Any],
    model: type[Protocol | DataOptions],
    wrong: list[str],
    option: str,
) -> Any:  # noqa: ANN401 - the base with the changes that are good
    """Put valid changes over the base; say what is wrong with the others, by option."""
    try:
        model.model_validate(dict(changes))
    except ValidationError as error:
        wrong += [f"{option}{problem}" for problem in problems(error, model)]
        return base
    return {**base, **changes} if isinstance(base, Mapping) else base


def _spec_problems(error: ValidationError, kind: str) -> list[str]:
    """Return a sentence for each problem; valid keys are those of the part it stands in."""
    parts: dict[str, type[BaseModel]] = {"protocol": Protocol, "data": DataOptions}

    def part(place: tuple[int | str, ...]) -> type[BaseModel]:
        return parts.get(str(place[0]), _KINDS[kind]) if len(place) > 1 else _KINDS[kind]

    return [problem(detail, part(detail["loc"])) for detail in error.errors(include_url=False)]

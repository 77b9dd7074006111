"""What a sweep is: YAML and options in, a frozen and fully resolved `SweepSpec` out.

How YAML is read is in `yaml_file.py`, what is trained for a spec in `trials.py`. No torch.
"""

from __future__ import annotations

import difflib
import importlib.resources
import itertools
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from nas_core.errors import InputError
from nas_core.genotype import CellEdges, Edge, Genotype
from nas_core.protocol import PRESETS, DataOptions, Protocol
from nas_core.topology import Topology, isomorphism_classes, topology_count
from topo_sweep.yaml_file import Draft, one_line, parse_scalar, read_yaml, shown_value

MEMBER_LIMIT: Final = 1_000_000
"""Numbers that an int set may hold: a range of billions must not fill the memory."""

_LAST_TOPOLOGY: Final = topology_count() - 1
_LARGEST: Final = 10**18 - 1  # 18 digits always fit into the 64 bits of a store's column


def parse_int_set(text: str, *, what: str, maximum: int | None = None) -> tuple[int, ...]:
    """Return the numbers that a text like '0-3,17' names, sorted, each once.

    Args:
        text: numbers and ranges, separated by commas; both ends of a range belong to it.
        what: what the numbers are, for the error message.
        maximum: the largest number allowed.

    Raises:
        InputError: no such text, a number above the maximum, or more than `MEMBER_LIMIT`.

    """
    try:
        return _members(text, maximum)
    except ValueError as error:
        raise InputError(f"{what} {shown_value(text)}: {error}") from None


def format_int_set(numbers: Iterable[int]) -> str:
    """Return the text from which `parse_int_set` gives these numbers, which are 0 or above."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def _members(value: object, maximum: int | None) -> tuple[int, ...]:
    """Return the numbers that a text, a number or a list of numbers names."""
    form = f"write numbers {'from 0' if maximum is None else f'0 to {maximum}'}, as in 0-3,17"
    ranges = _ranges(value, form)
    if not ranges:
        raise ValueError(f"that is none: {form}")
    last = max(members[-1] for members in ranges)
    if last > (_LARGEST if maximum is None else maximum):
        raise ValueError(f"{last} is too large: {form}")
    if sum(map(len, ranges)) > MEMBER_LIMIT:
        raise ValueError(f"that is more than {MEMBER_LIMIT:,} numbers: name fewer")
    return tuple(sorted(set(itertools.chain.from_iterable(ranges))))


def _ranges(value: object, form: str) -> list[range]:
    if isinstance(value, str):
        return [_range(item.strip(), form) for item in value.split(",")]
    items: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    if bad := [item for item in items if type(item) is not int or item < 0]:
        raise ValueError(f"no number from 0: {', '.join(map(shown_value, bad[:5]))}: {form}")
    return [range(item, item + 1) for item in items]


def _range(item: str, form: str) -> range:
    match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", item)
    if match is None:
        raise ValueError(f"{shown_value(item)} is no number or range: {form}")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise ValueError(f"{item} counts down: write {last}-{first}")
    return range(first, last + 1)


def _topologies(value: object) -> tuple[int, ...]:
    if value == "all":
        return tuple(range(_LAST_TOPOLOGY + 1))
    if value == "classes":
        return tuple(members[0].index for members in isomorphism_classes())
    try:
        return _members(value, _LAST_TOPOLOGY)
    except ValueError as error:
        raise ValueError(f"{error}, or all, or classes") from None


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", value):
        raise ValueError("write 1 to 64 of the letters a-z and A-Z, digits, _ and -, no - first")
    return value


def _operation(value: str) -> str:
    try:
        return Edge(0, value).operation
    except InputError as error:
        raise ValueError(str(error)) from None


def _reduction_topology(value: object) -> object:
    if value == "same" or (type(value) is int and 0 <= value <= _LAST_TOPOLOGY):
        return value
    raise ValueError(f"write a topology's index, 0 to {_LAST_TOPOLOGY}, or same")


def _genotypes(value: object) -> tuple[object, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("write a list of known or written cells, as in [DARTS_V1, DARTS_V2]")
    return tuple(value)


def _genotype(value: str) -> str:
    try:
        return str(Genotype.parse(value))
    except InputError as error:
        raise ValueError(str(error)) from None


_Operation = Annotated[str, AfterValidator(_operation)]
_AS_TEXT: Final = PlainSerializer(format_int_set, return_type=str, when_used="json")


class _Sweep(BaseModel):
    """What every sweep has; frozen and strictly typed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    name: Annotated[str, AfterValidator(_name)]
    protocol: Protocol = Protocol()
    data: DataOptions = DataOptions()
    seeds: Annotated[tuple[int, ...], BeforeValidator(lambda v: _members(v, None)), _AS_TEXT] = (0,)

    def to_json_value(self) -> dict[str, Any]:
        """Return plain JSON that `spec_from_json_value` reads back, the protocol in full."""
        return self.model_dump(mode="json")


class TopologySweep(_Sweep):
    """One network for each topology: a normal cell with that wiring and one operation.

    The operations default to those of the paper's topology sweep. The paper does not give the
    wiring of its reduction cell; by default every node of it reads inputs 0 and 1 (topology 0).
    """

    kind: Literal["topologies"] = "topologies"
    topologies: Annotated[tuple[int, ...], BeforeValidator(_topologies), _AS_TEXT]
    normal_operation: _Operation = "sep_conv_3x3"
    reduction_operation: _Operation = "max_pool_3x3"
    reduction_topology: Annotated[int | Literal["same"], BeforeValidator(_reduction_topology)] = 0
    """The reduction cell's wiring: a topology's index, or that of the normal cell."""

    @property
    def trial_count(self) -> int:
        """Number of trainings."""
        return len(self.topologies) * len(self.seeds)

    def genotype_list(self) -> tuple[Genotype, ...]:
        """Return the networks in the order of `topologies`."""
        return tuple(self._genotype(Topology.from_index(index)) for index in self.topologies)

    def _genotype(self, normal: Topology) -> Genotype:
        wiring = self.reduction_topology
        reduction = normal if wiring == "same" else Topology.from_index(wiring)
        return Genotype(
            CellEdges.uniform(normal, self.normal_operation),
            CellEdges.uniform(reduction, self.reduction_operation),
        )


class GenotypeSweep(_Sweep):
    """The networks of a list of genotypes, which are kept as canonical strings, each once."""

    kind: Literal["genotypes"] = "genotypes"
    genotypes: Annotated[
        tuple[Annotated[str, AfterValidator(_genotype)], ...],
        BeforeValidator(_genotypes),
        AfterValidator(lambda genotypes: tuple(dict.fromkeys(genotypes))),
    ]

    @property
    def trial_count(self) -> int:
        """Number of trainings."""
        return len(self.genotypes) * len(self.seeds)

    def genotype_list(self) -> tuple[Genotype, ...]:
        """Return the networks in the order in which they were listed."""
        return tuple(Genotype.from_string(text) for text in self.genotypes)


SweepSpec = TopologySweep | GenotypeSweep

_KINDS: Final[Mapping[str, type[TopologySweep | GenotypeSweep]]] = {
    "topologies": TopologySweep,
    "genotypes": GenotypeSweep,
}
_ADVICE: Final[Mapping[str, str]] = {
    "kind": "write kind: topologies or kind: genotypes",
    "topologies": "give --topologies 0-3,17, or write topologies: all in the file",
    "genotypes": "list known or written cells, as in genotypes: [DARTS_V1, DARTS_V2]",
}


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Options of the command line that replace values of a file; None leaves them alone.

    `protocol` holds the texts of `--set key=value`, which are read as values in a file are.
    """

    dataset: str | None = None
    holdout: int | None = None
    train_limit: int | None = None
    topologies: str | None = None
    seeds: str | None = None
    epochs: int | None = None
    protocol: Mapping[str, str] = field(default_factory=dict)


_NO_OVERRIDES: Final = Overrides()
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "dataset": ("data", "dataset"),
    "holdout": ("data", "holdout"),
    "train_limit": ("data", "train_limit"),
    "topologies": ("topologies",),
    "seeds": ("seeds",),
    "epochs": ("protocol", "epochs"),
}


def shipped_names() -> list[str]:
    """Return the names of the sweeps that are installed with the package."""
    names = (file.name for file in importlib.resources.files("topo_sweep.sweeps").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_spec(source: str, overrides: Overrides = _NO_OVERRIDES) -> SweepSpec:
    """Read a sweep and apply what the command line says.

    Args:
        source: a YAML file, or the name of a shipped sweep. A file of that very name in the
            working folder does not hide it: write ./demo for the file.
        overrides: what replaces the file's values.

    Raises:
        InputError: no such sweep, or everything that is wrong with it, in one line.

    """
    file, shown = _located(source)
    draft = _draft(shown, read_yaml(file, shown))
    if "name" not in draft.values:
        stem = Path(file.name).stem
        label = f"{shown}: name is missing, and the file's, {shown_value(stem)}, cannot be it"
        draft.give(("name",), stem, label)
    _override(draft, overrides)
    return _resolved(draft)


def spec_from_json_value(value: Mapping[str, Any]) -> SweepSpec:
    """Return the sweep that `to_json_value` described.

    Raises:
        InputError: everything that is wrong with it, in one line.

    """
    return _resolved(_draft("sweep.json", dict(value)))


def _located(source: str) -> tuple[Traversable, str]:
    """Return the file and its name for messages."""
    names = shipped_names()
    if "/" not in source and not source.lower().endswith((".yaml", ".yml")):
        if source in names:
            folder = importlib.resources.files("topo_sweep.sweeps")
            return folder / f"{source}.yaml", f"{source}.yaml (shipped)"
        if not source or not _exists(Path(source)):
            names.sort(key=lambda name: -difflib.SequenceMatcher(None, source, name).ratio())
            raise InputError(
                f"{shown_value(source)} is neither a file nor a shipped sweep: "
                f"shipped are {', '.join(names)}"
            )
    return Path(source), source if source.isprintable() else shown_value(source)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def _draft(file: str, values: dict[str, Any]) -> Draft:
    """Return the draft of a sweep, with both sections in the form of a mapping."""
    draft = Draft(file, values, _ADVICE)
    if isinstance(preset := values.get("protocol"), str):
        values["protocol"] = {"preset": preset}
    for name, allowed in (
        ("protocol", "write a preset's name, or keys as in {preset: shallow, epochs: 100}"),
        ("data", "write keys, as in {dataset: cifar10, holdout: 0}"),
    ):
        section = values.get(name, {})
        if not isinstance(section, Mapping):
            draft.refuse((name,), section, allowed)
            section = {}
        values[name] = dict(section)
    return draft


def _override(draft: Draft, overrides: Overrides) -> None:
    for name, key in _PLACES.items():
        if (given := getattr(overrides, name)) is not None:
            draft.give(key, given, f"--{name.replace('_', '-')} {_typed(str(given))}")
    for name, text in overrides.protocol.items():
        label = f"--set {_typed(f'{name}={text}')}"
        try:
            value = parse_scalar(text, label)
        except InputError as error:
            draft.problems.append(str(error))
            continue
        if name == "preset":
            draft.problems.append(f"{label}: a preset is chosen in the file, set single keys")
        elif name == "epochs" and overrides.epochs not in (None, value):
            draft.problems.append(f"--epochs {overrides.epochs} and {label} differ: give one")
        else:
            draft.give(("protocol", name), value, label)


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
    return spec


def _model(draft: Draft) -> type[TopologySweep | GenotypeSweep]:
    """Return the model of the draft's kind, after a look at what only one kind has."""
    kind = draft.values.get("kind")
    if kind not in list(_KINDS):
        if "kind" in draft.values:
            draft.refuse(("kind",), kind, f"write {' or '.join(_KINDS)}")
        else:
            draft.miss(("kind",))
        # A guess, so that the other keys are checked as well.
        near = difflib.get_close_matches(str(kind), _KINDS, n=1)
        kind = near[0] if near else "genotypes" if "genotypes" in draft.values else "topologies"
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

"""Sweeps of networks: all of a set of topologies, or those of a list of genotypes.

Frozen, validated models; how YAML and options become one of them is in `load.py`. No torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from nas_core.cells.genotype import CellEdges, Edge, Genotype
from nas_core.cells.topology import Topology, isomorphism_classes, topology_count
from nas_core.errors import InputError
from nas_core.protocols.training import DataOptions, Protocol
from topo_sweep.spec.adaptive import FIRST_SEEDS, Adaptive, More
from topo_sweep.spec.int_sets import format_int_set, members
from topo_sweep.spec.trials import Planned, Trial, trainings

Population = tuple[tuple[str, ...], tuple[int, int] | None]
"""What random cells are drawn from: operations, and the wirings of both cells or None for any."""

_LAST_TOPOLOGY: Final = topology_count() - 1


def _topologies(value: object) -> tuple[int, ...]:
    if value == "all":
        return tuple(range(_LAST_TOPOLOGY + 1))
    if value == "classes":
        return tuple(members[0].index for members in isomorphism_classes())
    try:
        return members(value, _LAST_TOPOLOGY)
    except ValueError as error:
        raise ValueError(f"{error}, or all, or classes") from None


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", value):
        raise ValueError("write 1 to 64 of the letters a-z and A-Z, digits, _ and -, no - first")
    return value


def _reduction_topology(value: object) -> object:
    if value == "same" or (type(value) is int and 0 <= value <= _LAST_TOPOLOGY):
        return value
    raise ValueError(f"write a topology's index, 0 to {_LAST_TOPOLOGY}, or same")


def _genotypes(value: object) -> tuple[object, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("write a list of known or written cells, as in [DARTS_V1, DARTS_V2]")
    return tuple(value)


SweepName = Annotated[str, AfterValidator(_name)]
"""Names a folder, so it leads to no other."""
_Operation = Annotated[str, AfterValidator(lambda name: Edge(0, name).operation)]
AS_TEXT: Final = PlainSerializer(format_int_set, return_type=str, when_used="json")


class Sweep(BaseModel):
    """What every sweep has; frozen and strictly typed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    name: SweepName
    protocol: Protocol = Protocol()
    data: DataOptions = DataOptions()
    seeds: Annotated[tuple[int, ...], BeforeValidator(lambda v: members(v, None)), AS_TEXT] = (0,)
    origin: str | None = None
    """Where a choice in it came from, in words, if from another sweep."""

    def to_json_value(self) -> dict[str, Any]:
        """Return plain JSON that `spec_from_json_value` reads back, the protocol in full."""
        absent = {name for name in ("origin", "adaptive") if getattr(self, name, None) is None}
        return self.model_dump(mode="json", exclude=absent)

    @property
    def store_key(self) -> str:
        """What tells stores of one name, protocol and data apart; '' where nothing does."""
        return ""

    @property
    def trains_cells(self) -> bool:
        """Whether anything is trained by `protocol`."""
        return True

    @property
    def trial_count(self) -> int:
        """Number of trials, without making them."""
        raise NotImplementedError

    def described(self) -> str:
        """Return what is asked for beside seeds and protocol, in a few words."""
        raise NotImplementedError

    def populations(self) -> Mapping[Population, Sequence[Genotype]]:
        """Return the random cells that are trained, by what they were drawn from."""
        return {}

    def kind_of(self, trial: Planned) -> str:
        """Return the kind of a trial's row."""
        return self.kind

    def search_words(self) -> str:
        """Return how it searches, in words; '' where nothing is searched."""
        return ""

    def trials(self) -> Mapping[str, Planned]:
        """Return what is trained and searched by id, in the order in which it runs.

        Seeds are the outer loop: a sweep that is stopped early has few seeds of every network
        rather than many of a few.
        """
        raise NotImplementedError


class NetworkSweep(Sweep):
    """A sweep that knows its networks: each is trained once a seed."""

    def genotype_list(self) -> Sequence[Genotype]:
        """Return the networks in the order in which they run."""
        raise NotImplementedError

    @property
    def trial_count(self) -> int:
        """Number of trainings."""
        return len(self.genotype_list()) * len(self.seeds)

    def trials(self) -> dict[str, Trial]:
        """Return the trainings by id."""
        return trainings(self.genotype_list(), self.protocol, self.data, self.seeds)


class TopologySweep(NetworkSweep):
    """One network for each topology: a normal cell with that wiring and one operation.

    The operations default to those of the paper's topology sweep. The paper does not give the
    wiring of its reduction cell; by default every node of it reads inputs 0 and 1 (topology 0).
    """

    kind: Literal["topologies"] = "topologies"
    topologies: Annotated[tuple[int, ...], BeforeValidator(_topologies), AS_TEXT]
    normal_operation: _Operation = "sep_conv_3x3"
    reduction_operation: _Operation = "max_pool_3x3"
    reduction_topology: Annotated[int | Literal["same"], BeforeValidator(_reduction_topology)] = 0
    """The reduction cell's wiring: a topology's index, or that of the normal cell."""
    adaptive: Adaptive | None = None
    """Where seeds beyond the first go where they tell most; see `racing`."""

    def described(self) -> str:
        """Return which topologies."""
        goal = f" in a race for {self.adaptive.goal}" if self.adaptive else ""
        return f"topologies {format_int_set(self.topologies)}{goal}"

    def racing(self) -> TopologySweep:
        """Return an adaptive sweep as it runs: a topology of each class, and a few first seeds.

        Raises:
            InputError: there are no more classes than are wanted.

        """
        if self.adaptive is None:
            return self
        by_class: dict[int, int] = {}
        for index in sorted(self.topologies):
            by_class.setdefault(Topology.from_index(index).class_id, index)
        if len(by_class) <= self.adaptive.top:
            raise InputError(
                f"a race for {self.adaptive.goal} needs more classes than that, and these "
                f"topologies have {len(by_class)}: name more of them, or a smaller top"
            )
        seeds = self.seeds
        if len(seeds) == 1:
            seeds = tuple(range(seeds[0], seeds[0] + FIRST_SEEDS))
        return self.model_copy(update={"topologies": tuple(by_class.values()), "seeds": seeds})

    def with_more(self, more: More) -> TopologySweep:
        """Return the adaptive sweep in which topologies were given these seeds beyond the first."""
        adaptive = self.adaptive and self.adaptive.model_copy(update={"more": more})
        return self.model_copy(update={"adaptive": adaptive})

    @property
    def trial_count(self) -> int:
        """Number of trainings; of an adaptive sweep those that were decided."""
        more = self.adaptive.more if self.adaptive else ()
        return super().trial_count + sum(len(topologies) for _, topologies in more)

    def trials(self) -> dict[str, Trial]:
        """Return the trainings by id; of an adaptive sweep those that were decided."""
        trials = super().trials()
        if self.adaptive and self.adaptive.more:
            cells = dict(zip(self.topologies, self.genotype_list(), strict=True))
            for seed, topologies in self.adaptive.more:
                given = [cells[index] for index in topologies if index in cells]
                trials |= trainings(given, self.protocol, self.data, (seed,))
        return trials

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


class GenotypeSweep(NetworkSweep):
    """The networks of a list of genotypes, which are kept as canonical strings, each once."""

    kind: Literal["genotypes"] = "genotypes"
    genotypes: Annotated[
        tuple[Annotated[str, AfterValidator(lambda text: str(Genotype.parse(text)))], ...],
        BeforeValidator(_genotypes),
        AfterValidator(lambda genotypes: tuple(dict.fromkeys(genotypes))),
    ]

    def described(self) -> str:
        """Return how many networks."""
        return f"{len(self.genotypes)} genotypes"

    def genotype_list(self) -> tuple[Genotype, ...]:
        """Return the networks in the order in which they were listed."""
        return tuple(Genotype.from_string(text) for text in self.genotypes)

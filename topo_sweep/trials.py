"""From a sweep to its trials: what is trained, under which id. No torch, no image is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from nas_core.genotype import Genotype
from nas_core.protocol import DataOptions, Protocol, stable_hash
from topo_sweep.spec import SweepSpec


@dataclass(frozen=True)
class Trial:
    """One training: a network, a protocol, a choice of data and a seed."""

    genotype: Genotype
    protocol: Protocol
    data: DataOptions
    seed: int

    @cached_property
    def trial_id(self) -> str:
        """Sixteen hexadecimal digits that name exactly these four, on any platform."""
        return stable_hash(
            "trial",
            str(self.genotype),
            self.protocol.canonical(),
            self.data.canonical(),
            str(self.seed),
        )


def expand(spec: SweepSpec) -> dict[str, Trial]:
    """Return the trials of a sweep by id, in the order in which they run.

    Seeds are the outer loop: a sweep that is stopped early has few seeds of every network
    rather than many of a few.
    """
    genotypes = spec.genotype_list()
    trials = (
        Trial(genotype, spec.protocol, spec.data, seed)
        for seed in spec.seeds
        for genotype in genotypes
    )
    return {trial.trial_id: trial for trial in trials}


def expand_all(specs: Iterable[SweepSpec]) -> dict[str, Trial]:
    """Return the union of the trials of several requests."""
    return {key: trial for spec in specs for key, trial in expand(spec).items()}

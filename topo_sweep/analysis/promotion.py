"""From the best of one sweep to the next sweep: phase 2 and the final evaluation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from nas_core.errors import InputError
from nas_core.protocols.data import dataset_info
from nas_core.protocols.training import PRESETS
from topo_sweep.analysis.selection import Choice
from topo_sweep.spec.int_sets import format_int_set
from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
from topo_sweep.store.manifest import Manifest


def phase_two(
    manifest: Manifest,
    choice: Choice,
    seeds: Sequence[int] | None,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> TopologySweep:
    """Return the sweep of the chosen topologies as the wiring of both cells.

    Both cells have the operation of the first sweep's normal cell, the paper's sep_conv_3x3.
    Seeds default to `fresh_seeds`: those that selected would flatter.
    `settings` replace those of the first sweep's protocol.
    """
    operation = choice.genotypes[0].normal.uniform_operation
    assert operation is not None, "networks of a topology sweep have one normal operation"  # noqa: S101
    return TopologySweep(
        name=f"{_short(manifest)}-top{len(choice.genotypes)}",
        protocol=manifest.protocol.with_values(settings),
        data=manifest.data,
        topologies=tuple(genotype.normal.topology.index for genotype in choice.genotypes),
        normal_operation=operation,
        reduction_operation=operation,
        reduction_topology="same",
        seeds=tuple(seeds or fresh_seeds(choice)),
        origin=choice.origin,
    )


def final_evaluation(
    manifest: Manifest,
    choice: Choice,
    seeds: Sequence[int] | None,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> GenotypeSweep:
    """Return the final evaluation of the chosen networks, on other seeds than selected them.

    `settings` replace those of the preset.

    Raises:
        InputError: seeds were given that selected already, or a setting that there is not.

    """
    protocol = PRESETS["final"].with_values(settings)
    if repeated := sorted(set(seeds or ()) & set(choice.seeds)):
        raise InputError(
            f"seeds {format_int_set(repeated)} selected these networks and cannot judge them as "
            f"well: use others, such as --seeds {format_int_set(fresh_seeds(choice))}"
        )
    return GenotypeSweep(
        name=f"{_short(manifest)}-final",
        protocol=protocol,
        data=manifest.data,
        genotypes=tuple(str(genotype) for genotype in choice.genotypes),
        seeds=tuple(seeds or fresh_seeds(choice)),
        origin=choice.origin,
    )


def on_dataset(manifest: Manifest, dataset: str | None) -> Manifest:
    """Return what a sweep is, as if on another data set; None leaves its own.

    Raises:
        InputError: no such data set.

    """
    if dataset is None:
        return manifest
    data = manifest.data.with_values({"dataset": dataset_info(dataset).name})
    return manifest.model_copy(update={"data": data})


def fresh_seeds(choice: Choice) -> tuple[int, ...]:
    """Return seeds that did not select: as many as did, or as each class of a race began with."""
    first = max(choice.seeds) + 1
    return tuple(range(first, first + (choice.first_seeds or len(choice.seeds))))


def _short(manifest: Manifest) -> str:
    """Return the sweep's name, with room for a suffix in the 64 letters that a name may have."""
    return manifest.sweep[:54]

"""How what was run differs from the paper in protocol, data and search settings, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS
from nas_core.protocols.search import SEARCH_PRESETS, SearchProtocol
from nas_core.protocols.training import PRESETS
from topo_sweep.paper.evidence import ORIGINAL_LAYOUT, Evidence, groups


def evaluation_differences(
    evidence: Evidence, rows: pd.DataFrame, preset: str, dataset: str = "cifar10"
) -> list[str]:
    """Return how trainings of one setting differ from the paper's preset and data.

    Args:
        evidence: knows the protocols.
        rows: of one setting.
        preset: what the paper used, a name in `PRESETS`.
        dataset: what the paper used.

    """
    key = rows["protocol_hash"].iloc[0]
    protocol = evidence.protocols.get(key)
    found = []
    if protocol is None:
        found.append(f"evaluation protocol {key}: unknown here, so it could not be compared")
    elif changed := _changed(protocol.model_dump(), PRESETS[preset].model_dump()):
        found.append(f"evaluation: {changed}")
    return found + data_differences(rows, dataset)


def data_differences(rows: pd.DataFrame, dataset: str = "cifar10") -> list[str]:
    """Return how the images differ from the paper's."""
    first = rows.iloc[0]
    found = []
    if first["dataset"] != dataset:
        found.append(f"{first['dataset']} (paper {dataset})")
    if first["holdout"]:
        found.append(f"{first['holdout']:,} training images held out (paper 0)")
    if not pd.isna(first["train_limit"]):
        images = DATASETS[dataset].train_images
        found.append(f"{first['train_limit']:,} training images (paper {images:,})")
    layout = str(first["layout"])
    if first["dataset"] == dataset and not layout.startswith(ORIGINAL_LAYOUT):
        found.append(
            f"read from {layout}, fingerprint {first['fingerprint']}: pixels may be re-compressed, "
            "which only the original files rule out"
        )
    return [f"data: {'; '.join(found)}"] if found else []


def search_differences(
    evidence: Evidence, searches: pd.DataFrame, *, free: Sequence[str] = ()
) -> list[str]:
    """Return how searches differ from the presets of their methods, methods that agree together.

    Args:
        evidence: knows the search protocols.
        searches: one row a search.
        free: settings that the table itself varies: 'cells', 'operations', 'attention'.

    """
    by_text: dict[str, set[str]] = {}
    for group in groups(searches, ("method", "protocol_hash", "images", "topology")):
        if text := _search_difference(evidence, group.iloc[0], free):
            by_text.setdefault(text, set()).add(str(group["method"].iloc[0]))
    names = {
        text: "" if own == set(searches["method"]) else f" ({', '.join(sorted(own))})"
        for text, own in by_text.items()
    }
    return [f"search{name}: {text}" for text, name in names.items()]


def known_search_protocol(evidence: Evidence, row: pd.Series[Any]) -> SearchProtocol | None:
    """Return every setting of a search; None where what is known here cannot tell them all."""
    key = str(row["protocol_hash"])
    preset = SEARCH_PRESETS.get(str(row["method"]))
    found = evidence.search_protocols.get(key) or (preset and _rebuilt(row, preset))
    return found if found and found.protocol_hash == key else None


def _search_difference(evidence: Evidence, row: pd.Series[Any], free: Sequence[str]) -> str:
    """Return what differs in a search; '' for nothing."""
    preset = SEARCH_PRESETS.get(str(row["method"]))
    if preset is None:
        return f"{row['method']} is no preset, so its settings could not be compared"
    key = str(row["protocol_hash"])
    protocol = evidence.search_protocols.get(key) or _rebuilt(row, preset)
    # Where a data set has fewer images than were asked for, half of them are what was used.
    ours = protocol.model_dump(exclude={"topology", *free}) | {"images": int(row["images"])}
    found = [text] if (text := _changed(ours, preset.model_dump())) else []
    if not pd.isna(row["topology"]):
        wirings = dict.fromkeys(int(row[own]) for own in ("topology", "reduction_topology"))
        found.append(f"along wiring {' and '.join(map(str, wirings))} (paper: does not say which)")
    if protocol.protocol_hash != key:
        found.append(f"further settings, by the hash of its protocol {key}")
    return ", ".join(found)


def _rebuilt(row: pd.Series[Any], preset: SearchProtocol) -> SearchProtocol:
    """Return the preset with the settings that a search's row holds."""
    values: dict[str, Any] = {
        "cells": int(row["cells"]),
        "operations": str(row["operations"]),
        "attention": str(row["attention"]),
    }
    if not pd.isna(row["topology"]):
        values["topology"] = (int(row["topology"]), int(row["reduction_topology"]))
    if not preset.stages and row["stopped_early"] is not True:
        values["epochs"] = int(row["epochs"])
    try:
        as_asked = preset.with_values(values)
        as_used = preset.with_values(values | {"images": int(row["images"])})
    except InputError:
        return preset
    return as_used if as_used.protocol_hash == row["protocol_hash"] else as_asked


def _changed(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {_value(value)} (paper {_value(theirs[key])})"
        for key, value in ours.items()
        if value != theirs[key]
    )


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

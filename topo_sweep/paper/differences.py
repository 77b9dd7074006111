"""How what was run differs from the paper in protocol, data and search settings, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from nas_core.protocols.data import DATASETS
from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import PRESETS, Protocol
from topo_sweep.analysis.accuracy import common_count, is_whole
from topo_sweep.paper.evidence import Evidence, groups, protocol_text, setting_text, sweeps_text
from topo_sweep.paper.notes import printed_settings

_ORIGINAL_LAYOUT: Final = "torchvision layout"
"""How the layout of CIFAR's original files begins."""

_OF_AUTHORS: Final[Mapping[str, Mapping[str, Any]]] = {
    "DARTS": {"drop_path": 0.2},
    "P-DARTS": {"batch_size": 128, "drop_path": 0.3},
    "PC-DARTS": {"batch_size": 128, "drop_path": 0.3},
}
"""What section IV-A prints of the final networks of others; all else is that of `final_36`."""

TAKEN_OVER: Final = (
    "The final accuracies of known cells and of other methods are those of their authors, each by "
    "a pipeline of its own. The paper prints 20 cells, 36 channels, batch 128 for P-DARTS and "
    "PC-DARTS, and drop path 0.3 for these two and 0.2 for DARTS; how else they differ from "
    "`final_36` is not known here."
)
"""The note of a table that has such a row."""


def described(
    evidence: Evidence,
    searches: pd.DataFrame,
    trials: pd.DataFrame,
    *,
    free: Sequence[str] = (),
    final: pd.DataFrame | None = None,
) -> tuple[str, tuple[str, ...]]:
    """Return the setting of searches and their evaluations, and how it differs from the paper's.

    Args:
        evidence: knows the protocols.
        searches: one row a search.
        trials: their shallow evaluations by one setting; no rows before the first.
        free: settings of a search that the table itself varies, as in `search_differences`.
        final: final evaluations by one setting of what they found, if there are any.

    """
    if trials.empty:
        setting = f"ours: no evaluation yet; {sweeps_text(searches)}"
        differs = data_differences(searches)
    else:
        setting = setting_text(trials)
        differs = evaluation_differences(evidence, trials)
    if final is not None and len(final):
        setting += f"; final: {protocol_text(final)}"
        differs += evaluation_differences(evidence, final, named=True)
    differs += search_differences(evidence, searches, free=free)
    return setting, tuple(dict.fromkeys(differs))


def is_taken_over(beside: str) -> bool:
    """Whether a row of Table IV is of a cell or method of others; '' is the paper's own."""
    return beside != "" and not beside.startswith("eDARTS")


def paper_protocol(role: str, beside: str = "") -> Protocol:
    """Return by what the paper's number was trained, as far as it is known.

    Args:
        role: 'shallow' or 'final'.
        beside: the row of Table IV that ours stands beside, '' for none.

    """
    preset, values = _paper_preset(role, beside)
    return PRESETS[preset].with_values(values)


def _paper_preset(role: str, beside: str) -> tuple[str, Mapping[str, Any]]:
    """Return the preset of `paper_protocol`, and what the text prints of that row beyond it."""
    if role == "shallow" or not is_taken_over(beside):
        return role, {}
    return "final_36", _OF_AUTHORS.get(beside.partition(" ")[0], {})


def _evaluation_difference(ours: Protocol, role: str, beside: str) -> str:
    preset, values = _paper_preset(role, beside)
    theirs = paper_protocol(role, beside).model_dump()
    return _changed(ours.model_dump(), theirs, printed_settings(preset) | set(values))


def evaluation_differences(
    evidence: Evidence,
    rows: pd.DataFrame,
    dataset: str = "cifar10",
    *,
    named: bool = False,
    beside: Mapping[str, str] | None = None,
) -> list[str]:
    """Return how trainings of one setting differ from the paper's evaluation of their role.

    Args:
        evidence: knows the protocols.
        rows: of one setting and role.
        dataset: what the paper used.
        named: whether a difference in protocol begins with the role.
        beside: the row of Table IV that each cell of the rows stands beside, '' for none, by its
            label; without it all are as the paper trained its own.

    """
    key, role = rows[["protocol_hash", "role"]].iloc[0]
    protocol = evidence.protocols.get(key)
    name = f"{role} evaluation" if named else "evaluation"
    if protocol is None:
        sentences = [f"{name} protocol {key}: unknown here, so it could not be compared"]
    else:
        sentences = _told(
            name,
            (
                (label, _evaluation_difference(protocol, role, row))
                for label, row in (beside or {"": ""}).items()
            ),
        )
    return sentences + data_differences(rows, dataset)


def data_differences(rows: pd.DataFrame, dataset: str = "cifar10") -> list[str]:
    """Return how the images differ from the paper's."""
    first = rows.iloc[0]
    parts = []
    if first["dataset"] != dataset:
        parts.append(f"{first['dataset']} (paper {dataset})")
    if first["holdout"]:
        parts.append(
            f"{first['holdout']:,} training images held out (paper: none, as far as it says)"
        )
    if not pd.isna(first["train_limit"]):
        images = DATASETS[dataset].train_images
        parts.append(f"{first['train_limit']:,} training images (paper {images:,})")
    train, test = common_count(rows, "train_images"), common_count(rows, "test_images")
    if not is_whole(str(first["dataset"]), train, test):
        paper = DATASETS[dataset]
        parts.append(
            f"a data set of {train:,} training and {test:,} test images (paper "
            f"{paper.train_images:,} and {paper.test_images:,})"
        )
    layout = str(first["layout"])
    if first["dataset"] == dataset and not layout.startswith(_ORIGINAL_LAYOUT):
        parts.append(
            f"read from {layout}, fingerprint {first['fingerprint']}: pixels may be re-compressed, "
            "which only the original files rule out"
        )
    return [f"data: {'; '.join(parts)}"] if parts else []


def search_differences(
    evidence: Evidence, searches: pd.DataFrame, *, free: Sequence[str] = ()
) -> list[str]:
    """Return how searches differ from the presets of their methods, methods that agree together.

    Args:
        evidence: knows the search protocols.
        searches: one row a search.
        free: settings that the table itself varies: 'cells', 'operations', 'attention'.

    """
    alike = groups(searches, ("method", "protocol_hash", "images", "topology"))
    return _told(
        "search",
        (
            (str(group["method"].iloc[0]), _search_difference(evidence, group.iloc[0], free))
            for group in alike
        ),
    )


def _told(what: str, differences: Iterable[tuple[str, str]]) -> list[str]:
    """Return a sentence a difference, with the labels that have it unless all of them do."""
    labels_by_text: dict[str, set[str]] = {}
    for label, text in differences:
        labels_by_text.setdefault(text, set()).add(label)
    everything = {label for labels in labels_by_text.values() for label in labels}
    names = {
        text: "" if labels == everything else f" ({', '.join(sorted(labels))})"
        for text, labels in labels_by_text.items()
        if text
    }
    return [f"{what}{name}: {text}" for text, name in names.items()]


def _search_difference(evidence: Evidence, row: pd.Series[Any], free: Sequence[str]) -> str:
    """Return what differs in a search; '' for nothing."""
    method, key = str(row["method"]), str(row["protocol_hash"])
    if method not in SEARCH_PRESETS:
        return f"{method} is no preset, so its settings could not be compared"
    if key not in evidence.search_protocols:
        return f"protocol {key} is unknown here, so it could not be compared"
    # Where a data set has fewer images than were asked for, half of them are what was used.
    protocol = evidence.search_protocols[key]
    ours = protocol.model_dump(exclude={"topology", "alpha_at", *free})
    changed = _changed(
        ours | {"images": int(row["images"])},
        SEARCH_PRESETS[method].model_dump(),
        printed_settings(method),
    )
    parts = [changed] if changed else []
    if not pd.isna(row["topology"]):
        wirings = dict.fromkeys(int(row[name]) for name in ("topology", "reduction_topology"))
        parts.append(f"along wiring {' and '.join(map(str, wirings))} (paper: does not say which)")
    if protocol.alpha_at != SEARCH_PRESETS[method].alpha_at:
        parts.append(f"alpha_at {protocol.alpha_at} (paper: does not say on which batch)")
    return ", ".join(parts)


def _changed(ours: Mapping[str, Any], theirs: Mapping[str, Any], printed: Collection[str]) -> str:
    """Return both values of what differs; theirs is the paper's only where it is printed."""
    return ", ".join(
        f"{key} {_value_text(value)} "
        f"({'paper' if key in printed else 'preset'} {_value_text(theirs[key])})"
        for key, value in ours.items()
        if value != theirs[key]
    )


def _value_text(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

"""What may be compared with what: the checks before a ranking or a picture, and what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nas_core.cells.genotype import CellEdges, Genotype, known_name
from nas_core.errors import InputError
from topo_sweep.analysis.text import counted

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT: Final = {
    "protocol_hash": "protocols",
    "dataset": "data sets",
    "holdout": "hold-outs",
    "train_limit": "limits of training images",
    "fingerprint": "data set fingerprints",
}
"""Columns in which trainings agree whose accuracies are compared, and what several values are."""

_OPTIONS: Final = {"method": "--method", "attention": "--attention", "space": "--space"}


def nothing_finished(what: str) -> InputError:
    """Return the error that there are no rows; `what` is such as 'trial to rank'."""
    return InputError(
        f"there is no finished {what}: start some with `topo-sweep run`, or wait "
        "(`topo-sweep status` shows how far a run is)"
    )


def texts_of(column: pd.Series[Any]) -> pd.Series[str]:
    """Return the values of a column as texts, 'none' where there is none."""
    return column.astype("string").fillna("none")


def _several(rows: pd.DataFrame, column: str) -> list[str]:
    """Return the values of a column where they are more than one, else nothing."""
    values = sorted(set(texts_of(rows[column].drop_duplicates())))
    return values if len(values) > 1 else []


def check_one_experiment(trials: pd.DataFrame) -> None:
    """Refuse to rank what differs in more than the network and the seed; the error names what."""
    for column, what in (EXPERIMENT | {"kind": "phases"}).items():
        if values := _several(trials, column):
            raise _mixed(what, [f"{column} {value}" for value in values])


def precision_remarks(precision: str) -> list[str]:
    """Return a sentence where accuracies are those of another arithmetic than float32."""
    if precision == "float32":
        return []
    return [f"Trained with precision {precision}, which is part of the protocol."]


def check_poolable(trials: pd.DataFrame) -> None:
    """Refuse to pool classes where normal operations are not all equal; the error names one."""
    mixed = sorted(trials.loc[trials["class_id"].isna(), "genotype"].unique())
    if mixed:
        example = known_name(Genotype.from_string(mixed[0])) or mixed[0]
        raise InputError(
            "classes pool networks whose normal operations are all equal, and "
            f"{counted(len(mixed), 'genotype')} here mix operations ({example}): "
            "rank by topology instead"
        )


def with_reduction(trials: pd.DataFrame, wiring: int) -> pd.DataFrame:
    """Return the trainings with one reduction wiring, as a sweep of topologies would have them.

    Args:
        trials: of a sweep of genotypes.
        wiring: the topology of the reduction cell, an index.

    Raises:
        InputError: none has it, or there normal operations are not all equal.

    """
    chosen = trials[trials["reduction_topology"] == wiring]
    if chosen.empty:
        raise InputError(
            f"no training here has reduction wiring {wiring}: `topo-sweep rank --format json` "
            "names those that there are"
        )
    mixed = chosen.loc[chosen["topology"].isna(), "genotype"]
    if len(mixed):
        raise InputError(
            "only networks whose normal operations are all equal have a place among the "
            f"topologies, and {counted(mixed.nunique(), 'genotype')} with reduction wiring "
            f"{wiring} mix operations: use `topo-sweep rank` for their numbers"
        )
    return chosen.assign(kind="topologies")


def common_phase(genotypes: Iterable[str]) -> str:
    """Return what all networks share beside their normal wiring, in words.

    A network whose reduction cell is wired like its normal one may belong to a sweep with
    either rule (topology 0 does, where 0 is the fixed wiring), so each has one or two phases and
    all must have one in common.

    Raises:
        InputError: they have none in common; names two.

    """
    phases = [_phases(Genotype.from_string(text)) for text in genotypes]
    first = most_common(phases)
    others = [possible for possible in phases if first not in possible]
    if others:
        raise _mixed("phases", [f"'{first}'", f"'{most_common(others)}'"])
    return first


def _phases(genotype: Genotype) -> tuple[str, ...]:
    normal, reduction = genotype.normal, genotype.reduction
    cells = f"cells of {len(normal.nodes)} nodes, normal {operation_words(normal)}, reduction"
    if reduction.uniform_operation is None:
        return (f"{cells} {reduction}",)
    cells = f"{cells} {operation_words(reduction)}"
    fixed = f"{cells} on wiring {reduction.topology.index}"
    same = f"{cells} wired like the normal cell"
    return (fixed, same) if reduction.topology == normal.topology else (fixed,)


def operation_words(cell: CellEdges) -> str:
    """Return 'all sep_conv_3x3', or how many edges have which operation."""
    if cell.uniform_operation:
        return f"all {cell.uniform_operation}"
    counts = Counter(edge.operation for edge in cell.edges)
    return ", ".join(f"{count} {operation}" for operation, count in counts.most_common())


def most_common(texts: Iterable[Sequence[str]]) -> str:
    """Return the text that most of these collections hold, of several the first in order."""
    counts = Counter(text for several in texts for text in several)
    return min(counts, key=lambda text: (-counts[text], text))


def _mixed(what: str, names: Sequence[str]) -> InputError:
    return InputError(
        f"a ranking never mixes {what}, and these trials have {' and '.join(names)}: rank each "
        "on its own, as a sweep of its own or by choosing rows of topo_sweep.load_results"
    )


def check_one(rows: pd.DataFrame, columns: Mapping[str, str], where: str = "") -> None:
    """Refuse to draw rows that differ in one of these columns; the error says how to choose.

    `columns` holds what several values of each are called, and `where` in which part of the
    picture they meet.
    """
    for column, what in columns.items():
        if values := _several(rows, column):
            option = _OPTIONS.get(column)
            way = f"choose one with {option}" if option else "draw each as a sweep of its own"
            here = f"{' and '.join(values)}{where}"
            raise InputError(f"a picture never mixes {what}, here {here}: {way}")

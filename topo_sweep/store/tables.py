"""The tables of a store: which columns their rows and curves have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import pyarrow as pa


def _columns(kind: pa.DataType, *names: str, nullable: bool = False) -> list[pa.Field]:
    return [pa.field(name, kind, nullable=nullable) for name in names]


_texts = partial(_columns, pa.string())
_counts = partial(_columns, pa.int64())
_numbers = partial(_columns, pa.float64(), nullable=True)
_SETTING: Final = [
    *_counts("seed"),
    *_texts("protocol_hash", "dataset"),
    *_counts("holdout"),
    *_counts("train_limit", nullable=True),
    *_texts("fingerprint"),
]
_ENDING: Final = [
    *_texts("status"),
    *_texts("error", nullable=True),
    *_counts("attempt", "epochs"),
]
_TRAINED: Final = _numbers("train_loss", "train_accuracy")
_MACHINE: Final = _texts("device", "node", "execution", nullable=True)
_FINISHED: Final = pa.field("finished_at", pa.timestamp("us", tz="UTC"), nullable=False)

TRIAL_SCHEMA: Final = pa.schema(
    [
        *_texts("trial_id", "sweep", "kind", "genotype"),
        *_counts("topology", "class_id", "reduction_topology", nullable=True),
        *_SETTING,
        *_ENDING,
        *_TRAINED,
        *_numbers("val_accuracy", "test_accuracy", "best_test_accuracy"),
        *_counts("parameters", "multiply_adds", nullable=True),
        *_numbers("train_seconds"),
        *_MACHINE,
        *_texts("search_id", nullable=True),
        _FINISHED,
    ]
)
EPOCH_SCHEMA: Final = pa.schema(
    [
        *_texts("trial_id"),
        *_counts("epoch"),
        *_numbers("learning_rate"),
        *_TRAINED,
        *_numbers("val_accuracy", "test_accuracy", "seconds"),
        _FINISHED,
    ]
)
SEARCH_SCHEMA: Final = pa.schema(
    [
        *_texts("search_id", "sweep", "method", "space", "operations"),
        *_counts("cells"),
        *_counts("topology", "reduction_topology", nullable=True),
        *_texts("attention"),
        *_SETTING,
        *_counts("images", nullable=True),
        *_ENDING,
        pa.field("stopped_early", pa.bool_()),
        *_texts("genotype", nullable=True),
        *_counts("skips_normal", "skips_reduction", nullable=True),
        *_TRAINED,
        *_numbers("alpha_loss", "alpha_accuracy", "val_accuracy"),
        *_counts("parameters", nullable=True),
        *_numbers("search_seconds", "weight_step_seconds", "alpha_step_seconds"),
        *_counts("peak_memory_bytes", nullable=True),
        *_texts("one_hot", nullable=True),
        *_MACHINE,
        _FINISHED,
    ]
)
SEARCH_EPOCH_SCHEMA: Final = pa.schema(
    [
        *_texts("search_id"),
        *_counts("epoch", "stage"),
        *_numbers("learning_rate"),
        *_TRAINED,
        *_numbers("alpha_loss", "alpha_accuracy", "val_accuracy"),
        *_texts("genotype", nullable=True),
        *_counts("skips_normal", "skips_reduction", nullable=True),
        *_texts("alphas", nullable=True),
        *_numbers("seconds"),
        _FINISHED,
    ]
)


@dataclass(frozen=True)
class Table:
    """One kind of result: a row for each, named by `key`, and a curve of rows an epoch.

    `seconds` is the column of how long it took.
    """

    name: str
    curve_name: str
    key: str
    seconds: str
    schema: pa.Schema
    curve_schema: pa.Schema

    @property
    def parts(self) -> tuple[tuple[str, pa.Schema], ...]:
        """Name and schema of its two kinds of parts, curves first: they are written first."""
        return (self.curve_name, self.curve_schema), (self.name, self.schema)


TRIALS: Final = Table("trials", "epochs", "trial_id", "train_seconds", TRIAL_SCHEMA, EPOCH_SCHEMA)
SEARCHES: Final = Table(
    *("searches", "search_epochs", "search_id", "search_seconds"),
    SEARCH_SCHEMA,
    SEARCH_EPOCH_SCHEMA,
)
TABLES: Final = {table.name: table for table in (SEARCHES, TRIALS)}
"""In the order in which they are written: a search before the evaluations of what it found."""

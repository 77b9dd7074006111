"""The tables of a store: which columns their rows and curves have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

_TIME = pa.timestamp("us", tz="UTC")
TRIAL_SCHEMA: Final = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("sweep", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("genotype", pa.string(), nullable=False),
        pa.field("topology", pa.int64()),
        pa.field("class_id", pa.int64()),
        pa.field("reduction_topology", pa.int64()),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("protocol_hash", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("holdout", pa.int64(), nullable=False),
        pa.field("train_limit", pa.int64()),
        pa.field("fingerprint", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("attempt", pa.int64(), nullable=False),
        pa.field("epochs", pa.int64(), nullable=False),
        pa.field("train_loss", pa.float64()),
        pa.field("train_accuracy", pa.float64()),
        pa.field("val_accuracy", pa.float64()),
        pa.field("test_accuracy", pa.float64()),
        pa.field("best_test_accuracy", pa.float64()),
        pa.field("parameters", pa.int64()),
        pa.field("multiply_adds", pa.int64()),
        pa.field("train_seconds", pa.float64()),
        pa.field("device", pa.string()),
        pa.field("node", pa.string()),
        pa.field("execution", pa.string()),
        pa.field("search_id", pa.string()),
        pa.field("finished_at", _TIME, nullable=False),
    ]
)
EPOCH_SCHEMA: Final = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("learning_rate", pa.float64()),
        pa.field("train_loss", pa.float64()),
        pa.field("train_accuracy", pa.float64()),
        pa.field("val_accuracy", pa.float64()),
        pa.field("test_accuracy", pa.float64()),
        pa.field("seconds", pa.float64()),
        pa.field("finished_at", _TIME, nullable=False),
    ]
)
SEARCH_SCHEMA: Final = pa.schema(
    [
        pa.field("search_id", pa.string(), nullable=False),
        pa.field("sweep", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("space", pa.string(), nullable=False),
        pa.field("operations", pa.string(), nullable=False),
        pa.field("cells", pa.int64(), nullable=False),
        pa.field("topology", pa.int64()),
        pa.field("reduction_topology", pa.int64()),
        pa.field("attention", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("protocol_hash", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("holdout", pa.int64(), nullable=False),
        pa.field("train_limit", pa.int64()),
        pa.field("fingerprint", pa.string(), nullable=False),
        pa.field("images", pa.int64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("attempt", pa.int64(), nullable=False),
        pa.field("epochs", pa.int64(), nullable=False),
        pa.field("stopped_early", pa.bool_()),
        pa.field("genotype", pa.string()),
        pa.field("skips_normal", pa.int64()),
        pa.field("skips_reduction", pa.int64()),
        pa.field("train_loss", pa.float64()),
        pa.field("train_accuracy", pa.float64()),
        pa.field("alpha_loss", pa.float64()),
        pa.field("alpha_accuracy", pa.float64()),
        pa.field("val_accuracy", pa.float64()),
        pa.field("parameters", pa.int64()),
        pa.field("search_seconds", pa.float64()),
        pa.field("weight_step_seconds", pa.float64()),
        pa.field("alpha_step_seconds", pa.float64()),
        pa.field("peak_memory_bytes", pa.int64()),
        pa.field("device", pa.string()),
        pa.field("node", pa.string()),
        pa.field("execution", pa.string()),
        pa.field("finished_at", _TIME, nullable=False),
    ]
)
SEARCH_EPOCH_SCHEMA: Final = pa.schema(
    [
        pa.field("search_id", pa.string(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("stage", pa.int64(), nullable=False),
        pa.field("learning_rate", pa.float64()),
        pa.field("train_loss", pa.float64()),
        pa.field("train_accuracy", pa.float64()),
        pa.field("alpha_loss", pa.float64()),
        pa.field("alpha_accuracy", pa.float64()),
        pa.field("val_accuracy", pa.float64()),
        pa.field("genotype", pa.string()),
        pa.field("skips_normal", pa.int64()),
        pa.field("skips_reduction", pa.int64()),
        pa.field("alphas", pa.string()),
        pa.field("seconds", pa.float64()),
        pa.field("finished_at", _TIME, nullable=False),
    ]
)


@dataclass(frozen=True)
class Table:
    """One kind of result: a row for each, named by `key`, and a curve of rows an epoch."""

    name: str
    curve_name: str
    key: str
    schema: pa.Schema
    curve_schema: pa.Schema


TRIALS: Final = Table("trials", "epochs", "trial_id", TRIAL_SCHEMA, EPOCH_SCHEMA)
SEARCHES: Final = Table(
    "searches", "search_epochs", "search_id", SEARCH_SCHEMA, SEARCH_EPOCH_SCHEMA
)
TABLES: Final = (SEARCHES, TRIALS)
"""In the order in which they are written: a search before the evaluations of what it found."""

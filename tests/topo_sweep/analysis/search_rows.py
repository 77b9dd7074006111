"""Made-up searches and their evaluations, for the tests of what is drawn and written of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

T0 = datetime(2026, 1, 2, tzinfo=UTC)
GENOTYPE = (
    "sep_conv_3x3@0+sep_conv_3x3@1;sep_conv_3x3@0+sep_conv_3x3@1;"
    "sep_conv_3x3@1+skip_connect@0;skip_connect@0+dil_conv_3x3@2|"
    "max_pool_3x3@0+max_pool_3x3@1;max_pool_3x3@1+skip_connect@2;"
    "max_pool_3x3@0+skip_connect@2;max_pool_3x3@1+skip_connect@2"
)
OPERATIONS = {
    "SS1": "none,max_pool_3x3,skip_connect,sep_conv_3x3,dil_conv_3x3",
    "SS2": "none,max_pool_3x3,skip_connect,sep_conv_5x5,dil_conv_5x5",
    "SS7": "none,max_pool_3x3,skip_connect,sep_conv_3x3,sep_conv_5x5,dil_conv_3x3",
}
_INTEGERS = (
    *("cells", "topology", "reduction_topology", "seed", "holdout", "train_limit", "images"),
    *("skips_normal", "skips_reduction"),
)


def search(search_id: str, **values: Any) -> dict[str, Any]:
    """Return the row of a search; `values` replace some columns."""
    row = {
        "search_id": search_id,
        "method": "search_subspace",
        "space": "SS1",
        "cells": 5,
        "topology": None,
        "reduction_topology": None,
        "attention": "none",
        "seed": 20,
        "dataset": "digits",
        "holdout": 0,
        "train_limit": None,
        "images": 500,
        "status": "ok",
        "error": None,
        "genotype": GENOTYPE,
        "skips_normal": 2,
        "skips_reduction": 3,
        "finished_at": T0,
    } | values
    settings = f"{row['method']}-{row['space']}-{row['cells']}"
    operations = OPERATIONS.get(str(row["space"]), OPERATIONS["SS1"])
    return {"operations": operations, "protocol_hash": settings} | row


def searches(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).astype(dict.fromkeys(_INTEGERS, "Int64"))


def evaluation(search_id: str, test: float | None, **values: Any) -> dict[str, Any]:
    """Return the row of an evaluation of what a search found."""
    return {
        "trial_id": f"{search_id} {values.get('seed', 0)}",
        "kind": "search",
        "genotype": GENOTYPE,
        "seed": 0,
        "protocol_hash": "0123456789abcdef",
        "dataset": "digits",
        "holdout": 0,
        "train_limit": None,
        "fingerprint": "f",
        "status": "ok",
        "val_accuracy": None,
        "test_accuracy": test,
        "search_id": search_id,
    } | values


def evaluations(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    types: dict[str, Any] = dict.fromkeys(("seed", "holdout", "train_limit"), "Int64")
    return pd.DataFrame(list(rows)).astype(types | {"val_accuracy": float, "test_accuracy": float})


def search_epochs(
    search_id: str,
    stages: Sequence[Sequence[str]],
    edges: Sequence[tuple[int, int]],
    *,
    epochs: int = 3,
) -> pd.DataFrame:
    """Return the epochs of a search of some stages; in each every edge has these operations.

    In epoch e of all, operation i of an edge weighs in proportion to 1 + i * e.
    """
    rows: list[dict[str, Any]] = []
    for number, operations in enumerate(stages):
        for _ in range(epochs):
            epoch = len(rows)
            raw = {name: 1.0 + i * epoch for i, name in enumerate(operations)}
            weights = {name: value / sum(raw.values()) for name, value in raw.items()}
            cell = [{"source": source, "node": node, "weights": weights} for source, node in edges]
            rows.append(
                {
                    "search_id": search_id,
                    "epoch": epoch,
                    "stage": number,
                    "genotype": GENOTYPE,
                    "alphas": json.dumps({"normal": cell, "reduction": cell}),
                    "finished_at": T0 + timedelta(minutes=epoch),
                }
            )
    return pd.DataFrame(rows).astype({"epoch": "Int64", "stage": "Int64"})

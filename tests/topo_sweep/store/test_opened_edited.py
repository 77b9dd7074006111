"""What was changed by hand in a sweep's folder is refused, and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas_core.errors import InputError
from nas_core.protocols.training import PRESETS
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.store.opened import load_results, open_sweep
from topo_sweep.store.parquet import ResultStore


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    store = make_sweep(tmp_path, small_spec())
    store.append([trial_row("a")], [])
    return store


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda value: value["protocol"].update(epochs=100), small_spec().protocol.protocol_hash),
        (lambda value: value.update(protocol_hash="0123456789abcdef"), "0123456789abcdef"),
        (lambda value: value["data"].update(holdout=9), '"holdout": 9'),
        (lambda value: value["requests"][0]["spec"]["protocol"].update(cells=8), "protocol"),
        (lambda value: value["requests"][0]["spec"]["data"].update(train_limit=7), "7"),
    ],
)
def test_settings_that_were_changed_by_hand_are_refused(
    store: ResultStore, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    path = store.paths.manifest
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))

    with pytest.raises(InputError, match=r"sweep\.json was changed by hand") as refusal:
        open_sweep(store.paths.folder)
    assert "\n" not in str(refusal.value)
    assert named in str(refusal.value)


def test_a_sweep_that_nobody_changed_opens(store: ResultStore) -> None:
    assert len(load_results(store.paths.folder)) == 1


@pytest.mark.parametrize("accuracy", [-0.001, 1.0001, 93.5, float("inf")])
@pytest.mark.parametrize("column", ["test_accuracy", "val_accuracy", "train_accuracy"])
def test_accuracies_that_cannot_be_are_refused_by_name(
    store: ResultStore, column: str, accuracy: float
) -> None:
    store.append([trial_row("b", **{column: accuracy})], [])
    with pytest.raises(InputError, match=f"trial_id b with {column} {accuracy:g}") as refusal:
        load_results(store.paths.folder)
    assert "\n" not in str(refusal.value)


def test_missing_and_extreme_accuracies_are_read(store: ResultStore) -> None:
    edges = {"test_accuracy": 0.0, "train_accuracy": 1.0, "val_accuracy": None}
    store.append([trial_row("b", **edges)], [])
    assert len(load_results(store.paths.folder)) == 2


def test_rows_of_another_protocol_than_the_file_says_are_refused_naming_both(
    tmp_path: Path,
) -> None:
    # As where sweep.json was replaced by one that agrees with itself.
    store = make_sweep(tmp_path, small_spec(protocol=PRESETS["shallow"]))
    store.append([trial_row("a")], [])
    with pytest.raises(InputError, match="holds rows of another protocol") as refusal:
        load_results(store.paths.folder)
    assert "\n" not in str(refusal.value)
    for protocol in (PRESETS["shallow"], small_spec().protocol):
        assert protocol.protocol_hash in str(refusal.value)

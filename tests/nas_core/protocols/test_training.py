"""What protocols promise: a hash that names them for ever, and errors that say what is valid."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nas_core.errors import InputError
from nas_core.protocols.training import (
    PRESETS,
    DataOptions,
    Protocol,
    stable_hash,
    stable_hashes,
)
from tests.nas_core.protocols.hashes import check_every_field_is_hashed

# Stores are named by these: a change of one makes every older store of it unreachable.
GOLDEN_HASHES = {
    "shallow": "ebb023640034d977",
    "demo": "86a477f5a5191c00",
    "final": "44871cf5fe61c8a1",
    "final_36": "3a8119b6791d3f87",
}

# The paper's proxy "5-16". The hash leaves defaults out, so they must never change.
SHALLOW: dict[str, Any] = {
    "cells": 5,
    "init_channels": 16,
    "auxiliary": False,
    "auxiliary_weight": 0.4,
    "epochs": 100,
    "batch_size": 64,
    "learning_rate": 0.025,
    "learning_rate_min": 0.0,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
    "drop_path": 0.2,
    "crop_padding": 4,
    "flip": True,
    "cutout": 0,
    "precision": "float32",
    "numerics_version": 1,
}

# Another valid value for every field; only one numerics_version is valid.
OTHER_VALUES: dict[str, Any] = {
    "cells": 8,
    "init_channels": 36,
    "auxiliary": True,
    "auxiliary_weight": 0.5,
    "epochs": 99,
    "batch_size": 96,
    "learning_rate": 0.1,
    "learning_rate_min": 0.001,
    "momentum": 0.8,
    "weight_decay": 1e-4,
    "gradient_clip": 1.0,
    "drop_path": 0.3,
    "crop_padding": 0,
    "flip": False,
    "cutout": 16,
    "precision": "bfloat16",
}


def values() -> st.SearchStrategy[dict[str, Any]]:
    """Some valid values, by field."""
    return st.fixed_dictionaries(
        {},
        optional={
            "cells": st.integers(1, 100),
            "init_channels": st.integers(1, 1024),
            "auxiliary": st.booleans(),
            "epochs": st.integers(1, 600),
            "learning_rate": st.floats(1e-6, 10),
            "weight_decay": st.floats(0, 1),
            "drop_path": st.floats(0, 1, exclude_max=True),
            "precision": st.sampled_from(["float32", "float64", "bfloat16", "tf32"]),
        },
    )


@pytest.mark.parametrize("preset", GOLDEN_HASHES)
def test_hash_of_a_preset_never_changes(preset: str) -> None:
    assert PRESETS[preset].protocol_hash == GOLDEN_HASHES[preset]


def test_every_preset_is_pinned_here() -> None:
    assert set(PRESETS) == set(GOLDEN_HASHES)


def test_defaults_are_the_shallow_protocol_and_never_change() -> None:
    assert Protocol().model_dump() == SHALLOW
    assert PRESETS["shallow"] == Protocol()


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_hash_is_the_same_in_every_process(hash_seed: str) -> None:
    program = (
        "from nas_core.protocols.training import PRESETS, Protocol;"
        "print(*(PRESETS[preset].protocol_hash for preset in ('shallow', 'demo')),"
        "Protocol(cells=8, drop_path=0.3).protocol_hash)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )

    here = [PRESETS["shallow"], PRESETS["demo"], Protocol(cells=8, drop_path=0.3)]
    assert done.stdout.split() == [protocol.protocol_hash for protocol in here]


@given(values(), st.randoms(use_true_random=False))
def test_order_of_keys_does_not_matter(changes: dict[str, Any], random: Any) -> None:
    shuffled = list(changes.items())
    random.shuffle(shuffled)

    assert Protocol(**dict(shuffled)).protocol_hash == Protocol(**changes).protocol_hash
    assert Protocol().with_values(dict(shuffled)) == Protocol(**changes)


@given(values(), values())
def test_hashes_are_equal_exactly_for_equal_protocols(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    equal = Protocol(**one) == Protocol(**other)

    assert (Protocol(**one).protocol_hash == Protocol(**other).protocol_hash) == equal


def test_every_field_is_in_the_hash() -> None:
    check_every_field_is_hashed(Protocol(), OTHER_VALUES)


def test_values_written_out_hash_like_defaults() -> None:
    assert Protocol(**SHALLOW).protocol_hash == Protocol().protocol_hash


@pytest.mark.parametrize(
    "field", ["learning_rate", "weight_decay", "gradient_clip", "auxiliary_weight"]
)
def test_an_int_for_a_float_is_the_same_protocol(field: str) -> None:
    whole, real = (Protocol().with_values({field: value}) for value in (2, 2.0))

    assert whole == real
    assert whole.protocol_hash == real.protocol_hash


def test_an_int_zero_for_a_float_is_the_same_protocol() -> None:
    assert Protocol(drop_path=0).protocol_hash == Protocol(drop_path=0.0).protocol_hash
    assert Protocol(learning_rate_min=0).protocol_hash == Protocol().protocol_hash


def test_a_key_of_a_later_version_leaves_old_hashes_alone() -> None:
    class LaterProtocol(Protocol):
        label_smoothing: float = 0.0

    assert LaterProtocol().protocol_hash == Protocol().protocol_hash
    assert LaterProtocol(cells=8).protocol_hash == Protocol(cells=8).protocol_hash
    assert LaterProtocol(label_smoothing=0.1).protocol_hash != Protocol().protocol_hash


def test_settings_cannot_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Protocol().cells = 8
    with pytest.raises(ValidationError, match="frozen"):
        DataOptions().holdout = 8


def test_the_final_evaluation_is_the_papers() -> None:
    assert PRESETS["final"].model_dump() == SHALLOW | {
        "cells": 20,
        "init_channels": 32,
        "epochs": 600,
        "batch_size": 96,
        "cutout": 16,
        "auxiliary": True,
        "auxiliary_weight": 0.4,
        "drop_path": 0.3,
    }


def test_the_networks_of_known_cells_differ_from_the_papers_in_channels_alone() -> None:
    assert PRESETS["final_36"] == PRESETS["final"].with_values({"init_channels": 36})


def test_with_values_replaces_these_values_only() -> None:
    changed = PRESETS["demo"].with_values({"cells": 3, "drop_path": 0.3})

    assert changed.model_dump() == PRESETS["demo"].model_dump() | {"cells": 3, "drop_path": 0.3}


def test_all_unknown_keys_are_named_with_the_nearest() -> None:
    with pytest.raises(InputError) as refused:
        Protocol().with_values({"cell": 8, "init_chanels": 36, "zzz": 1})

    message = str(refused.value)
    assert "unknown key 'cell' (did you mean cells" in message
    assert "unknown key 'init_chanels' (did you mean init_channels" in message
    assert "unknown key 'zzz' (valid keys: auxiliary, auxiliary_weight, batch_size" in message


def test_unknown_keys_and_bad_values_are_reported_together() -> None:
    with pytest.raises(InputError) as refused:
        Protocol().with_values({"cells": 0, "momentum": 1.5, "epoch": 3})

    message = str(refused.value)
    assert "cells = 0: input should be greater than or equal to 1" in message
    assert "momentum = 1.5: input should be less than 1" in message
    assert "unknown key 'epoch' (did you mean epochs" in message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cells", 0),
        ("cells", 5.0),
        ("cells", "5"),
        ("cells", True),
        ("flip", 1),
        ("learning_rate", 0.0),
        ("learning_rate", "0.1"),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("drop_path", 1.0),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("gradient_clip", 0.0),
        ("batch_size", 0),
        ("epochs", 0),
        ("precision", "float16"),
        ("numerics_version", 2),
    ],
)
def test_a_bad_value_is_refused_and_named(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{field} = "):
        Protocol().with_values({field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("dataset", "mnist"), ("holdout", -1), ("train_limit", 0), ("holdout", 0.5)],
)
def test_bad_data_options_are_refused_and_named(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{field} = "):
        DataOptions().with_values({field: value})


def test_data_options_hash_by_what_differs_from_the_defaults() -> None:
    assert DataOptions(holdout=0, dataset="cifar10").canonical() == DataOptions().canonical()
    texts = {
        options.canonical()
        for options in (
            DataOptions(),
            DataOptions(dataset="digits"),
            DataOptions(holdout=100),
            DataOptions(train_limit=100),
            DataOptions(holdout=100, train_limit=100),
        )
    }
    assert len(texts) == 5


def test_stable_hash_is_that_of_the_listed_texts() -> None:
    # printf '["a", "b"]' | sha256sum
    assert stable_hash("a", "b") == "3554d2b8a1e34099"
    assert stable_hash("a", "b", digits=8) == "3554d2b8"
    assert len({stable_hash("a", "b"), stable_hash("ab"), stable_hash("b", "a")}) == 3


@given(first=st.lists(st.text(), min_size=1), last=st.lists(st.text()), digits=st.integers(1, 64))
def test_hashes_that_share_what_comes_first_are_those_of_each_alone(
    first: list[str], last: list[str], digits: int
) -> None:
    alone = [stable_hash(*first, text, digits=digits) for text in last]
    assert stable_hashes(first, last, digits=digits) == alone

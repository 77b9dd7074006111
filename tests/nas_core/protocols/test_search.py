"""What search protocols promise: presets as in the papers, a hash for ever, errors that help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.cells.spaces import SPACES
from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from nas_core.protocols.search import (
    ATTENTION,
    NEEDS_TOPOLOGY,
    SEARCH_PRESETS,
    SearchProtocol,
    check_topology_given,
)
from nas_core.protocols.training import PRESETS, Protocol
from tests.nas_core.protocols.hashes import check_every_field_is_hashed

# DARTS' second-order search in the paper's Table II. Hashes leave defaults out: never change one.
DARTS_2ND: dict[str, Any] = {
    "cells": 8,
    "init_channels": 16,
    "epochs": 50,
    "batch_size": 64,
    "learning_rate": 0.025,
    "learning_rate_min": 0.001,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
    "crop_padding": 4,
    "flip": True,
    "cutout": 0,
    "precision": "float32",
    "numerics_version": 1,
    "images": 25_000,
    "operations": OPERATION_NAMES,
    "topology": None,
    "attention": "none",
    "alpha_order": 2,
    "alpha_every": "step",
    "alpha_at": "last",
    "alpha_learning_rate": 3e-4,
    "alpha_beta1": 0.5,
    "alpha_beta2": 0.999,
    "alpha_weight_decay": 1e-3,
    "alpha_clip": None,
    "alpha_std": 1e-3,
    "warmup_epochs": 0,
    "stop": "none",
    "stop_skips": 2,
    "stop_stable_epochs": 10,
    "partial_channels": 1,
    "edge_normalisation": False,
    "stages": (),
    "max_skips": None,
}

SS1 = ["none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"]
PINNED: dict[str, tuple[str, dict[str, Any]]] = {
    "search_darts_1st": ("00d668755358e22c", {"alpha_order": 1}),
    "search_darts_2nd": ("1a5e91ef8f4bd397", {}),
    "search_darts_20": ("c7eed3d02f13fc99", {"batch_size": 16, "cells": 20}),
    "search_subset": ("bc5587c22ba25b0e", {"images": 2500}),
    "search_sparse": ("25446b0250d4b878", {"alpha_every": "epoch", "alpha_at": "last_full"}),
    "search_subset_sparse": (
        "900fb35c42dc3c4b",
        {"alpha_every": "epoch", "alpha_at": "last_full", "images": 2500},
    ),
    "search_subspace": (
        "21ac9e9d01cb6bdf",
        {"alpha_every": "epoch", "alpha_at": "last_full", "cells": 5, "images": 2500}
        | {"operations": SS1},
    ),
    "search_edarts": (
        "a8f63489c53b5966",
        {"alpha_every": "epoch", "alpha_at": "last_full", "attention": "once", "cells": 5}
        | {"images": 2500},
    ),
    "search_pcdarts": (
        "dec3ebb0e961d925",
        {"alpha_learning_rate": 6e-4, "alpha_order": 1, "batch_size": 256, "learning_rate": 0.1}
        | {"edge_normalisation": True, "partial_channels": 4, "warmup_epochs": 15},
    ),
    "search_pdarts": (
        "466a9b24d41228a1",
        {"alpha_clip": 5.0, "alpha_learning_rate": 6e-4, "alpha_order": 1, "batch_size": 96}
        | {"cells": 5, "epochs": 25, "learning_rate_min": 0.0, "max_skips": 2}
        | {"warmup_epochs": 10}
        | {
            "stages": [
                {"cells": 5, "operations_kept": 8},
                {"cells": 11, "operations_kept": 5, "skip_dropout": 0.4},
                {"cells": 17, "operations_kept": 3, "skip_dropout": 0.7},
            ]
        },
    ),
    "search_demo": (
        "bb55135eb6121c94",
        {"alpha_every": "epoch", "alpha_at": "last_full", "attention": "once", "cells": 5}
        | {"crop_padding": 0}
        | {"flip": False, "images": 192, "init_channels": 4},
    ),
}

# Another valid value of every field that can stand alone.
OTHER_VALUES: dict[str, Any] = {
    "cells": 5,
    "init_channels": 36,
    "epochs": 99,
    "batch_size": 96,
    "learning_rate": 0.1,
    "learning_rate_min": 0.0,
    "momentum": 0.8,
    "weight_decay": 1e-4,
    "gradient_clip": 1.0,
    "crop_padding": 0,
    "flip": False,
    "cutout": 16,
    "precision": "float64",
    "images": 2_500,
    "operations": SPACES["SS1"],
    "topology": (17, 17),
    "attention": "once",
    "alpha_order": 1,
    "alpha_every": "epoch",
    "alpha_at": "last_full",
    "alpha_learning_rate": 6e-4,
    "alpha_beta1": 0.9,
    "alpha_beta2": 0.99,
    "alpha_weight_decay": 0.0,
    "alpha_clip": 5.0,
    "alpha_std": 0.0,
    "warmup_epochs": 15,
    "stop": "skips",
    "stop_skips": 3,
    "stop_stable_epochs": 5,
    "partial_channels": 4,
    "edge_normalisation": True,
    "max_skips": 2,
    "stages": [{"cells": 8, "operations_kept": 8}, {"cells": 11, "operations_kept": 5}],
}


@pytest.mark.parametrize("preset", PINNED)
def test_a_preset_and_its_hash_never_change(preset: str) -> None:
    protocol_hash, settings = PINNED[preset]
    assert json.loads(SEARCH_PRESETS[preset].canonical()) == settings
    assert SEARCH_PRESETS[preset].canonical() == json.dumps(settings, sort_keys=True)
    assert SEARCH_PRESETS[preset].protocol_hash == protocol_hash


def test_every_preset_is_pinned_here() -> None:
    assert set(SEARCH_PRESETS) == set(PINNED)
    assert not set(SEARCH_PRESETS) & set(PRESETS)


def test_defaults_are_the_second_order_search_and_never_change() -> None:
    assert SearchProtocol().model_dump() == DARTS_2ND
    assert SEARCH_PRESETS["search_darts_2nd"] == SearchProtocol()


def test_every_field_is_in_the_hash() -> None:
    check_every_field_is_hashed(SearchProtocol(), OTHER_VALUES)


def test_the_hash_of_a_search_is_never_that_of_a_training() -> None:
    assert SearchProtocol().canonical() == Protocol().canonical() == "{}"
    assert SearchProtocol().protocol_hash != Protocol().protocol_hash
    trainings = {preset.protocol_hash for preset in PRESETS.values()}
    assert not trainings & {preset.protocol_hash for preset in SEARCH_PRESETS.values()}


def test_values_written_out_hash_like_defaults() -> None:
    assert SearchProtocol(**DARTS_2ND).protocol_hash == SearchProtocol().protocol_hash
    all_at_once = SearchProtocol().with_values({"operations": "all", "stages": []})
    assert all_at_once == SearchProtocol()


def test_a_key_of_a_later_version_leaves_old_hashes_alone() -> None:
    class Later(SearchProtocol):
        label_smoothing: float = 0.0

    assert Later().protocol_hash == SearchProtocol().protocol_hash
    assert Later(alpha_order=1).protocol_hash == SEARCH_PRESETS["search_darts_1st"].protocol_hash
    assert Later(label_smoothing=0.1).protocol_hash != SearchProtocol().protocol_hash


def test_the_hash_is_the_same_in_every_process() -> None:
    program = (
        "from nas_core.protocols.search import SEARCH_PRESETS;"
        "print(*(protocol.protocol_hash for protocol in SEARCH_PRESETS.values()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "4242"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [PINNED[preset][0] for preset in SEARCH_PRESETS]


def test_settings_cannot_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SearchProtocol().cells = 5


def test_one_index_is_the_wiring_of_both_cells() -> None:
    both, listed = (SearchProtocol().with_values({"topology": value}) for value in (17, [17, 17]))
    assert both == listed
    assert both.protocol_hash == listed.protocol_hash
    assert both.topologies == (Topology.from_index(17), Topology.from_index(17))
    pair = SearchProtocol().with_values({"topology": [3, 99]})
    assert pair.topologies == (Topology.from_index(3), Topology.from_index(99))
    assert SearchProtocol().topologies is None


@pytest.mark.parametrize(
    "given", ["SS3", "none,max_pool_3x3,skip_connect, sep_conv_3x3,sep_conv_5x5", SPACES["SS3"]]
)
def test_operations_are_a_space_or_a_list_in_any_order(given: str | tuple[str, ...]) -> None:
    protocol = SearchProtocol().with_values({"operations": given})
    assert protocol.operations == SPACES["SS3"]
    backwards = SearchProtocol().with_values({"operations": list(SPACES["SS3"])[::-1]})
    assert backwards.protocol_hash == protocol.protocol_hash


def test_attention_is_the_papers() -> None:
    assert ATTENTION == {
        "sep_conv_3x3": 0.0006,
        "sep_conv_5x5": 0.0004,
        "dil_conv_5x5": -0.0006,
        "dil_conv_3x3": -0.0004,
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"operations": "SS9"}, "unknown space 'SS9': use SS8 or SS7, or all"),
        ({"operations": "sep_conv3x3,none"}, "unknown operation 'sep_conv3x3': use sep_conv_3x3"),
        ({"operations": ["none", "skip_connect"]}, "a space needs a learnable operation"),
        ({"operations": "sep_conv_3x3,sep_conv_3x3"}, "each operation once"),
        ({"max_skips": 9}, "max_skips=9 is more than the 8 edges of a cell"),
        ({"partial_channels": 3}, "partial_channels=3 must divide init_channels=16"),
        ({"partial_channels": 16}, "partial_channels=16 must .* leave 2 channels or more"),
        ({"warmup_epochs": 50}, "warmup_epochs=50 leaves no epoch of 50 for alphas"),
        ({"topology": 180}, "topology"),
        ({"topology": (0, -1)}, "topology"),
        ({"topology": (1, 2, 3)}, "topology"),
        ({"topology": True}, "topology"),
        ({"alpha_every": 0}, "alpha_every"),
        ({"alpha_every": "never"}, "alpha_every"),
        ({"alpha_order": 3}, "^alpha_order = 3"),
        ({"attention": "twice"}, "^attention = 'twice'"),
        ({"alpha_std": -1.0}, "^alpha_std = -1.0"),
        ({"images": 0}, "^images = 0"),
        ({"drop_path": 0.2}, "unknown key 'drop_path'"),
        ({"alpha_lr": 0.1}, "unknown key 'alpha_lr'"),
    ],
)
def test_what_cannot_be_searched_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SearchProtocol().with_values(values)


@pytest.mark.parametrize(
    "stages",
    [
        [{"cells": 5, "operations_kept": 8}],  # the first is not as deep as `cells` says
        [{"cells": 8, "operations_kept": 7}],  # the first does not keep all
        [{"cells": 8, "operations_kept": 8}, {"cells": 11, "operations_kept": 8}],
        [{"cells": 8, "operations_kept": 8}] + [{"cells": 9, "operations_kept": 3}] * 2,
    ],
)
def test_stages_that_do_not_narrow_are_refused(stages: list[dict[str, int]]) -> None:
    with pytest.raises(InputError, match="stages do not fit cells=8 and 8 operations"):
        SearchProtocol().with_values({"stages": stages})


def test_a_stage_keeps_two_operations_or_more() -> None:
    stages = [{"cells": 8, "operations_kept": 8}, {"cells": 9, "operations_kept": 1}]
    with pytest.raises(InputError, match=r"stages.1.operations_kept = 1"):
        SearchProtocol().with_values({"stages": stages})


def test_searches_along_a_topology_ask_for_one() -> None:
    for preset in NEEDS_TOPOLOGY:
        with pytest.raises(InputError, match=f"{preset} searches .* add --topology 17, or"):
            check_topology_given(preset, SEARCH_PRESETS[preset])
        check_topology_given(preset, SEARCH_PRESETS[preset].with_values({"topology": 17}))
    assert "search_edarts" in NEEDS_TOPOLOGY
    for preset in set(SEARCH_PRESETS) - set(NEEDS_TOPOLOGY):
        check_topology_given(preset, SEARCH_PRESETS[preset])


@pytest.mark.parametrize(
    ("rule", "images", "due"),
    [
        ({"alpha_every": "step"}, 100, [1, 2, 3, 4]),
        ({"alpha_every": 3}, 224, [3, 6]),
        ({"alpha_every": "epoch"}, 100, [4]),
        ({"alpha_every": "epoch", "alpha_at": "last_full"}, 100, [3]),
        ({"alpha_every": "epoch", "alpha_at": "last_full"}, 96, [3]),
        ({"alpha_every": "epoch", "alpha_at": "last_full"}, 10, [1]),
    ],
)
def test_alphas_learn_before_the_steps_of_their_rule(
    rule: dict[str, Any], images: int, due: list[int]
) -> None:
    protocol = SearchProtocol(batch_size=32, **rule)

    assert list(protocol.alpha_steps_due(images)) == due

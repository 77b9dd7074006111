"""The file for Ray's cluster launcher: Ray's own schema takes it, and it asks for a token."""

from __future__ import annotations

import configparser
import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config

from tests.pages import ROOT

FILE = ROOT / "deploy" / "ray-cluster.yaml"
CONFIG: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SCHEMA = json.loads(
    (Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text(encoding="utf-8")
)
STARTS = [
    command
    for group in ("head_start_ray_commands", "worker_start_ray_commands")
    for command in CONFIG[group]
    if "ray start" in command
]


def test_the_schema_that_ray_ships_takes_it_and_refuses_a_key_that_ray_does_not_know() -> None:
    jsonschema.validate(CONFIG, SCHEMA)
    with pytest.raises(jsonschema.ValidationError, match="start_commands"):
        jsonschema.validate(CONFIG | {"start_commands": []}, SCHEMA)


def test_ray_takes_every_machine_of_the_list_as_one_that_is_to_run() -> None:
    prepared = prepare_config(copy.deepcopy(CONFIG))
    jsonschema.validate(prepared, SCHEMA)
    (machines,) = prepared["available_node_types"].values()
    assert machines["min_workers"] == len(CONFIG["provider"]["worker_ips"]) == 2


def test_head_and_workers_start_with_the_token_of_this_machine() -> None:
    assert len(STARTS) == 2
    assert all(command.startswith("RAY_AUTH_MODE=token ") for command in STARTS)
    assert ("~/.ray/auth_token", "~/.ray/auth_token") in CONFIG["file_mounts"].items()
    assert "chmod 600 ~/.ray/auth_token" in CONFIG["setup_commands"]
    assert "dashboard-host" not in "".join(STARTS), "by default it is the machine's own"


def test_the_autoscaler_that_starts_each_worker_of_the_list_runs_on_the_head() -> None:
    head, _ = STARTS
    assert " RAY_enable_autoscaler_v2=0 " in head


def test_the_wheel_of_this_version_and_the_ray_of_these_tests_are_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    wheel = f"topo_sweep-{setup['metadata']['version']}-py3-none-any.whl"
    assert CONFIG["file_mounts"][f"~/{wheel}"] == f"dist/{wheel}"
    (install,) = (command for command in CONFIG["setup_commands"] if "pip install" in command)
    assert install.endswith(f" ray=={ray.__version__} ~/{wheel}")

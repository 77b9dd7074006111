"""The RayJob and its volume: fields against schemas, and what makes it safe and lasting.

The volume and the pod templates are checked against the schemas that Kubernetes publishes, the
fields of KubeRay against `rayjob.schema.json`, which says where they are from.
"""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray
import yaml

from tests.pages import ROOT

KUBERNETES = "1.32"
SCHEMA = json.loads(Path(__file__).with_name("rayjob.schema.json").read_text(encoding="utf-8"))
VOLUME, JOB = yaml.safe_load_all((ROOT / "deploy" / "rayjob.yaml").read_text(encoding="utf-8"))
CLUSTER: dict[str, Any] = JOB["spec"]["rayClusterSpec"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]


def check_pods(template: dict[str, Any]) -> None:
    """Raise where Kubernetes would not take a pod template; a Job is a resource that has one."""
    spec = {"restartPolicy": "Never"} | template["spec"]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "holder"},
        "spec": {"template": template | {"spec": spec}},
    }
    kubernetes_validate.validate(job, KUBERNETES, strict=True)


def test_kuberay_knows_every_field_of_the_job() -> None:
    jsonschema.validate(JOB, SCHEMA)


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        (("spec",), "backofLimit", 5),
        (("spec",), "backoffLimit", "5"),
        (("spec", "rayClusterSpec", "authOptions"), "mode", "tokens"),
        (("spec", "rayClusterSpec", "headGroupSpec", "rayStartParams"), "num-cpus", 0),
    ],
)
def test_a_field_that_it_does_not_know_or_of_another_type_is_found(
    where: tuple[str, ...], key: str, value: object
) -> None:
    job = copy.deepcopy(JOB)
    part = job
    for name in where:
        part = part[name]
    part[key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, SCHEMA)


def test_kubernetes_takes_the_volume_and_the_pods() -> None:
    kubernetes_validate.validate(VOLUME, KUBERNETES, strict=True)
    for group in GROUPS:
        check_pods(group["template"])


def test_a_pod_with_a_field_that_kubernetes_does_not_know_is_found() -> None:
    template = copy.deepcopy(GROUPS[0]["template"])
    template["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        check_pods(template)


def test_the_cluster_wants_the_token_of_a_secret_that_is_not_in_the_file() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token", "secretName": "topo-sweep-token"}
    assert {VOLUME["kind"], JOB["kind"]} == {"PersistentVolumeClaim", "RayJob"}


def test_results_and_data_lie_on_the_volume_that_head_and_workers_share() -> None:
    command = shlex.split(JOB["spec"]["entrypoint"])
    assert command[:2] == ["topo-sweep", "run"]
    assert "--cluster" in command
    assert "--download" in command, "the volume is empty at first"
    folders = [Path(command[command.index(option) + 1]) for option in ("--results", "--data-dir")]
    for group in GROUPS:
        (volume,) = group["template"]["spec"]["volumes"]
        (container,) = group["template"]["spec"]["containers"]
        (mount,) = container["volumeMounts"]
        assert volume["persistentVolumeClaim"]["claimName"] == VOLUME["metadata"]["name"]
        assert mount["name"] == volume["name"]
        assert all(folder.is_relative_to(mount["mountPath"]) for folder in folders)
    assert VOLUME["spec"]["accessModes"] == ["ReadWriteMany"]


def test_a_lost_head_is_replaced_and_only_workers_train_each_with_a_gpu() -> None:
    assert JOB["spec"]["backoffLimit"] > 0
    assert JOB["spec"]["shutdownAfterJobFinishes"]
    head, worker = GROUPS
    assert head["rayStartParams"]["num-cpus"] == "0"
    (container,) = worker["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert worker["minReplicas"] == worker["replicas"] == worker["maxReplicas"]


def test_the_cluster_says_the_ray_of_these_tests() -> None:
    assert CLUSTER["rayVersion"] == ray.__version__

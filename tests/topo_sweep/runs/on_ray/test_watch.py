"""Nodes that join, answer late, fail and leave, without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray import tune

from nas_core.protocols.training import DataOptions
from tests.topo_sweep.conftest import Clock
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.images import ImagesByPath
from topo_sweep.runs.on_ray import watch
from topo_sweep.runs.on_ray.nodes import versions_here
from topo_sweep.runs.on_ray.watch import OtherVersionsError, Watch, checked, places_but
from topo_sweep.store.uris import working_copy

HERE = versions_here()
OTHER = {**HERE, "torch": "0.1"}


class MadeUp:
    """A cluster: its nodes' CPUs by id, and what each has answered by now."""

    def __init__(self) -> None:
        self.cpus: dict[str, float] = {}
        self.gpus = 0.0
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.questions: dict[str, tuple[object, ...]] = {}

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {
                "NodeID": name,
                "Alive": True,
                "Resources": {"CPU": cpus, "GPU": self.gpus},
                "NodeManagerAddress": name,
            }
            for name, cpus in self.cpus.items()
        ]

    def ask(self, node_id: str, *question: object) -> str:
        self.asked.append(node_id)
        self.questions[node_id] = question
        return node_id

    def heard(self, asked: dict[str, str], _seconds: float) -> dict[str, Any]:
        return {name: self.answers[name] for name in asked if name in self.answers}


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    cluster = MadeUp()
    monkeypatch.setattr("ray.nodes", cluster.nodes)
    monkeypatch.setattr(watch, "ask", cluster.ask)
    monkeypatch.setattr(watch, "heard", cluster.heard)
    return cluster


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.json"
    path.write_text("{}", encoding="utf-8")
    return path


def test_a_sweep_that_lies_elsewhere_needs_no_folder_that_nodes_share(
    made_up: MadeUp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    manifest = working_copy("s3://bucket/results/sweep") / "sweep.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}", encoding="utf-8")
    made_up.cpus, made_up.answers = {"first": 2}, {"first": (HERE, False, None, None)}
    assert set(Watch(Execution(cluster=True, gpus=0), manifest).passed) == {"first"}
    assert caplog.records == []


def test_while_sweep_json_is_gone_nodes_join_and_nothing_is_said_of_their_folders(
    made_up: MadeUp, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = Watch(Execution(cluster=True, gpus=0), manifest)
    manifest.unlink()

    made_up.cpus, made_up.answers = {"late": 2}, {"late": (HERE, False, None, None)}
    nodes.look()

    assert (set(nodes.passed), caplog.messages) == ({"late"}, [])


def test_a_node_that_joins_counts_when_it_has_passed_and_not_before(
    made_up: MadeUp, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made_up.cpus, made_up.answers = {"first": 2}, {"first": (HERE, True, None, None)}
    nodes = Watch(Execution(cluster=True, gpus=0), manifest)
    assert (set(nodes.passed), set(nodes.refused)) == ({"first"}, set())

    made_up.cpus |= {"late": 2, "head": 0, "other": 2, "broken": 2}
    nodes.look()
    assert (set(nodes.passed), set(nodes.refused)) == ({"first"}, {"late", "other", "broken"})

    made_up.answers |= {
        "late": (HERE, False, None, None),
        "other": (OTHER, True, None, None),
        "broken": ValueError("no module"),
    }
    nodes.look()
    nodes.look()
    assert (set(nodes.passed), set(nodes.refused)) == ({"first", "late"}, {"other", "broken"})
    assert made_up.asked == ["first", "late", "other", "broken"], "each once, none that is small"
    assert [
        record.message.partition("; it gets no trial")[0][:60] for record in caplog.records
    ] == [
        "node other has torch 0.1",
        "node broken cannot say which versions it has (no module)",
        "node late: the results folder is not visible there, so check",
    ]


def test_a_node_that_stays_silent_is_named_and_gets_nothing(
    made_up: MadeUp, manifest: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    made_up.cpus = {"silent": 2}
    nodes = Watch(Execution(cluster=True, gpus=0), manifest)
    clock.now += 19
    nodes.look()
    assert (set(nodes.refused), caplog.text) == ({"silent"}, "")

    clock.now += 2
    nodes.look()
    nodes.look()
    assert (set(nodes.passed), set(nodes.refused)) == (set(), {"silent"})
    (record,) = caplog.records
    silent = "node silent does not answer in 20 s; it gets no trial before it answers"
    assert record.message == silent


def test_a_node_that_answers_late_gets_trials_from_then_on(
    made_up: MadeUp, manifest: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    made_up.cpus = {"late": 2, "other": 2}
    nodes = Watch(Execution(cluster=True, gpus=0), manifest)
    clock.now += 300
    nodes.look()
    caplog.clear()

    made_up.answers = {"late": (HERE, True, None, None), "other": (OTHER, True, None, None)}
    nodes.look()
    nodes.look()

    assert (set(nodes.passed), set(nodes.refused)) == ({"late"}, {"other"})
    assert made_up.asked == ["late", "other"]
    answered, differs = caplog.messages
    assert answered == "node late has answered; it gets trials"
    assert differs.startswith("node other has torch 0.1; it gets no trial, since")


def test_a_node_that_does_not_read_the_images_gets_no_trial_where_they_are_not_sent(
    made_up: MadeUp, manifest: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    folder, data = Path("/data"), DataOptions(dataset="cifar10")
    by_path = ImagesByPath(folder=folder, data=data, fingerprint="a fingerprint")
    made_up.cpus = {"reads": 2, "blind": 2, "slow": 2}
    blind_answer = (HERE, True, None, "finds no cifar10 there")
    made_up.answers = {"reads": (HERE, True, None, None), "blind": blind_answer}

    nodes = Watch(Execution(cluster=True, gpus=0), manifest, by_path)
    clock.now += 59
    nodes.look()
    assert (set(nodes.passed), set(nodes.refused)) == ({"reads"}, {"blind", "slow"})
    clock.now += 2
    nodes.look()

    why = "since with --no-ship-data it reads /data"
    assert caplog.messages == [
        f"node blind finds no cifar10 there; it gets no trial, {why}",
        "node slow has not read the images in 60 s; it gets no trial before it answers",
    ]
    assert made_up.questions["reads"][-3:] == ("cifar10", "/data", "a fingerprint")


def test_a_node_on_which_pytorch_finds_no_gpu_gets_no_trial(
    made_up: MadeUp, manifest: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    made_up.gpus = 1.0
    made_up.cpus = {"sees": 2, "blind": 2, "slow": 2}
    why = "lends GPUs to Ray, but PyTorch 2.0 finds no CUDA device there"
    made_up.answers = {"sees": (HERE, True, None, None), "blind": (HERE, True, why, None)}

    nodes = Watch(Execution(cluster=True, gpus=0.5), manifest)
    clock.now += 59
    nodes.look()
    assert (set(nodes.passed), set(nodes.refused)) == ({"sees"}, {"blind", "slow"})
    clock.now += 2
    nodes.look()

    assert caplog.messages == [
        f"node blind {why}; it gets no trial, since each worker gets a GPU",
        "node slow has not looked for its GPUs in 60 s; it gets no trial before it answers",
    ]
    assert made_up.questions["sees"][-1] == 0.5


def test_a_node_that_leaves_before_it_answers_is_forgotten(
    made_up: MadeUp, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made_up.cpus = {"short": 2}
    nodes = Watch(Execution(cluster=True, gpus=0), manifest)
    made_up.cpus, made_up.answers = {}, {"short": RuntimeError("gone")}
    nodes.look()

    assert (set(nodes.passed), set(nodes.refused), caplog.text) == (set(), set(), "")


def test_a_trial_may_be_placed_on_any_node_but_those_that_are_refused() -> None:
    anywhere = [places_but(2, {}), places_but(2, {"gpus": 0.0, "not_on": []})]
    elsewhere = places_but(2, {"not_on": ["aa", "bb"]})

    assert [place.required_resources for place in (*anywhere, elsewhere)] == 3 * [{"CPU": 2.0}]
    assert [place._kwargs for place in anywhere] == 2 * [{}]
    assert elsewhere._kwargs == {"bundle_label_selector": [{"ray.io/node-id": "!in(aa,bb)"}]}


def test_a_node_that_is_refused_costs_no_worker_elsewhere() -> None:
    anywhere, elsewhere = (places_but(2, {"not_on": nodes}) for nodes in ([], ["aa"]))
    more = [places_but(3, {}), places_but(2, {"gpus": 0.5})]

    assert anywhere == elsewhere, "Tune gives a worker to a trial that asks for the same"
    assert hash(anywhere) == hash(elsewhere)
    assert not {anywhere, elsewhere}.intersection(more)
    assert more[1].required_resources == {"CPU": 2.0, "GPU": 0.5}


def test_a_worker_on_a_node_that_was_not_asked_yet_refuses_to_train(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[dict[str, Any]] = []

    class Trains(tune.Trainable):
        def setup(self, config: dict[str, Any], **arguments: Any) -> None:
            begun.append(arguments)

    trainable: Any = checked(Trains)
    worker = object.__new__(trainable)
    assert trainable.__name__ == "Trains"
    worker.setup({}, images=1)
    monkeypatch.setattr(watch, "versions_here", lambda: OTHER)
    with pytest.raises(OtherVersionsError, match=r"torch 0\.1"):
        worker.setup({}, images=2)
    assert begun == [{"images": 1}]

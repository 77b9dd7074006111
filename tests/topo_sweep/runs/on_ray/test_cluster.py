"""Which cluster is looked for, and what is said where there is none."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray._private import services

from nas_core.errors import InputError
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.on_ray import cluster
from topo_sweep.runs.on_ray.cluster import connected, most_on_a_gpu, settle, workers_that_fit


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def refusal(address: str | None = None) -> str:
    """Return why no cluster was joined."""
    with (
        pytest.raises(InputError) as refused,
        connected(cluster=True, address=address, verbose=False),
    ):
        pass
    return str(refused.value)


def closed_port() -> str:
    """Return an address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize(
    "address", ["localhost", "localhost:", "localhost:port", "ray://localhost:6379", "a/b:6379"]
)
def test_an_address_of_another_form_is_refused_with_the_form(address: str) -> None:
    assert refusal(address) == f"a Ray address has the form HOST:PORT, got {address!r}"


def test_where_nobody_listens_it_is_said_who_named_the_place_and_how_to_start_a_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = closed_port()
    by_option = refusal(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    by_environment = refusal()

    assert by_option.startswith(f"no Ray cluster answers at {address} (--address): start one with")
    assert by_environment.startswith(f"no Ray cluster answers at {address} (RAY_ADDRESS): start")
    assert "topo-sweep cluster start --head" in by_option
    assert "or leave out --cluster" in by_option


@pytest.mark.parametrize("is_recorded", [False, True])
def test_the_record_of_a_dead_cluster_costs_no_time(
    is_recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = closed_port() if is_recorded else None
    monkeypatch.setattr(services, "find_gcs_addresses", frozenset)
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _folder: record)
    monkeypatch.setattr("ray.init", pytest.fail)

    line = refusal()

    assert line.startswith("no Ray cluster answers at auto (this machine, since neither")


def joined(monkeypatch: pytest.MonkeyPatch, mode: str, *, insecure: bool = False) -> str | None:
    """Join a made-up cluster that is shown a token or not; return the mode that Ray had then."""
    modes: list[str | None] = []
    monkeypatch.setattr(cluster, "mode_for", lambda _: {"RAY_AUTH_MODE": mode})
    monkeypatch.setattr(cluster, "is_loopback_only", lambda _: False)
    monkeypatch.setattr(cluster, "_described", lambda **_: "there")
    monkeypatch.setattr("ray.init", lambda **_: modes.append(os.environ.get("RAY_AUTH_MODE")))
    monkeypatch.setattr("ray.shutdown", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with connected(cluster=True, address=address, verbose=False, insecure=insecure):
            pass
    return modes.pop()


def test_a_cluster_that_asks_for_a_token_is_shown_it_and_the_next_one_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)

    assert joined(monkeypatch, "token") == "token"
    assert caplog.records == []
    assert "RAY_AUTH_MODE" not in os.environ

    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert joined(monkeypatch, "disabled") == "disabled"
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_of_a_cluster_that_lets_anybody_in_a_warning_says_what_that_means(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    joined(monkeypatch, "disabled", insecure=True)
    assert caplog.records == []

    joined(monkeypatch, "disabled")
    (record,) = caplog.records
    assert (
        "asks for no token: anybody who reaches it over the network can run any" in record.message
    )
    assert "read and change your files" in record.message


def test_what_ray_says_of_a_cluster_that_it_cannot_use_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(**_: object) -> None:
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.50.0")

    monkeypatch.setattr(cluster, "mode_for", lambda _: {"RAY_AUTH_MODE": "token"})
    monkeypatch.setattr("ray.init", refused)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = refusal(f"127.0.0.1:{listener.getsockname()[1]}")

    assert "would let this client in, but: Version mismatch" in line
    assert line.endswith("was started with: Ray: 2.50.0")


@pytest.mark.parametrize("insecure", [False, True])
@pytest.mark.parametrize("mode", [None, "token", "disabled"])
def test_ray_of_this_machine_is_told_to_ask_for_a_token_that_is_closed_to_others_before(
    mode: str | None,
    insecure: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, modes = tmp_path / ".ray" / "auth_token", []
    configured: list[str] = []
    monkeypatch.setenv("RAY_AUTH_MODE", mode or "")  # and as it was, afterwards
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", *([] if mode else ["RAY_AUTH_MODE"])):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(cluster, "Config", SimpleNamespace(initialize=configured.append))

    def init(**_: object) -> None:
        token = path.stat().st_mode & 0o777 if path.exists() else None
        modes.append((os.environ["RAY_AUTH_MODE"], token))

    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    monkeypatch.setattr(cluster, "_described", lambda **_: "here")

    with connected(cluster=False, address=None, verbose=False, insecure=insecure):
        pass

    assert modes == [("disabled", None) if mode == "disabled" else ("token", 0o600)]
    assert configured == ([] if mode == "disabled" else [""])
    assert len(caplog.messages) == (mode == "disabled" and not insecure)
    for message in caplog.messages:
        assert message.startswith("warning: Ray on this machine asks for no token: anybody")
        assert "; unset RAY_AUTH_MODE, or add --insecure" in message


def test_a_head_without_cpus_waits_for_a_machine(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resources: dict[str, float] = {}
    nodes(monkeypatch, resources)
    waited: list[float] = []

    def joins(seconds: float) -> None:
        waited.append(seconds)
        resources.update({"CPU": 4.0} if len(waited) == 3 else {})

    monkeypatch.setattr("time.sleep", joins)

    settled, words = settle(Execution(cpus=2))

    assert (settled.gpus, words) == (0.0, "2 CPUs a trial, no GPU (the cluster has no GPU)")
    assert len(waited) == 3
    assert [record.message for record in caplog.records] == [
        "no machine with a CPU has joined the cluster yet: waiting for one"
    ]


def test_an_option_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere")
    assert "got 'here'" in refusal("here")


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("TUNE_WARN_THRESHOLD_S", raising=False)
    before = dict(os.environ)

    refusal("here")

    assert dict(os.environ) == before


def nodes(monkeypatch: pytest.MonkeyPatch, *resources: dict[str, float]) -> None:
    """Let the cluster have these nodes, and one that is dead."""
    alive = [{"Alive": True, "Resources": each} for each in resources]
    dead = {"Alive": False, "Resources": {"CPU": 99.0, "GPU": 99.0}}
    monkeypatch.setattr("ray.nodes", lambda: [*alive, dead])


@pytest.mark.parametrize(
    ("execution", "workers"),
    [
        (Execution(gpus=0), 11),
        (Execution(gpus=0, cpus=2), 5),
        (Execution(gpus=0, cpus=3), 2),
        (Execution(gpus=1), 3),
        (Execution(gpus=0.25), 10),
        (Execution(gpus=0.4), 6),
        (Execution(gpus=0.1), 10),
        (Execution(gpus=0.5, cpus=4), 2),
        (Execution(gpus=2), 1),
    ],
)
def test_workers_fit_where_a_node_has_all_that_each_needs(
    execution: Execution, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes(monkeypatch, {"CPU": 8.0, "GPU": 2.0}, {"CPU": 2.0, "GPU": 1.0}, {"CPU": 1.0}, {})

    assert workers_that_fit(execution) == workers


@pytest.mark.parametrize(("pack_size", "each"), [(None, "trial"), (1, "pack"), (30, "pack")])
def test_what_a_worker_has_is_said_of_what_it_trains(
    pack_size: int | None, each: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes(monkeypatch, {"CPU": 8.0})
    asked_for = Execution(cpus=2, gpus=0, pack_size=pack_size)

    assert settle(asked_for)[1] == f"2 CPUs a {each}, no GPU"
    assert settle(Execution(pack_size=pack_size))[1] == (
        f"1 CPU a {each}, no GPU (the cluster has no GPU)"
    )


def test_what_a_worker_with_a_gpu_has_is_said_of_what_it_trains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes(monkeypatch, {"CPU": 8.0, "GPU": 1.0})
    monkeypatch.setattr("topo_sweep.runs.on_ray.cluster.check_nodes", lambda *_: None)

    assert settle(Execution(pack_size=30))[1] == "1 GPU and 1 CPU a pack"
    assert settle(Execution(gpus=0.5))[1] == "0.5 GPU and 1 CPU a trial"
    auto = Execution(gpus="auto")
    assert settle(auto) == (auto, "a part of a GPU and 1 CPU a trial"), "a worker measures it"


def test_without_a_gpu_none_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 8.0})

    settled, words = settle(Execution(gpus="auto"))

    assert (settled.gpus, words) == (0.0, "1 CPU a trial, no GPU (the cluster has no GPU)")


def test_as_many_share_a_gpu_as_its_node_has_cpus_for(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, {"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.0, "GPU": 1.0}, {"CPU": 64.0})

    assert most_on_a_gpu(Execution()) == 4
    assert most_on_a_gpu(Execution(cpus=3)) == 1
    assert most_on_a_gpu(Execution(cpus=9)) == 1
    nodes(monkeypatch, {"CPU": 64.0})
    assert most_on_a_gpu(Execution()) == 1

"""Which cluster is looked for, and what is said where there is none."""

from __future__ import annotations

import os
import socket

import pytest

from nas_core.errors import InputError
from topo_sweep.runs.on_ray.cluster import connected


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
    assert "ray start --head" in by_option
    assert "or leave out --cluster" in by_option


def test_an_option_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere")
    assert "got 'here'" in refusal("here")


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("TUNE_WARN_THRESHOLD_S", raising=False)
    before = dict(os.environ)

    refusal("here")

    assert dict(os.environ) == before

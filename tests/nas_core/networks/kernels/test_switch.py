"""For which maps the faster forms run."""

from __future__ import annotations

import pytest
import torch

from nas_core.networks.kernels import switch
from nas_core.networks.kernels.switch import edges_pay, gradients_pay, models_pay


def maps(numbers: int, device: str = "cpu") -> torch.Tensor:
    return torch.empty(1, 1, 1, numbers, device=device)


def test_gradients_pay_from_a_size_on_that_is_set_in_one_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert gradients_pay(maps(switch.GRADIENTS_FROM))
    assert not gradients_pay(maps(switch.GRADIENTS_FROM - 1))
    monkeypatch.setattr(switch, "GRADIENTS_FROM", 1)
    assert gradients_pay(maps(1))


def test_gradients_do_not_pay_on_another_device() -> None:
    assert not gradients_pay(maps(switch.GRADIENTS_FROM, "meta"))


def test_edges_pay_up_to_a_size_of_all_their_maps_and_never_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quarter = switch.EDGES_UP_TO // 4
    assert edges_pay(4, maps(quarter))
    assert not edges_pay(4, maps(quarter + 1))
    assert not edges_pay(1, maps(1))
    monkeypatch.setattr(switch, "EDGES_UP_TO", 0)
    assert not edges_pay(2, maps(1))


def test_search_networks_pay_side_by_side_up_to_a_size_on_a_cpu_and_always_elsewhere() -> None:
    cpu, other = torch.device("cpu"), torch.device("meta")
    assert models_pay(switch.MODELS_UP_TO, cpu)
    assert not models_pay(switch.MODELS_UP_TO + 1, cpu)
    assert models_pay(switch.MODELS_UP_TO + 1, other)

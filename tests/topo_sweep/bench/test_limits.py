"""What a device can do at most, from the seconds of a copy and of a product."""

from __future__ import annotations

import pytest
import torch

from topo_sweep.bench import limits
from topo_sweep.runs.device import as_worker


def test_a_copy_reads_and_writes_and_a_product_multiplies_and_adds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(limits._COPIED_BYTES, "cpu", 1000)
    monkeypatch.setitem(limits._MATRIX, "cpu", 10)

    assert limits.copied_bytes_a_second(2.0, "cpu") == 1000
    assert limits.operations_a_second(4.0, "cpu") == 500


def test_there_is_a_side_for_the_copy_and_each_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits._COPIED_BYTES, "cpu", 64)
    monkeypatch.setitem(limits._MATRIX, "cpu", 8)
    sides = limits.limit_sides("cpu", ["float32", "bfloat16"])

    assert list(sides) == [limits.COPY, "matrix product, float32", "matrix product, bfloat16"]
    assert all(side() > 0 for side in sides.values())


@pytest.mark.parametrize("left_by_others", [False, True])
def test_products_are_rounded_to_tf32_where_that_is_measured_and_nowhere_else(
    left_by_others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits._MATRIX, "cpu", 8)
    rounded: list[bool] = []

    def timed(_work: object, _device: str) -> float:
        rounded.append(torch.backends.cuda.matmul.allow_tf32)
        return 1.0

    monkeypatch.setattr(limits, "_timed", timed)
    sides = limits.limit_sides("cpu", ["tf32", "float32"])

    with as_worker(1):
        torch.backends.cuda.matmul.allow_tf32 = left_by_others
        for precision in ("tf32", "float32"):
            sides[limits.product(precision)]()
        assert torch.backends.cuda.matmul.allow_tf32 == left_by_others

    assert rounded == [True, False]


def test_the_device_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda is_there=is_there: is_there)
        assert limits.device_here() == device

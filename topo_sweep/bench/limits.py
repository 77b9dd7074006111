"""What a device can do at most: bytes a second of a large copy, products of large matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import torch

from topo_sweep.bench.turns import Side, timed

_COPIED_BYTES: Final = {"cpu": 2**28, "cuda": 2**30}
"""More than a cache holds."""
_MATRIX: Final = {"cpu": 1024, "cuda": 8192}
"""Rows and columns."""

COPY: Final = "a large copy"


def device_here() -> str:
    """Return cuda where there is a GPU, else cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def product(precision: str) -> str:
    """Return the name of the side that multiplies matrices."""
    return f"matrix product, {precision}"


def limit_sides(device: str, precisions: Iterable[str]) -> dict[str, Side]:
    """Return what measures the device, by name."""
    sides = {COPY: _copy(device)}
    return sides | {product(precision): _product(device, precision) for precision in precisions}


def copied_bytes_a_second(seconds: float, device: str) -> float:
    """Return what a copy that took so long reads and writes a second."""
    return 2 * _COPIED_BYTES[device] / seconds


def operations_a_second(seconds: float, device: str) -> float:
    """Return the multiplications and additions a second of a product that took so long."""
    return 2 * _MATRIX[device] ** 3 / seconds


def _copy(device: str) -> Side:
    source = torch.zeros(_COPIED_BYTES[device], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def copy() -> float:
        return _timed(lambda: target.copy_(source), device)

    return copy


def _product(device: str, precision: str) -> Side:
    dtype = getattr(torch, precision, torch.float32)
    left, right = (
        torch.randn(_MATRIX[device], _MATRIX[device], device=device).to(dtype) for _ in range(2)
    )

    def multiply() -> float:
        flags = torch.backends.cuda.matmul
        before, flags.allow_tf32 = flags.allow_tf32, precision == "tf32"
        try:
            return _timed(lambda: left @ right, device)
        finally:
            flags.allow_tf32 = before

    return multiply


def _timed(work: Callable[[], object], device: str) -> float:
    def finished() -> None:
        work()
        if device == "cuda":
            torch.cuda.synchronize()

    return timed(finished)

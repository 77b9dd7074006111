"""Means and seconds of the steps of an epoch.

Sums stay on the device, but a step's seconds are those until the device has done it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import torch
from torch import Tensor


class Meter:
    """Means of one kind of step over an epoch; sums stay on the device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._images = 0
        self.steps = 0
        self.seconds = 0.0

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Count the wall time of a block; a GPU's work is waited for."""
        started = time.perf_counter()
        yield
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - started

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one step."""
        self._loss += loss.detach() * len(labels)
        self._correct += (logits.argmax(dim=1) == labels).sum()
        self._images += len(labels)
        self.steps += 1

    @property
    def loss(self) -> float | None:
        """Mean loss an image; None without steps."""
        return self._loss.item() / self._images if self.steps else None

    @property
    def accuracy(self) -> float | None:
        """Fraction of the images; None without steps."""
        return self._correct.item() / self._images if self.steps else None

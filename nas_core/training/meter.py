"""What the steps of an epoch gave and how long they took, without a wait for any of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import torch
from torch import Tensor


class Meter:
    """Means of one kind of step over an epoch, of one network or of each of K models.

    Sums stay on the device: reading one each step would stall a GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._images = 0
        self.steps = 0
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Count the wall time of a block; a GPU notes it, and is not waited for."""
        if self._device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            yield
            end.record()
            self._events.append((start, end))
            return
        started = time.perf_counter()
        yield
        self._seconds += time.perf_counter() - started

    @property
    def seconds(self) -> float:
        """Wall time of all timed blocks; waits until a GPU has done the last."""
        for start, end in self._events:
            end.synchronize()
            self._seconds += start.elapsed_time(end) / 1000
        self._events.clear()
        return self._seconds

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one step: loss () or (K,), logits (..., B, classes), labels (B,) or (K, B)."""
        batch = labels.shape[-1]
        self._loss = self._loss + loss.detach().double() * batch
        self._correct = self._correct + (logits.argmax(dim=-1) == labels).sum(dim=-1)
        self._images += batch
        self.steps += 1

    def means(self) -> tuple[float, float]:
        """Return the loss an image and the fraction classified correctly; takes a step or more."""
        return self._loss.item() / self._images, self._correct.item() / self._images

    def means_by_model(self) -> list[tuple[float, float]]:
        """Return the same for each of K models."""
        sums = zip(self._loss.tolist(), self._correct.tolist(), strict=True)
        return [(loss / self._images, correct / self._images) for loss, correct in sums]

"""One trial after another in this process: what every executor does around `nas_core`.

A trial is a training (`nas_core.training.training`) or a search (`nas_core.training.search`).
"""

from __future__ import annotations

import json
import platform
import resource
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nas_core.data.splits import Split, search_split
from nas_core.errors import InputError
from nas_core.networks.evaluation import multiply_adds, parameter_count
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import SearchEpoch
from nas_core.training.search import Search
from nas_core.training.training import EpochMetrics, Training
from topo_sweep.spec.trials import Runnable, SearchTrial


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Settings that should not change a result; each row records them.

    Sums depend on their order, so CPU results are bit-identical at equal `threads` only.
    """

    threads: int = 1
    device: str = "cpu"
    pack_size: int = 1

    def to_json(self) -> str:
        """Return the text of a row's `execution` column."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one pack gets; `gpus` None means one where there are any."""

    cpus: int = 1
    gpus: float | None = None

    def execution(self) -> Execution:
        """Return how a pack with these (settled) resources trains."""
        return Execution(threads=self.cpus, device="cuda" if self.gpus else "cpu")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one trial ended; `history` holds every epoch, resumed ones too.

    `images` are those of each half that a search saw; `stopped_because` says why it ended before
    its last epoch. `peak_memory_bytes` is that of the GPU, else the greatest that the process
    has had so far, so a search on the CPU is charged with what ran there before.
    """

    status: str
    error: str | None = None
    history: tuple[EpochMetrics, ...] | tuple[SearchEpoch, ...] = ()
    parameters: int | None = None
    multiply_adds: int | None = None
    images: int | None = None
    stopped_because: str | None = None
    peak_memory_bytes: int | None = None
    device: str | None = None
    node: str | None = None
    execution: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that travels between processes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Outcome:
        """Return the outcome that `to_dict` came from."""
        history = tuple(epoch_from_dict(epoch) for epoch in value["history"])
        return cls(**{**value, "history": history})


def epoch_from_dict(value: Mapping[str, Any]) -> EpochMetrics | SearchEpoch:
    """Return the epoch whose fields these are; that of a search has alphas."""
    return SearchEpoch(**value) if "alphas" in value else EpochMetrics(**value)


Report = EpochMetrics | SearchEpoch | Outcome
"""What a running trial yields: its epochs, then its outcome."""


class TrialRunner:
    """Runs trainings and searches on one device, where the images stay.

    Args:
        split: the images, anywhere.
        execution: threads and device.
        checkpoints: folder for states of unfinished trials; where this machine does not see
            it, nothing is saved.
        checkpoint_seconds: the least time between two saves of a trial.

    Raises:
        InputError: the device is not there.

    """

    def __init__(
        self,
        split: Split,
        *,
        execution: Execution,
        checkpoints: Path | None = None,
        checkpoint_seconds: float = 20.0,
    ) -> None:
        check_device(execution.device)
        torch.set_num_threads(execution.threads)
        # By default GPUs round the inputs of convolutions to TF32, whatever the protocol says.
        torch.backends.cudnn.allow_tf32 = False
        self._execution = execution
        self._split = split.to(torch.device(execution.device))
        self._checkpoints = checkpoints
        self._checkpoint_seconds = checkpoint_seconds

    def run(self, trial: Runnable) -> Iterator[Report]:
        """Train or search; yield each new epoch and at the end the outcome.

        A trial that raises ends with a `failed` outcome: one bad trial is a row, not the end
        of a sweep.
        """
        running: Training | Search | None = None
        try:
            if self._execution.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            running = self._begun(trial)
            yield from running.epochs()
            yield self._outcome(running, "diverged" if running.diverged else "ok")
        except Exception as error:  # noqa: BLE001 - the boundary at which an error becomes a row
            yield self._outcome(running, "failed", f"{type(error).__name__}: {error}")

    def _begun(self, trial: Runnable) -> Training | Search:
        checkpoint = self._checkpoint(trial.trial_id)
        if isinstance(trial, SearchTrial):
            halves = search_split(self._split, trial.protocol.images)
            return Search(trial.protocol, halves, seed=trial.seed, checkpoint=checkpoint)
        return Training(
            trial.genotype, trial.protocol, self._split, seed=trial.seed, checkpoint=checkpoint
        )

    def _checkpoint(self, trial_id: str) -> Checkpoint | None:
        if self._checkpoints is None or not self._checkpoints.is_dir():
            return None
        path = self._checkpoints / f"{trial_id}.safetensors"
        return Checkpoint(path, key=trial_id, every_seconds=self._checkpoint_seconds)

    def _outcome(
        self, running: Training | Search | None, status: str, error: str | None = None
    ) -> Outcome:
        outcome = Outcome(
            status=status,
            error=error,
            history=_history(running),
            device=device_name(self._execution.device),
            node=platform.node(),
            execution=self._execution.to_json(),
        )
        if running is None or status == "failed":
            return outcome
        outcome = replace(outcome, parameters=parameter_count(running.network))
        if isinstance(running, Search):
            return replace(
                outcome,
                images=len(running.split.weights),
                stopped_because=running.stopped_because,
                peak_memory_bytes=self._peak_memory_bytes(),
            )
        height, width = self._split.train.pixels.shape[-2:]
        return replace(outcome, multiply_adds=multiply_adds(running.network, height, width))

    def _peak_memory_bytes(self) -> int:
        if self._execution.device == "cuda":
            return torch.cuda.max_memory_allocated()
        kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return kibibytes * 1024


def _history(
    running: Training | Search | None,
) -> tuple[EpochMetrics, ...] | tuple[SearchEpoch, ...]:
    if isinstance(running, Search):
        return tuple(running.history)
    return tuple(running.history) if running is not None else ()


def check_device(device: str) -> None:
    """Refuse a GPU that is not there: no run falls back to the CPU in silence."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"a GPU was asked for, but PyTorch {torch.__version__} finds no CUDA device on "
            f"{platform.node()}: use --gpus-per-pack 0 to train on the CPU"
        )


def device_name(device: str) -> str:
    """Return 'cpu' or the name of the GPU."""
    return torch.cuda.get_device_name() if device == "cuda" else device

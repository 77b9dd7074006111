"""One trial after another in this process: what every executor does around `nas_core.training`."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from nas_core.checkpoint import Checkpoint
from nas_core.data import Split
from nas_core.errors import InputError
from nas_core.genotype import Genotype
from nas_core.network import multiply_adds, parameter_count
from nas_core.protocol import Protocol
from nas_core.training import EpochMetrics, Training


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
    """How one trial ended; `history` holds every epoch, resumed ones too."""

    status: str
    error: str | None = None
    history: tuple[EpochMetrics, ...] = ()
    parameters: int | None = None
    multiply_adds: int | None = None
    device: str | None = None
    node: str | None = None
    execution: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that travels between processes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Outcome:
        """Return the outcome that `to_dict` came from."""
        history = tuple(EpochMetrics(**epoch) for epoch in value["history"])
        return cls(**{**value, "history": history})


class TrialRunner:
    """Runs trials of one protocol on one device, where the images stay.

    Args:
        protocol: of all trials.
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
        protocol: Protocol,
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
        self._protocol = protocol
        self._execution = execution
        self._split = split.to(torch.device(execution.device))
        self._checkpoints = checkpoints
        self._checkpoint_seconds = checkpoint_seconds

    def run(self, trial_id: str, genotype: str, seed: int) -> Iterator[EpochMetrics | Outcome]:
        """Train one network; yield each new epoch and at the end the outcome.

        A trial that raises ends with a `failed` outcome: one bad trial is a row, not the end
        of a sweep.
        """
        training: Training | None = None
        try:
            training = Training(
                Genotype.from_string(genotype),
                self._protocol,
                self._split,
                seed=seed,
                checkpoint=self._checkpoint(trial_id),
            )
            yield from training.epochs()
            yield self._outcome(training, "diverged" if training.diverged else "ok")
        except Exception as error:  # noqa: BLE001 - the boundary at which an error becomes a row
            yield self._outcome(training, "failed", f"{type(error).__name__}: {error}")

    def _checkpoint(self, trial_id: str) -> Checkpoint | None:
        if self._checkpoints is None or not self._checkpoints.is_dir():
            return None
        path = self._checkpoints / f"{trial_id}.safetensors"
        return Checkpoint(path, key=trial_id, every_seconds=self._checkpoint_seconds)

    def _outcome(self, training: Training | None, status: str, error: str | None = None) -> Outcome:
        network = training.network if training and status != "failed" else None
        height, width = self._split.train.pixels.shape[-2:]
        return Outcome(
            status=status,
            error=error,
            history=tuple(training.history) if training else (),
            parameters=parameter_count(network) if network else None,
            multiply_adds=multiply_adds(network, height, width) if network else None,
            device=device_name(self._execution.device),
            node=platform.node(),
            execution=self._execution.to_json(),
        )


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

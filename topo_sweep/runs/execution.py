"""How a run executes: where, with which resources, how often it saves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nas_core.errors import InputError


def times_in_one(part: float) -> int:
    """Return how often a part of a GPU goes into one."""
    # A tenth goes ten times, whatever floating point says.
    return int(1 / part + 1e-6)


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What should not change a result; rows record device, threads, pack size and compiled forms.

    Sums depend on their order, so CPU results are bit-identical at equal `cpus` only.

    Args:
        executor: Ray workers, or this process alone.
        cluster: join a running Ray cluster instead of starting one here.
        address: of that cluster, HOST:PORT; None looks in RAY_ADDRESS and on this machine.
        insecure: do not warn of a cluster that asks for no token.
        ship_data: images travel from here to the nodes of a cluster; otherwise each worker reads
            `data_dir` itself, by the path that it has here.
        data_dir: folder of the data set; None is $TOPO_SWEEP_DATA, else data.
        download: fetch the data set if it is not there.
        partial_data: train and test also on a part of the data set.
        cpus: threads of a pack.
        gpus: of a pack, may be a fraction of one; None is one where there are any, 'auto' there the
            part of one that its memory needs. Both are settled before anything runs.
        pack_size: trainings that a worker trains as one network at most; None trains each by the
            network of one, with PyTorch's own layers; 'auto' measures what is fastest. Packs of
            which a checkpoint is there go on whole.
        compile: whether trainings run a compiled form of their networks; 'auto' measures whether
            that pays, and is settled before anything runs. Searches never do.
        checkpoint_seconds: the least time between two saves of a trial.
        test_every: a training measures its accuracies every so many epochs, and always in its
            last. Rows are the same, but for the best test accuracy, which is the best of the
            measured ones; curves show which. Searches measure only in their last epoch.
        retries: how often a trial that failed is tried again in a run; where nothing but its
            machine was lost, that does not count.
        fail_fast: stop the run where a trial has failed for good.
        verbose: let Ray talk.

    Raises:
        InputError: options that contradict each other, an epoch that never comes, fewer retries
            than none, or one GPU and a half.

    """

    executor: Literal["ray", "inline"] = "ray"
    cluster: bool = False
    address: str | None = None
    insecure: bool = False
    ship_data: bool = True
    data_dir: Path | None = None
    download: bool = False
    partial_data: bool = False
    cpus: int = 1
    gpus: float | Literal["auto"] | None = None
    pack_size: int | Literal["auto"] | None = None
    compile: Literal["auto", "on", "off"] = "off"
    checkpoint_seconds: float = 20.0
    test_every: int = 1
    retries: int = 3
    fail_fast: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        """Refuse a cluster that nothing would run on, and every 0th epoch."""
        if self.executor == "inline" and self.cluster:
            raise InputError(
                "--executor inline trains in this process and joins no cluster: leave out "
                "--executor, or --cluster and --address"
            )
        if not (self.ship_data or self.cluster):
            raise InputError("--no-ship-data is about the nodes of a cluster: add --cluster")
        if self.test_every < 1:
            raise InputError(f"--test-every counts epochs from 1, got {self.test_every}")
        if self.retries < 0:
            raise InputError(f"--retries is 0 or more, got {self.retries}")
        gpus = self.gpus
        if isinstance(gpus, float | int) and not (0 <= gpus <= 1 or float(gpus).is_integer()):
            raise InputError(f"--gpus-per-pack is a part of one GPU, or whole ones, got {gpus:g}")

    @property
    def device(self) -> str:
        """'cuda' where a pack gets a GPU or a part of one, else 'cpu'."""
        return "cuda" if self.gpus else "cpu"

    @property
    def gpus_of_each(self) -> float:
        """What a pack gets, once that is settled; before, a GPU counts as whole."""
        return 1.0 if self.gpus == "auto" else self.gpus or 0.0

    def to_json(self, members: int | None = None, *, compiled: bool = False) -> str:
        """Return the text of a row's `execution` column; `members` are those of its pack."""
        recorded = {"device": self.device, "pack_size": members or 1, "threads": self.cpus}
        if members is not None:
            recorded["packed"] = True
        if compiled:
            recorded["compiled"] = True
        return json.dumps(recorded, sort_keys=True)

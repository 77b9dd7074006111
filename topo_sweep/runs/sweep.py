"""One run of a sweep, from the plan to the last row, whichever executor trains."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.data.splits import Dataset, Split, load_dataset, search_split, split
from nas_core.errors import InputError
from nas_core.training.search import check_searchable
from nas_core.training.training import check_trainable
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.inline import run_inline
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.plan import Plan, make_plan
from topo_sweep.runs.progress import Progress, shown
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Resources, TrialRunner, check_device
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.spec.trials import Planned, SearchTrial, Trial
from topo_sweep.store.manifest import Manifest

Say = Callable[[str], None]
"""Prints one line for the user, on stderr."""

Execute = Callable[[Plan, Agenda, Recorder, Interrupts], None]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a sweep runs; nothing here changes what its trials are.

    Raises:
        InputError: options that contradict each other.

    """

    executor: Literal["ray", "inline"] = "ray"
    cluster: bool = False
    address: str | None = None
    data_dir: Path | None = None
    download: bool = False
    resources: Resources = field(default_factory=Resources)
    checkpoint_seconds: float = 20.0
    verbose: bool = False

    def __post_init__(self) -> None:
        """Refuse a cluster that nothing would run on."""
        if self.executor == "inline" and self.cluster:
            raise InputError(
                "--executor inline trains in this process and joins no cluster: leave out "
                "--executor, or --cluster and --address"
            )


@dataclass(frozen=True)
class RunResult:
    """What a run left behind."""

    progress: Progress
    errors: tuple[str, ...]
    """One line for each trial that failed in this run."""
    interrupted: bool


def run(plan: Plan, options: RunOptions, say: Say) -> RunResult:
    """Train what is left of the plan and record it.

    Everything that can be wrong with the request is found before anything is written.

    Raises:
        InputError: data missing or changed, no cluster, no GPU, folder in use or not writable.
        StoreError: the disk filled up; all earlier rows are kept.

    """
    if plan.store.is_locked:  # say so now, not after the images are loaded
        with plan.store.lock():
            pass
    dataset = load_dataset(plan.spec.data.dataset, options.data_dir, download=options.download)
    check_fingerprint(plan.manifest, dataset)
    images = split(dataset, plan.spec.data)
    _check(plan, images)
    with _executor(options, images) as (execute, where):
        plan.store.create_folders()
        with plan.store.lock():
            # Only now: whoever asked for the impossible gets one line, which says so.
            say(f"data: {dataset.info.name}, {dataset.layout}, fingerprint {dataset.fingerprint}")
            say(where)
            for remark in _remarks(plan, images):
                say(remark)
            return _run_locked(plan, dataset, images, execute, say)


def _check(plan: Plan, images: Split) -> None:
    """Refuse what would fail in the middle of a trial."""
    searched, evaluated = {}, {}
    for trial in plan.left.values():
        if isinstance(trial, SearchTrial):
            searched[trial.protocol.protocol_hash] = trial.protocol
        elif isinstance(trial, Trial):
            check_trainable(trial.genotype, trial.protocol, images)
        else:
            evaluated[trial.protocol.protocol_hash] = trial.protocol
    for searching in searched.values():
        check_searchable(searching, search_split(images, searching.images))
    for training in evaluated.values():
        # Any cell of a search has four nodes; the rest depends on the protocol alone.
        check_trainable(KNOWN_CELLS["DARTS_V2"], training, images)


def _remarks(plan: Plan, images: Split) -> Iterator[str]:
    """Yield what to know of the searches: a small data set, attention that accumulates."""
    searches = [trial.protocol for trial in plan.left.values() if isinstance(trial, SearchTrial)]
    for size in sorted({protocol.images for protocol in searches}):
        if (half := len(images.train) // 2) < size:
            yield (
                f"searches ask for {size:,} + {size:,} images and {images.info.name} has "
                f"{len(images.train):,} here: half and half, {half:,} + {half:,}, is used"
            )
    if any(min(own.images, len(images.train) // 2) <= own.batch_size for own in searches):
        yield (
            "an epoch of a search is a single step here, so an alpha step each step and one each "
            "epoch are the same"
        )
    if any(protocol.attention == "per_update" for protocol in searches):
        yield (
            "warning: attention per_update adds w_o to the alphas at every update; that "
            "accumulates to more than Adam's steps of 3e-4 and leaves only separable convolutions; "
            "attention once is the constant offset"
        )


def _run_locked(
    plan: Plan, dataset: Dataset, images: Split, execute: Execute, say: Say
) -> RunResult:
    # Another driver may have finished some of it while this one was starting.
    plan = make_plan(plan.spec, plan.store.paths.folder.parent, retry_failed=plan.retry_failed)
    manifest = plan.manifest or _new_manifest(plan, dataset)
    check_fingerprint(manifest, dataset)
    manifest.with_request(plan.spec).write(plan.store.paths.manifest)
    progress = start_progress(plan, images=len(images.train))
    agenda = Agenda(plan.left, plan.found)
    recorder = Recorder(plan, fingerprint=dataset.fingerprint, progress=progress, agenda=agenda)
    interrupts, interrupted = Interrupts(), False
    say(f"results: {plan.store.paths.folder}")
    with interrupts.caught():
        try:
            with shown(progress, plan.store.paths.progress):
                execute(plan, agenda, recorder, interrupts)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            recorder.close()
    return RunResult(progress, tuple(recorder.errors), interrupted)


def start_progress(plan: Plan, *, images: int) -> Progress:
    """Return the progress of a plan before anything of it runs."""
    progress = Progress(
        planned=len(plan.trials),
        ok=plan.count("ok"),
        diverged=plan.count("diverged"),
        failed=0 if plan.retry_failed else plan.count("failed"),
        epochs=plan.spec.protocol.epochs,
        images=images,
        metric="val" if plan.spec.data.holdout else "test",
    )
    if isinstance(plan.spec, SearchSweep):
        progress.kinds = {trial_id: _kind(trial) for trial_id, trial in plan.trials.items()}
        progress.epochs_left = {trial_id: trial.epochs for trial_id, trial in plan.left.items()}
    return progress


def _kind(trial: Planned) -> str:
    """Return what trials share that take equally long for an epoch."""
    protocol = trial.protocol.protocol_hash
    return f"search {protocol}" if isinstance(trial, SearchTrial) else f"training {protocol}"


def check_fingerprint(manifest: Manifest | None, dataset: Dataset) -> None:
    """Refuse other pixels under the same name: their accuracies cannot be compared.

    Raises:
        InputError: names both fingerprints.

    """
    if manifest is not None and manifest.fingerprint != dataset.fingerprint:
        raise InputError(
            f"the {dataset.info.name} images differ from those of this sweep: fingerprint "
            f"{dataset.fingerprint} ({dataset.layout}), but its rows were trained on "
            f"{manifest.fingerprint} ({manifest.layout}); use the same files, or another folder "
            "with --results"
        )


def _new_manifest(plan: Plan, dataset: Dataset) -> Manifest:
    return Manifest(
        sweep=plan.spec.name,
        kind=plan.spec.kind,
        protocol=plan.spec.protocol,
        protocol_hash=plan.spec.protocol.protocol_hash,
        data=plan.spec.data,
        fingerprint=dataset.fingerprint,
        layout=dataset.layout,
    )


@contextlib.contextmanager
def _executor(options: RunOptions, images: Split) -> Iterator[tuple[Execute, str]]:
    """Yield what trains the rest of a plan, connected and checked, and what it is in words."""
    if options.executor == "inline":
        yield _inline_executor(options, images)
        return
    from topo_sweep.runs.on_ray import cluster, driver
    from topo_sweep.runs.on_ray.worker import Job

    with cluster.connected(
        cluster=options.cluster, address=options.address, verbose=options.verbose
    ) as where:
        resources, how = cluster.settle(options.resources)

        def execute(plan: Plan, agenda: Agenda, recorder: Recorder, interrupts: Interrupts) -> None:
            job = Job(
                execution=resources.execution(),
                checkpoints=plan.store.paths.checkpoints.absolute(),
                checkpoint_seconds=options.checkpoint_seconds,
            )
            driver.run_on_ray(
                agenda,
                job=job,
                arrays=images.to_arrays(),
                resources=resources,
                recorder=recorder,
                interrupts=interrupts,
            )

        yield execute, f"{where}; {how}"


def _inline_executor(options: RunOptions, images: Split) -> tuple[Execute, str]:
    gpus = options.resources.gpus
    if gpus is None:
        gpus = 1.0 if torch.cuda.is_available() else 0.0
    execution = replace(options.resources, gpus=gpus).execution()
    check_device(execution.device)

    def execute(plan: Plan, agenda: Agenda, recorder: Recorder, interrupts: Interrupts) -> None:
        runner = TrialRunner(
            images,
            execution=execution,
            checkpoints=plan.store.paths.checkpoints,
            checkpoint_seconds=options.checkpoint_seconds,
        )
        run_inline(agenda, runner, recorder, interrupts)

    return execute, f"this process alone, on the {execution.device.upper()}"

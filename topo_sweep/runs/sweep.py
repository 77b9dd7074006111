"""One run of a sweep, from the plan to the last row, whichever executor trains."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from nas_core.data.splits import Dataset, Split, load_dataset
from nas_core.networks.stack import reduction_positions
from topo_sweep.analysis.text import counted
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.compiling import check_compiler, settled_compiling
from topo_sweep.runs.device import check_precision
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.executor import Executor, connected_executor
from topo_sweep.runs.images import ImagesByPath, check_fingerprint, checked_images
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.packing.gpu_share import GpuShare, settled_sharing
from topo_sweep.runs.packing.packs import Packs, pack_id, with_packs
from topo_sweep.runs.packing.size import (
    bfloat16_remark,
    packs_of_run,
    saved_keys,
    settled_packing,
)
from topo_sweep.runs.plan import Plan, endings, make_plan
from topo_sweep.runs.progress import Progress, reported
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import (
    saved_epochs,
)
from topo_sweep.spec.trials import searches_among
from topo_sweep.store.files import remove
from topo_sweep.store.manifest import Manifest
from topo_sweep.store.parts import StoreError
from topo_sweep.store.rescued import take_back

Say = Callable[[str], None]
"""Takes one line for the user; commands print it on stderr."""


@dataclass(frozen=True)
class RunResult:
    """What a run left behind."""

    progress: Progress
    errors: tuple[str, ...]
    """One line for each trial that failed in this run."""
    interrupted: bool
    unfinished: tuple[str, ...] = ()
    """Of an interrupted run: a line for each trial that was under way, with where it goes on."""


_DEFAULT_EXECUTION: Final = Execution()


def _say_nothing(_line: str) -> None:
    pass


def run(
    plan: Plan, execution: Execution = _DEFAULT_EXECUTION, say: Say = _say_nothing
) -> RunResult:
    """Train what is left of the plan and record it.

    Everything that can be wrong with the request is found before anything is written. A progress
    line goes to stderr.

    Args:
        plan: see `make_plan`.
        execution: workers, resources and the folder of the data.
        say: is told on which data, where and what to know, a line each.

    Raises:
        InputError: data missing, not whole or changed, no cluster, no GPU, folder in use or not
            writable.
        StoreError: the folder could not be written when the run ended; says where its last rows
            are saved.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from topo_sweep import load_results, load_spec, make_plan
    >>> from topo_sweep.runs.execution import Execution
    >>> from topo_sweep.spec.load import Overrides
    >>> with tempfile.TemporaryDirectory() as results:
    ...     spec = load_spec("demo", Overrides(topologies="17", train_limit=48, epochs=1))
    ...     result = run(make_plan(spec, Path(results)), Execution(executor="inline"))
    ...     print(result.progress.done, load_results(results)["status"].tolist())
    1 ['ok']

    """
    with begun(plan, execution) as train:
        return train(plan, say)


Train = Callable[[Plan, Say], RunResult]
"""Trains what is left of a plan."""


@contextlib.contextmanager
def begun(plan: Plan, execution: Execution) -> Iterator[Train]:
    """Yield what trains a plan, and others of the same networks after it, on the same images.

    Ray is started or joined once for all of them.

    Args:
        plan: the first one.
        execution: as in `run`.

    Raises:
        InputError: as `run`, which the yielded function raises as well.

    """
    if plan.store.is_locked:  # say so now, not after the images are loaded
        with plan.store.lock():
            pass
    data = plan.spec.data
    dataset = load_dataset(data.dataset, execution.data_dir, download=execution.download)
    check_fingerprint(plan, dataset)
    images = checked_images(data, plan.left.values(), dataset, partial_data=execution.partial_data)
    by_path = None
    if not execution.ship_data:
        by_path = ImagesByPath.of(dataset, data, execution.data_dir)
    with connected_executor(execution, images, plan.store.paths, by_path) as executor:
        check_precision(plan.left.values(), executor.execution.device)
        check_compiler(plan.left.values(), executor.execution, executor.ask)

        def train(plan: Plan, say: Say) -> RunResult:
            plan.store.create_folders()
            with plan.store.lock():
                # Only now: a request that is refused gets the one line that refuses it.
                say(_data_line(dataset))
                say(executor.where)
                for remark in _remarks(plan, images):
                    say(remark)
                return _run_locked(plan, dataset, images, executor, say)

        yield train


def _data_line(dataset: Dataset) -> str:
    train, test = len(dataset.train), len(dataset.test)
    return (
        f"data: {dataset.info.name}, {train:,} training and {test:,} test images, "
        f"{dataset.layout}, fingerprint {dataset.fingerprint}"
    )


def _remarks(plan: Plan, images: Split) -> Iterator[str]:
    """Yield what to know beforehand: no normal cells, few images, attention that accumulates."""
    searches = [search.protocol for search in searches_among(plan.left.values())]
    trained = [trial.protocol for trial in plan.left.values()]
    if any(len(reduction_positions(protocol.cells)) == protocol.cells for protocol in trained):
        yield (
            "warning: networks of 1 or 2 cells have reduction cells alone, so normal cells, and "
            "their topologies, change nothing; --set cells=3 has one"
        )
    half = len(images.train) // 2
    for size in sorted({protocol.images for protocol in searches}):
        if half < size:
            yield (
                f"searches ask for {size:,} + {size:,} images and {images.info.name} has "
                f"{len(images.train):,} here: half and half, {half:,} + {half:,}, is used"
            )
    if any(min(protocol.images, half) <= protocol.batch_size for protocol in searches):
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
    plan: Plan, dataset: Dataset, images: Split, executor: Executor, say: Say
) -> RunResult:
    plan.store.tidy()
    check_fingerprint(plan, dataset)
    if count := take_back(plan.store):
        say(f"{counted(count, 'row')} that an earlier run had saved elsewhere: taken back")
    # Another driver may have finished some of it while this one was starting.
    plan = make_plan(plan.spec, plan.store.paths.folder.parent, retry_failed=plan.retry_failed)
    _forget_checkpoints(plan, plan.manifest)
    manifest = plan.manifest or new_manifest(plan, dataset)
    # A store of an earlier version does not hold them yet.
    counts = {"train_images": len(dataset.train), "test_images": len(dataset.test)}
    manifest = manifest.model_copy(update=counts).with_request(plan.spec)
    workers = executor.workers()
    manifest, packs = _put_together(plan, manifest, executor, workers, say)
    sharing, said = settled_sharing(
        plan,
        packs,
        manifest.packing,
        executor.execution,
        gpus=workers,
        most=executor.most_on_a_gpu(),
        ask=executor.ask,
    )
    if said:
        say(said)
    compiling, remark = settled_compiling(
        plan,
        packs,
        executor.execution,
        images=len(images.train),
        workers=workers,
        ask=executor.ask,
    )
    if remark:
        say(remark)
    is_compiled = compiling is not None and compiling.taken
    execution = replace(executor.execution, compile="on" if is_compiled else "off")
    settled = {"compiling": compiling, "sharing": sharing}
    manifest = manifest.model_copy(update={name: each for name, each in settled.items() if each})
    manifest.write(plan.store.paths.manifest)
    progress = Progress.of(plan, images=len(images.train))
    agenda = Agenda(plan.left, plan.cells_found, with_packs(plan.left, plan.trials, packs))
    interrupts, interrupted = Interrupts(), False
    recorder = Recorder(
        replace(plan, manifest=manifest),
        agenda,
        progress,
        fingerprint=dataset.fingerprint,
        retries=execution.retries,
        share=GpuShare(sharing),
        on_failure=interrupts.stop if execution.fail_fast else None,
    )
    say(f"results: {plan.store.paths.folder}")
    with interrupts.caught():
        try:
            with reported(progress, plan.store.paths.progress):
                executor.execute(agenda, recorder, interrupts, execution=execution)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            recorder.close()
    unfinished = _where_they_go_on(plan, recorder, list(progress.running))
    _forget_checkpoints(plan, manifest)
    return RunResult(progress, tuple(recorder.errors), interrupted, unfinished)


def _put_together(
    plan: Plan, manifest: Manifest, executor: Executor, workers: int, say: Say
) -> tuple[Manifest, Packs]:
    """Return which trainings go together, and the manifest that says so."""
    asked, execution, packing = executor.execution.pack_size, executor.execution, None
    if asked is not None:
        packing, measured = settled_packing(
            plan, asked, execution, workers=workers, ask=executor.ask
        )
        if measured:
            say(measured)
    if remark := bfloat16_remark(plan, packing, execution, executor.ask):
        say(remark)
    packs = packs_of_run(plan, packing, workers=workers)
    for what, finds_cell in (("training", False), ("search", True)):
        sizes = [len(pack) for pack in packs if plan.trials[pack[0]].finds_cell == finds_cell]
        if sizes:
            say(f"packs: {len(sizes)}, each up to {counted(max(sizes), what)} as one network")
    if packing is not None:
        manifest = manifest.model_copy(update={"packing": packing})
    return manifest.with_packs(packs), packs


def _forget_checkpoints(plan: Plan, manifest: Manifest | None) -> None:
    """Remove what is saved of what has ended, and of packs that others replace.

    A killed driver leaves it, and a worker that was cut off may save what has ended elsewhere.
    """
    with contextlib.suppress(StoreError):  # what other machines have saved elsewhere
        plan.store.refresh(whole=True, now=True)
    if not (saved := saved_keys(plan)):
        return
    statuses = endings(plan.store.trials(), plan.store.searches())
    ended = {trial_id for trial_id, status in statuses.items() if status != "failed"}
    told = [each for each in (plan.manifest, manifest) if each is not None]
    packs = {pack_id(pack): pack for each in told for pack in (*each.packs, *each.split_packs)}
    planned = () if manifest is None else manifest.packs
    for key in saved:
        members = packs.get(key, (key,))
        is_replaced = key in packs and members not in planned
        if is_replaced or ended.issuperset(members):
            remove(plan.store.paths.checkpoint(key))


def _where_they_go_on(plan: Plan, recorder: Recorder, trial_ids: list[str]) -> tuple[str, ...]:
    """Return each trial and the epoch with which another run would begin, in words."""
    keys = [recorder.checkpoint_key(trial_id) for trial_id in trial_ids]
    epochs = {key: saved_epochs(plan.store.paths, key) for key in set(keys)}
    lines = []
    for trial_id, key in zip(trial_ids, keys, strict=True):
        trial, saved = plan.trials[trial_id], epochs[key]
        first = f"goes on from epoch {saved + 1}" if saved else "starts over: no checkpoint was due"
        lines.append(f"{trial.name}, seed {trial.seed}, {first} of {trial.epochs}")
    return tuple(lines)


def new_manifest(plan: Plan, dataset: Dataset) -> Manifest:
    """Return what `sweep.json` says of a sweep that begins, but for what is asked for."""
    return Manifest(
        sweep=plan.spec.name,
        kind=plan.spec.kind,
        protocol=plan.spec.protocol,
        protocol_hash=plan.spec.protocol.protocol_hash,
        data=plan.spec.data,
        fingerprint=dataset.fingerprint,
        layout=dataset.layout,
    )

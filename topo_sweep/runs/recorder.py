"""From what workers report to rows in the store and progress on the screen."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal

from nas_core.cells.genotype import Genotype
from nas_core.training.epochs import Steps
from topo_sweep.analysis.text import counted
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.packing.gpu_share import GpuShare
from topo_sweep.runs.packing.packs import Pack, key_of, members_of
from topo_sweep.runs.plan import Plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.retries import Retries
from topo_sweep.runs.rows import Row, curve, row
from topo_sweep.runs.runner import AnyEpoch, Outcome, Report, Resumed, Together
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.buffered import BufferedWriter
from topo_sweep.store.files import remove
from topo_sweep.store.kept_manifest import KeptManifest
from topo_sweep.store.tables import TABLES

_LOGGER = logging.getLogger(__name__)


class Recorder:
    """Takes the reports of one run, in whatever order they come.

    Args:
        plan: what runs, with what `sweep.json` says now.
        fingerprint: names the exact data in every row.
        progress: kept up to date.
        agenda: is told what searches found, so that it can be evaluated, and what to try again.
        retries: of each that fails.
        share: how many packs share a GPU; fewer from when memory ran out on.
        on_failure: is called when a trial has failed for good.

    """

    def __init__(
        self,
        plan: Plan,
        agenda: Agenda,
        progress: Progress,
        *,
        fingerprint: str,
        retries: int = 0,
        share: GpuShare | None = None,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        self._plan = plan
        self._agenda = agenda
        self._progress = progress
        self._fingerprint = fingerprint
        self._retries = Retries(retries)
        self.share = share or GpuShare()
        """Tells an executor what part of a GPU a pack gets."""
        self._manifest = plan.manifest
        """What `sweep.json` should say."""
        self._kept = KeptManifest(plan.store.paths.manifest)
        self._on_failure = on_failure
        self._writer = BufferedWriter(plan.store)
        self._epochs: dict[str, list[AnyEpoch]] = {}
        self._failed: set[str] = set()
        self._tried_again: set[str] = set()
        """What failed, until its next try has reported."""
        self._pack_of: dict[str, Pack] = {}
        """Of each trial that runs in a pack."""
        self._written: set[str] = set(plan.trials) - set(plan.left)
        """Trials whose row is durable, or handed to the writer in this run."""
        self._durable = set(self._written)
        self._found: dict[str, tuple[Genotype | None, bool]] = {}
        """Of each search whose row is not durable: its cell, and whether it failed."""
        self.errors: list[str] = []
        """One line for each trial that failed in this run."""

    def start(self, trial: Runnable | Pack) -> None:
        """Note that a worker has the trial."""
        if isinstance(trial, Pack):
            for member in trial.members:
                self._pack_of[member.trial_id] = trial
                self.start(member)
        elif trial.trial_id not in self._written:
            self._progress.start(trial.trial_id)

    def take(self, trial: Runnable | Pack, report: Report | Together) -> bool:
        """Take what a trial reports; return whether it has ended."""
        if key_of(trial) in self._tried_again:
            self._tell_where_it_goes_on(trial, report)
        if isinstance(trial, Pack):
            return self._take_all(trial, report)
        assert not isinstance(report, Together), "only a pack reports for several"  # noqa: S101
        if isinstance(report, Outcome) and self._is_tried_again(trial, report):
            return True
        return self._take_one(trial, report, self._worked([report]))

    def _worked(self, reports: Iterable[Report]) -> float:
        """Return the seconds that a worker took for what it reports at once, and count them."""
        seconds = sum(each.seconds for each in reports if isinstance(each, AnyEpoch))
        self._progress.worker_seconds += seconds
        return seconds

    def _take_one(self, trial: Runnable, report: Report, worker_seconds: float) -> bool:
        if trial.trial_id in self._written:  # runs again for the sake of those beside it
            return isinstance(report, Outcome)
        match report:
            case Outcome():
                self._end(trial, report)
                return True
            case Resumed(epochs):
                self._epochs[trial.trial_id] = list(epochs)
                self._progress.start(trial.trial_id, len(epochs))
            case Steps():
                self._progress.steps(trial.trial_id, report)
            case _:
                self._epochs.setdefault(trial.trial_id, []).append(report)
                self._progress.epoch(trial.trial_id, report.epoch + 1, seconds=worker_seconds)
        return False

    def _take_all(self, pack: Pack, report: Report | Together) -> bool:
        """Take what the members of a pack report, or what ended all that had not ended."""
        if isinstance(report, Together):
            seconds = self._worked(each for _, each in report.reports)
            for number, each in report.reports:
                self._take_one(pack.members[number], each, seconds)
            if report.failure is not None:
                self._take_failure(pack, report.failure)
            elif report.is_last:
                self._agenda.pack_ended(pack)
            return report.is_last
        assert isinstance(report, Outcome), "of a pack, members tell how far they are"  # noqa: S101
        self._take_failure(pack, report)
        return True

    def _take_failure(self, pack: Pack, failure: Outcome) -> None:
        """Try a pack again, or else its halves: what one of them does costs no other its row."""
        is_one = len(pack.members) == 1
        is_alone = self.share.packs_with(pack) == 1
        does_not_fit = failure.failure == "memory" and not is_one and is_alone
        if not does_not_fit and self._is_tried_again(pack, failure):
            return
        if not is_one:
            self._split(pack, failure)
            return
        self._take_one(pack.members[0], failure, 0.0)
        self._agenda.pack_ended(pack)

    def _is_tried_again(self, trial: Runnable | Pack, outcome: Outcome) -> bool:
        """Let what failed wait for its next try, if it gets one."""
        if outcome.status != "failed":
            return False
        is_lost = outcome.failure == "machine"
        beside = self.share.packs_with(trial) if outcome.failure == "memory" else 1
        if beside > 1:
            self._share_less(trial, outcome, beside)
            return True
        epochs = max(len(self._epochs.get(each.trial_id, ())) for each in members_of(trial))
        seconds = self._retries.seconds_until(key_of(trial), epochs=epochs, is_lost=is_lost)
        if seconds is None:
            return False
        self._put_back(trial)
        self._tried_again.add(key_of(trial))
        self._agenda.again(trial, after=seconds)
        when = f"in {seconds:.0f} s" if seconds else "now"
        _LOGGER.warning("%s: %s; it is tried again %s", _named(trial), outcome.error, when)
        return True

    def _share_less(self, trial: Runnable | Pack, outcome: Outcome, beside: int) -> None:
        """Let what ran out of memory beside others go on where fewer share a GPU."""
        self.share.ran_out(beside)
        if self._manifest is not None:
            sharing = {"sharing": self.share.sharing}
            self._manifest = self._manifest.model_copy(update=sharing)
        self._write_manifest()
        self._put_back(trial)
        self._tried_again.add(key_of(trial))
        self._agenda.again(trial, after=0.0)
        now = self.share.packs
        _LOGGER.warning(
            "%s: memory ran out with up to %d on a GPU; it goes on with %s (%s)",
            *(_named(trial), beside, f"up to {now}" if now > 1 else "one to itself", outcome.error),
        )

    def _tell_where_it_goes_on(self, trial: Runnable | Pack, report: Report | Together) -> None:
        reports = [each for _, each in report.reports] if isinstance(report, Together) else [report]
        if not reports or isinstance(reports[0], Outcome):
            return
        self._tried_again.discard(key_of(trial))
        first = reports[0]
        epochs = len(first.epochs) if isinstance(first, Resumed) else 0
        where = f"goes on from epoch {epochs + 1}" if epochs else "starts over: nothing was saved"
        _LOGGER.warning("%s: %s", _named(trial), where)

    def _put_back(self, trial: Runnable | Pack) -> None:
        for each in members_of(trial):
            self._epochs.pop(each.trial_id, None)
            self._progress.put_back(each.trial_id)

    def _split(self, pack: Pack, failure: Outcome) -> None:
        """Let the members of a pack start over as two, and `sweep.json` say so first.

        They start over so that their numbers do not depend on when it failed. Where the file
        cannot be written it says so later; until then another run would split the pack again.
        """
        paths, halves = self._plan.store.paths, pack.halves
        ids = [half.trial_ids for half in halves]
        if self._manifest is not None:
            self._manifest = self._manifest.with_split(pack.trial_ids, ids)
        self._write_manifest()
        remove(paths.checkpoint(pack.pack_id))
        self._put_back(pack)
        left = [half for half in halves if not self._written.issuperset(half.trial_ids)]
        self._agenda.pack_ended(pack, *left)
        did = "do not fit into memory" if failure.failure == "memory" else "failed"
        sizes = " and ".join(str(len(each)) for each in ids)
        _LOGGER.warning(
            "%s %s as one network, they start over as %s (%s)",
            *(_named(pack), did, sizes, failure.error),
        )

    def _end(self, trial: Runnable, outcome: Outcome) -> None:
        """Write the row and the curve of a trial; then its checkpoint may go.

        A search is durable before the evaluations of what it found can start.
        """
        table = TABLES[trial.table]
        epochs = self._epochs.pop(trial.trial_id, [])
        finished_at = datetime.now(UTC)
        columns = {
            **row(trial, outcome, epochs),
            "sweep": self._plan.spec.name,
            "kind": self._plan.spec.kind_of(trial),
            "fingerprint": self._fingerprint,
            "attempt": self._plan.attempts.get(trial.trial_id, 0) + 1,
            "finished_at": finished_at,
        }
        self._written.add(trial.trial_id)
        self._note(trial, outcome, columns)
        written = self._writer.add(
            {name: columns.get(name) for name in table.schema.names},
            curve(trial, epochs, finished_at),
            table=table,
        )
        if trial.finds_cell:
            text = columns["genotype"]
            genotype = None if text is None else Genotype.from_string(text)
            self._found[trial.trial_id] = genotype, outcome.status == "failed"
            written += self._writer.flush()
        self._are_durable(written)

    def waits_for_machines(self, waits: bool) -> None:
        """Note whether no machine is there that could train."""
        self._progress.waits_for_machines = waits

    def tick(self) -> None:
        """Write rows that have waited long enough."""
        self._are_durable(self._writer.tick())

    def close(self) -> None:
        """Write every row that is left, in few parts.

        Raises:
            StoreError: they could not be written, see `BufferedWriter.close`.

        """
        self._are_durable(self._writer.close())
        self._write_manifest()

    def _note(self, trial: Runnable, outcome: Outcome, columns: Row) -> None:
        """Let the progress know how the trial ended; keep the error, or a new best accuracy."""
        self._progress.end(trial.trial_id, outcome.status)
        if outcome.status == "failed":
            self._failed.add(trial.trial_id)
            self.errors.append(f"{_named(trial)}: {outcome.error}")
            if self._on_failure is not None:
                self._on_failure()
        accuracy = columns.get(f"{self._progress.metric}_accuracy")
        best = self._progress.best
        is_result = outcome.status == "ok" and not trial.finds_cell
        is_result &= columns["kind"] == self._plan.spec.kind  # no random cell beside found ones
        if is_result and accuracy is not None and (best is None or accuracy > best[0]):
            self._progress.best = (accuracy, trial.name)

    def _are_durable(self, trial_ids: list[str]) -> None:
        """Do what waited for these rows: the store can be written, and evaluations may start."""
        if trial_ids:
            self._write_manifest()
        self._forget_checkpoints(trial_ids)
        for trial_id in filter(self._found.__contains__, trial_ids):
            genotype, has_failed = self._found.pop(trial_id)
            left_out = self._agenda.search_ended(trial_id, genotype)
            self._progress.drop(left_out, will_come=has_failed)

    def _write_manifest(self) -> None:
        """Let `sweep.json` say which packs were split, and share a GPU, if it can be written.

        And all else again, where it was removed or damaged while the sweep runs.
        """
        if self._manifest is not None:
            with contextlib.suppress(OSError):
                self._kept.keep(self._manifest)

    def _forget_checkpoints(self, trial_ids: list[str]) -> None:
        """Remove what durable rows have replaced; `--retry-failed` goes on from the others.

        That of a pack goes with the last row of its members, since a pack goes on whole; what one
        of them saved alone, in another run, with its own.
        """
        self._durable.update(trial_ids)
        for trial_id in trial_ids:
            needed_by = {trial_id: {trial_id}}
            if pack := self._pack_of.get(trial_id):
                needed_by[pack.pack_id] = set(pack.trial_ids)
            for key, ids in needed_by.items():
                if ids <= self._durable and not ids & self._failed:
                    remove(self._plan.store.paths.checkpoint(key))

    def checkpoint_key(self, trial_id: str) -> str:
        """Return under which id a trial that began is saved: its own, or that of its pack."""
        pack = self._pack_of.get(trial_id)
        return trial_id if pack is None else pack.pack_id


def _named(trial: Runnable | Pack) -> str:
    if isinstance(trial, Pack):
        what = "search" if trial.members[0].finds_cell else "training"
        return counted(len(trial.members), what)
    return f"{trial.name}, seed {trial.seed}"


def failed(
    error: BaseException | str, failure: Literal["error", "memory", "machine"] = "error"
) -> Outcome:
    """Return the outcome of a trial whose worker is gone."""
    text = " ".join(str(error).split())[:500]
    return Outcome(status="failed", error=text, failure=failure)

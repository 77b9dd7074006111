"""What runs out of a GPU's memory beside others goes on where fewer share it; alone it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.disk import full_disk
from tests.topo_sweep.conftest import FINGERPRINT
from tests.topo_sweep.runs.recorder_run import IDS, SPEC, Run, ended, metrics
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.packing.gpu_share import GpuShare
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.recorder import Recorder, failed
from topo_sweep.runs.runner import Resumed, Together
from topo_sweep.store.manifest import Sharing, read_manifest

TRIALS = list(SPEC.trials().values())
PACK = Pack(tuple(TRIALS[:3]))
NO_ROOM = failed("OutOfMemoryError: CUDA out of memory", failure="memory")


class Shared(Run):
    """A recorder at work of whose trials four share a GPU."""

    def __init__(self, results: Path) -> None:
        super().__init__(results)
        self.share = GpuShare(Sharing(asked=0.25, packs=4))
        self.agenda = Agenda({}, {})
        self.recorder = Recorder(
            self.plan, self.agenda, self.progress, fingerprint=FINGERPRINT, share=self.share
        )

    def begin(self, *units: Pack | object) -> None:
        for unit in units:
            self.share.begins(unit)  # type: ignore[arg-type]
            self.recorder.start(unit)  # type: ignore[arg-type]

    @property
    def written(self) -> Sharing | None:
        """What `sweep.json` says."""
        return read_manifest(self.store.paths.manifest).sharing


@pytest.fixture
def run(tmp_path: Path) -> Shared:
    return Shared(tmp_path)


def test_trials_that_ran_out_beside_others_go_on_and_are_no_failed_rows(
    run: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    run.begin(*TRIALS[:2])
    for trial in TRIALS[:2]:
        run.report(trial.trial_id, metrics(0), NO_ROOM)

    assert [run.agenda.next(), run.agenda.next()] == TRIALS[:2]
    assert (run.share.packs, run.progress.running, run.recorder.errors) == (2, {}, [])
    assert run.written == Sharing(asked=0.25, packs=2, ran_out_at=(4,))
    assert caplog.records[0].message == (
        "topology 0, seed 0: memory ran out with up to 4 on a GPU; it goes on with up to 2 "
        "(OutOfMemoryError: CUDA out of memory)"
    )
    run.begin(TRIALS[0])
    run.report(IDS[0], NO_ROOM)
    assert run.agenda.next() == TRIALS[0]
    run.begin(TRIALS[0])
    run.report(IDS[0], Resumed((metrics(0),)), *ended("ok", metrics(1)))
    run.recorder.close()
    assert run.written == Sharing(asked=0.25, packs=1, ran_out_at=(4, 2))
    assert [(row["trial_id"], row["status"]) for _, row in run.store.trials().iterrows()] == [
        (IDS[0], "ok")
    ]
    assert "it goes on with one to itself (" in caplog.text
    assert "topology 0, seed 0: goes on from epoch 2" in caplog.text


def test_a_pack_is_split_only_where_it_was_alone(run: Shared) -> None:
    checkpoint = run.checkpoint(PACK.pack_id)
    for packs in (2, 1):
        run.begin(PACK)
        run.recorder.take(PACK, Together((), is_last=True, failure=NO_ROOM))
        assert run.share.packs == packs
        assert run.agenda.next() == PACK
        assert not read_manifest(run.store.paths.manifest).split_packs
    assert checkpoint.exists()

    run.begin(PACK)
    run.recorder.take(PACK, Together((), is_last=True, failure=NO_ROOM))

    assert run.agenda.next() == PACK.halves[0]
    assert read_manifest(run.store.paths.manifest).split_packs == (PACK.trial_ids,)
    assert run.written == Sharing(asked=0.25, packs=1, ran_out_at=(4, 2))


def test_a_single_network_that_had_a_gpu_to_itself_fails_and_says_why(run: Shared) -> None:
    for _ in range(3):
        run.begin(TRIALS[0])
        run.report(IDS[0], NO_ROOM)
        run.agenda.next()
    run.recorder.close()

    row = run.row(IDS[0])
    assert (row["status"], row["error"]) == ("failed", "OutOfMemoryError: CUDA out of memory")


def test_what_fails_otherwise_leaves_the_gpu_as_shared_as_it_is(run: Shared) -> None:
    run.begin(TRIALS[0])
    run.report(IDS[0], failed("it crashed"))
    run.recorder.close()

    assert (run.share.packs, run.row(IDS[0])["status"], run.written) == (4, "failed", None)


def test_that_fewer_share_a_gpu_is_written_when_it_can_be(
    run: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.begin(TRIALS[0])
    with monkeypatch.context() as patch:
        patch.setattr("topo_sweep.store.manifest.write_durably", full_disk)
        run.report(IDS[0], NO_ROOM)
    assert run.written is None

    run.recorder.close()

    assert run.written == Sharing(asked=0.25, packs=2, ran_out_at=(4,))

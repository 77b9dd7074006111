"""What members of a pack report together is recorded of each, and of each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.disk import full_disk
from tests.topo_sweep.conftest import Clock
from tests.topo_sweep.runs.recorder_run import IDS, SPEC, Run, ended, metrics
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.recorder import failed
from topo_sweep.runs.runner import Resumed, Together
from topo_sweep.store.manifest import read_manifest

TRIALS = list(SPEC.trials().values())
PACK = Pack(tuple(TRIALS[:3]))
NO_ROOM = failed("no room", failure="memory")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def together(*numbers: int, epoch: int | None = None, is_last: bool = False) -> Together:
    """Return an epoch of these members, or that they ended well."""
    (outcome,) = ended("ok")
    report = outcome if epoch is None else metrics(epoch)
    return Together(tuple((number, report) for number in numbers), is_last=is_last)


def statuses(run: Run) -> dict[str, str]:
    rows = run.store.trials()
    return dict(zip(rows["trial_id"], rows["status"], strict=True))


def test_each_member_is_a_row_with_its_curve(run: Run) -> None:
    run.recorder.start(PACK)
    assert run.progress.running == dict.fromkeys(IDS[:3], 0)

    assert not run.recorder.take(PACK, together(0, 1, 2, epoch=0))
    assert not run.recorder.take(PACK, Together(((1, ended("diverged")[-1]),)))
    assert not run.recorder.take(PACK, together(0, 2, epoch=1))
    assert run.recorder.take(PACK, together(0, 2, is_last=True))
    run.recorder.close()

    assert statuses(run) == dict(zip(IDS[:3], ("ok", "diverged", "ok"), strict=True))
    assert [run.curve(trial_id) for trial_id in IDS[:3]] == [[0, 1], [0], [0, 1]]
    assert not run.progress.running


def test_what_ends_a_pack_of_one_for_good_is_its_row(run: Run) -> None:
    alone = Pack(tuple(TRIALS[:1]))
    run.recorder.start(alone)
    run.recorder.take(alone, together(0, epoch=0))

    assert run.recorder.take(alone, failed("the worker died"))
    run.recorder.close()

    assert statuses(run) == {IDS[0]: "failed"}
    assert run.recorder.errors == ["topology 0, seed 0: the worker died"]


@pytest.mark.parametrize("is_told", [False, True], ids=["worker", "pack"])
def test_of_a_pack_that_fails_each_time_all_start_over_as_two_but_those_that_had_ended(
    is_told: bool, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.recorder.start(PACK)
    run.recorder.take(PACK, together(0, 1, 2, epoch=0))
    run.recorder.take(PACK, Together(((0, ended("diverged")[-1]),)))
    failure = failed("it crashed")

    ending = Together((), is_last=True, failure=failure) if is_told else failure
    assert run.recorder.take(PACK, ending)
    run.recorder.close()

    assert statuses(run) == {IDS[0]: "diverged"}
    assert read_manifest(run.store.paths.manifest).split_packs == (PACK.trial_ids,)
    assert [record.message for record in caplog.records] == [
        "3 trainings failed as one network, they start over as 1 and 2 (it crashed)"
    ]


def test_the_checkpoint_of_a_pack_goes_when_its_last_row_is_durable(run: Run) -> None:
    checkpoint = run.checkpoint(PACK.pack_id)
    run.recorder.start(PACK)
    run.recorder.take(PACK, together(0, 1, 2, epoch=0))
    run.recorder.take(PACK, Together(((1, ended("diverged")[-1]),)))
    run.recorder.close()
    assert checkpoint.exists(), "the pack may have to go on whole"

    run.recorder.take(PACK, together(0, 2, is_last=True))
    run.recorder.close()

    assert not checkpoint.exists()


def test_what_a_member_saved_alone_before_goes_with_its_row(run: Run) -> None:
    own, other = (run.checkpoint(trial_id) for trial_id in IDS[:2])
    run.recorder.start(PACK)
    run.recorder.take(PACK, Together(((0, ended("diverged")[-1]),)))
    run.recorder.close()

    assert not own.exists()
    assert other.exists()


def test_the_checkpoint_stays_where_a_member_failed(run: Run) -> None:
    alone = Pack(tuple(TRIALS[:1]))
    checkpoint = run.checkpoint(alone.pack_id)
    run.recorder.start(alone)
    run.recorder.take(alone, failed("the worker died"))
    run.recorder.close()

    assert checkpoint.exists(), "another try goes on from it"


def test_the_members_of_a_pack_that_did_not_fit_into_memory_wait_and_start_over_as_two(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint, (first, second) = run.checkpoint(PACK.pack_id), PACK.halves
    run.recorder.start(PACK)
    run.recorder.take(PACK, together(0, 1, 2, epoch=0))

    assert run.recorder.take(PACK, Together((), is_last=True, failure=NO_ROOM))

    assert not run.progress.running
    manifest = read_manifest(run.store.paths.manifest)
    assert manifest.split_packs == (PACK.trial_ids,)
    assert manifest.packs == (first.trial_ids, second.trial_ids)
    assert not checkpoint.exists()
    assert [record.message for record in caplog.records] == [
        "3 trainings do not fit into memory as one network, they start over as 1 and 2 (no room)"
    ]
    run.recorder.start(second)
    run.recorder.take(second, together(0, 1, epoch=0))
    run.recorder.take(second, together(0, 1, is_last=True))
    run.recorder.close()
    assert statuses(run) == dict.fromkeys(IDS[1:3], "ok")
    assert run.row(IDS[1])["train_seconds"] == metrics(0).seconds, "of the second start alone"


def test_an_epoch_takes_a_worker_what_its_members_take_together(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[float] = []
    monkeypatch.setattr(
        type(run.progress), "epoch", lambda *_, **values: seconds.append(values["seconds"])
    )

    run.recorder.start(PACK)
    run.recorder.take(PACK, Together(tuple((n, metrics(0, seconds=2.0)) for n in range(3))))

    assert seconds == [6.0] * 3


def test_seconds_of_a_worker_count_once_whoever_shares_them_and_whatever_is_recorded(
    tmp_path: Path,
) -> None:
    first = Run(tmp_path)
    first.report(IDS[1], metrics(0, seconds=5.0), *ended("ok"))
    first.recorder.close()
    assert first.progress.worker_seconds == 5.0
    run, saved = Run(tmp_path), Resumed((metrics(0, seconds=9.0),))

    run.recorder.start(PACK)
    run.recorder.take(PACK, Together(tuple((number, saved) for number in range(3))))
    run.recorder.take(PACK, Together(tuple((n, metrics(1, seconds=2.0)) for n in range(3))))

    assert run.progress.worker_seconds == 6.0, "the member that has a row trains again too"


def test_a_member_that_has_a_row_runs_beside_the_others_unrecorded(tmp_path: Path) -> None:
    first = Run(tmp_path)
    first.report(IDS[1], metrics(0, test_accuracy=0.5), *ended("ok"))
    first.recorder.close()
    run = Run(tmp_path)

    run.recorder.start(PACK)
    assert set(run.progress.running) == {IDS[0], IDS[2]}
    run.recorder.take(PACK, together(0, 1, 2, epoch=0))
    assert run.recorder.take(PACK, together(0, 1, 2, is_last=True))
    run.recorder.close()

    assert statuses(run) == dict.fromkeys(IDS[:3], "ok")
    assert run.row(IDS[1])["test_accuracy"] == 0.5


@pytest.mark.parametrize("retries", [0, 2])
def test_a_pack_whose_machine_was_lost_goes_on_elsewhere_however_often(
    retries: int, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path, retries=retries)
    run.agenda.pack_ended(PACK)  # the agenda of a run of single trials
    while run.agenda.next() is not None:
        pass
    checkpoint = run.checkpoint(PACK.pack_id)
    for _ in range(5):
        run.recorder.start(PACK)
        run.recorder.take(PACK, together(0, 1, 2, epoch=0))
        assert run.recorder.take(PACK, failed("it was lost", failure="machine"))
        assert not run.progress.running
        clock.now += 60
        assert run.agenda.next() == PACK
    run.recorder.close()

    assert checkpoint.exists()
    assert run.store.trials().empty
    assert caplog.records[0].message == "3 trainings: it was lost; it is tried again now"


def test_a_pack_that_crashed_is_tried_again_whole_before_it_is_split(tmp_path: Path) -> None:
    run = Run(tmp_path, retries=1)
    checkpoint = run.checkpoint(PACK.pack_id)
    run.recorder.start(PACK)
    run.recorder.take(PACK, failed("it crashed"))
    assert checkpoint.exists()
    assert not read_manifest(run.store.paths.manifest).split_packs

    run.recorder.start(PACK)
    run.recorder.take(PACK, failed("it crashed"))

    assert not checkpoint.exists()
    assert read_manifest(run.store.paths.manifest).split_packs == (PACK.trial_ids,)


def test_a_pack_that_gets_further_each_time_is_tried_again_however_often(tmp_path: Path) -> None:
    run = Run(tmp_path, retries=1)
    for epoch in range(5):
        run.recorder.start(PACK)
        saved = tuple(metrics(number) for number in range(epoch))
        run.recorder.take(PACK, Together(tuple((n, Resumed(saved)) for n in range(3))))
        run.recorder.take(PACK, together(0, 1, 2, epoch=epoch))
        run.recorder.take(PACK, failed("it was killed"))
    assert not read_manifest(run.store.paths.manifest).split_packs

    run.recorder.start(PACK)
    run.recorder.take(PACK, failed("it was killed"))

    assert read_manifest(run.store.paths.manifest).split_packs == (PACK.trial_ids,)


@pytest.mark.parametrize(("saved", "where"), [(2, "goes on from epoch 3"), (0, "starts over")])
def test_it_is_said_where_what_failed_goes_on(
    saved: int, where: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.recorder.start(PACK)
    run.recorder.take(PACK, failed("it was lost", failure="machine"))
    caplog.clear()

    if saved:
        epochs = tuple(metrics(number) for number in range(saved))
        run.recorder.take(PACK, Together(tuple((n, Resumed(epochs)) for n in range(3))))
    for epoch in range(saved, 4):
        run.recorder.take(PACK, together(0, 1, 2, epoch=epoch))

    (record,) = caplog.records
    assert record.message.startswith(f"3 trainings: {where}")


def test_a_trial_that_gets_further_each_time_is_tried_again_however_often(tmp_path: Path) -> None:
    run = Run(tmp_path, retries=1)
    for epoch in range(4):
        run.start(IDS[0])
        saved = tuple(metrics(number) for number in range(epoch))
        run.report(IDS[0], Resumed(saved), metrics(epoch), failed("it was killed"))
    assert run.recorder.errors == []

    run.report(IDS[0], failed("it was killed"))

    assert run.recorder.errors == ["topology 0, seed 0: it was killed"]


def test_it_is_said_of_a_single_trial_too(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    trial = TRIALS[0]
    run.recorder.start(trial)
    run.recorder.take(trial, failed("it was lost", failure="machine"))
    run.recorder.take(trial, failed("it was lost", failure="machine"))
    run.recorder.take(trial, Resumed((metrics(0),)))

    assert [record.message for record in caplog.records[2:]] == [
        f"{trial.name}, seed 0: goes on from epoch 2"
    ]


@pytest.mark.parametrize("is_torn", [False, True], ids=["removed", "torn"])
def test_where_sweep_json_is_lost_meanwhile_it_is_written_again_with_what_is_new(
    is_torn: bool, run: Run
) -> None:
    path = run.store.paths.manifest
    before = read_manifest(path)

    def lose() -> None:
        path.write_bytes(path.read_bytes()[:100]) if is_torn else path.unlink()

    lose()
    run.recorder.take(PACK, NO_ROOM)
    halved = before.with_split(PACK.trial_ids, [half.trial_ids for half in PACK.halves])
    assert read_manifest(path) == halved

    lose()
    run.report(IDS[3], metrics(0), *ended("ok"))
    assert read_manifest(path) == halved

    lose()
    run.recorder.close()
    assert read_manifest(path) == halved


def test_that_a_pack_was_split_is_written_when_it_can_be(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = PACK.halves
    run.recorder.start(PACK)
    with monkeypatch.context() as patch:
        patch.setattr("topo_sweep.store.manifest.write_durably", full_disk)
        patch.setattr(Path, "unlink", full_disk)
        assert run.recorder.take(PACK, NO_ROOM)
    assert not read_manifest(run.store.paths.manifest).split_packs

    run.recorder.start(second)
    run.recorder.take(second, together(0, 1, epoch=0))
    run.recorder.take(second, together(0, 1, is_last=True))
    run.recorder.tick()

    assert statuses(run) == {second.trial_ids[0]: "ok"}, "the other one waits in a burst"
    manifest = read_manifest(run.store.paths.manifest)
    assert manifest.split_packs == (PACK.trial_ids,)
    assert manifest.packs == (first.trial_ids, second.trial_ids)

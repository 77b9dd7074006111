"""Which trainings go together, and that a packed sweep loses, repeats and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from nas_core.training.pack import PackTraining
from nas_core.training.training import Training
from tests.conftest import comparable
from tests.topo_sweep.runs.pack_run import curves, interrupt, spec, swept
from topo_sweep.runs import sweep
from topo_sweep.runs.packing.packs import pack_id
from topo_sweep.runs.packing.size import saved_keys
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.sweep import RunResult
from topo_sweep.store.manifest import read_manifest
from topo_sweep.store.opened import load_results, open_sweep


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run of two packs; only to be looked at."""
    results = tmp_path_factory.mktemp("together")
    swept(results, pack_size=2)
    return results


@pytest.mark.slow
def test_the_rows_of_a_pack_are_those_of_its_trainings_alone(
    together: Path, tmp_path: Path
) -> None:
    swept(tmp_path, pack_size=None)

    ours, theirs = (comparable(path).drop(columns="execution") for path in (together, tmp_path))
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)
    execution = [json.loads(text) for text in load_results(together)["execution"]]
    assert [(how["pack_size"], how["packed"]) for how in execution] == [(2, True)] * 4
    pd.testing.assert_frame_equal(curves(together), curves(tmp_path), rtol=1e-9)


def test_packs_are_planned_once_and_leave_no_checkpoint(together: Path) -> None:
    paths = open_sweep(together).store.paths

    packs = read_manifest(paths.manifest).packs

    assert [len(pack) for pack in packs] == [2, 2]
    assert [key for pack in packs for key in pack] == list(spec().trials())
    assert not list(paths.checkpoints.iterdir())


def stopped(
    results: Path, monkeypatch: pytest.MonkeyPatch, *, pack_size: int, after: int
) -> RunResult:
    """Run until so many epochs of packs are over, and then Ctrl-C."""
    with monkeypatch.context() as patch:
        interrupt(patch, after=after)
        result = swept(results, pack_size=pack_size)
    assert result.interrupted
    return result


@pytest.mark.slow
def test_packs_that_were_only_planned_are_planned_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path, monkeypatch, pack_size=1, after=0)

    swept(tmp_path, pack_size=4)

    assert [len(p) for p in read_manifest(open_sweep(tmp_path).store.paths.manifest).packs] == [4]


@pytest.mark.slow
@pytest.mark.parametrize("pack_size", [None, 2])
def test_a_pack_that_has_a_checkpoint_goes_on_whole_whatever_is_asked_for_then(
    pack_size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path, monkeypatch, pack_size=4, after=1)
    checkpoints = open_sweep(tmp_path).store.paths.checkpoints
    assert len(list(checkpoints.iterdir())) == 1

    with monkeypatch.context() as patch:
        interrupt(patch, after=2)  # of three epochs one is done
        assert swept(tmp_path, pack_size=pack_size).progress.ok == 4

    rows = load_results(tmp_path)
    assert {json.loads(text)["pack_size"] for text in rows["execution"]} == {4}
    assert not list(checkpoints.iterdir())


@pytest.mark.slow
def test_nothing_of_a_pack_stays_behind_where_the_run_that_replaced_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path, monkeypatch, pack_size=4, after=1)
    narrower = spec().model_copy(update={"topologies": (0, 17)})

    with monkeypatch.context() as patch:
        interrupt(patch, after=0)
        assert swept(tmp_path, pack_size=4, sweep=narrower).interrupted

    assert not list(open_sweep(tmp_path).store.paths.checkpoints.iterdir())


@pytest.mark.slow
def test_what_was_begun_alone_goes_on_alone_where_the_others_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, after=4, kind=Training)
        assert swept(tmp_path, pack_size=None).interrupted
    paths = open_sweep(tmp_path).store.paths
    first, begun, *others = list(spec().trials())
    assert saved_keys(make_plan(spec(), tmp_path)) == {begun}

    with monkeypatch.context() as patch:
        interrupt(patch, after=2, kind=Training)  # of three epochs one is done
        assert not swept(tmp_path, pack_size=4).interrupted

    assert read_manifest(paths.manifest).packs == (tuple(others),)
    assert not list(paths.checkpoints.iterdir())
    rows = load_results(tmp_path).set_index("trial_id").loc[[first, begun, *others]]
    assert [json.loads(text)["pack_size"] for text in rows["execution"]] == [1, 1, 2, 2]


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 4])
def test_a_pack_that_was_interrupted_goes_on_to_the_same_rows(
    epochs: int, together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stopped(tmp_path, monkeypatch, pack_size=2, after=epochs)
    assert [text.partition(", seed 0, ")[2] for text in first.unfinished] == [
        f"goes on from epoch {epochs % 3 + 1} of 3"
    ] * 2

    assert not swept(tmp_path, pack_size=2).interrupted

    pd.testing.assert_frame_equal(comparable(tmp_path), comparable(together), check_exact=True)


@pytest.mark.slow
def test_a_checkpoint_is_read_once_to_tell_where_all_of_its_members_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def saved_epochs(_: object, key: str) -> int:
        read.append(key)
        return 1

    monkeypatch.setattr(sweep, "saved_epochs", saved_epochs)

    result = stopped(tmp_path, monkeypatch, pack_size=4, after=1)

    assert read == [pack_id(spec().trials())]
    assert len(result.unfinished) == 4
    assert all("goes on from epoch 2 of 3" in line for line in result.unfinished)


@pytest.mark.slow
def test_a_member_whose_row_is_there_keeps_it_where_the_pack_runs_again(
    together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = PackTraining.reports

    def lost(self: PackTraining) -> object:
        """Let the first member diverge, and end the process before the others end."""
        self.network.extract(0)["classifier.bias"].fill_(float("inf"))
        for epoch in reports(self):
            yield epoch
            if len(self.history) == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PackTraining, "reports", lost)
        assert swept(tmp_path, pack_size=2).interrupted
    before = load_results(tmp_path)
    assert before["status"].tolist() == ["diverged"]

    result = swept(tmp_path, pack_size=2)

    assert (result.progress.ok, result.progress.diverged) == (3, 1)
    after = load_results(tmp_path).set_index("trial_id")
    assert after.loc[before["trial_id"].iloc[0], "finished_at"] == before["finished_at"].iloc[0]
    others = comparable(together).set_index("trial_id").drop(before["trial_id"])
    pd.testing.assert_frame_equal(
        comparable(tmp_path).set_index("trial_id").loc[others.index], others, check_exact=True
    )


@pytest.mark.slow
def test_members_of_a_pack_that_raises_fail_alone_and_can_be_tried_again(
    together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ValueError("bad")

    with monkeypatch.context() as patch:
        patch.setattr(PackTraining, "run_epoch", broken)
        result = swept(tmp_path, pack_size=2)
    assert result.progress.failed == 4
    assert set(load_results(tmp_path)["error"]) == {"ValueError: bad"}

    assert swept(tmp_path, pack_size=2, retry_failed=True).progress.ok == 4

    differs = ["attempt", "execution"]
    ours, theirs = (comparable(path).drop(columns=differs) for path in (tmp_path, together))
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-6)


@pytest.mark.slow
def test_a_store_of_an_earlier_version_goes_on_with_the_packs_that_it_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path, monkeypatch, pack_size=2, after=0)
    path = open_sweep(tmp_path).store.paths.manifest
    earlier = json.loads(path.read_text(encoding="utf-8"))
    ids = [key for pack in earlier["packs"] for key in pack]
    planned = [ids[:1], ids[1:2], ids[2:]]
    del earlier["packing"], earlier["split_packs"], earlier["digest"]
    path.write_text(json.dumps(earlier | {"packs": planned}), encoding="utf-8")

    swept(tmp_path, pack_size=2)

    assert [list(pack) for pack in read_manifest(path).packs] == planned
    rows = load_results(tmp_path).set_index("trial_id").loc[ids]
    assert [json.loads(text)["pack_size"] for text in rows["execution"]] == [1, 1, 2, 2]

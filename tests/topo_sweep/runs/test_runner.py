"""What a runner yields of a search: its epochs, then how it ended."""

from __future__ import annotations

import json
import weakref
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import torch

import nas_core.training.search
import nas_core.training.search_state
from nas_core.cells.genotype import Genotype
from nas_core.data.splits import Split, load_dataset, split
from nas_core.training.epochs import SearchEpoch, Steps
from nas_core.training.pack import PackTraining
from nas_core.training.search import Search
from tests.topo_sweep.conftest import small_spec
from tests.topo_sweep.runs.search_run import search_of, search_spec
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.runner import (
    Outcome,
    Together,
    TrialRunner,
    is_out_of_memory,
)
from topo_sweep.spec.trials import SearchTrial, Trial
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.uris import working_copy

SPEC = search_spec(seeds=(0, 1), evaluation_seeds=(0, 1))
LONGER = search_spec(search=SPEC.search | {"epochs": 3}, evaluation_seeds=(0,))


@pytest.fixture(scope="module")
def digits() -> Split:
    return split(load_dataset("digits"), SPEC.data)


def reports(images: Split, trial: Trial | SearchTrial) -> tuple[list[SearchEpoch], Outcome]:
    *epochs, outcome = TrialRunner(images, execution=Execution()).run(trial)
    assert isinstance(outcome, Outcome)
    return [epoch for epoch in epochs if isinstance(epoch, SearchEpoch)], outcome


@pytest.mark.slow
def test_a_runner_yields_each_epoch_of_a_search_and_then_its_outcome(digits: Split) -> None:
    epochs, outcome = reports(digits, search_of(LONGER))

    assert [epoch.epoch for epoch in epochs] == [0, 1, 2]
    assert outcome.status == "ok"
    assert outcome.error is None
    assert outcome.facts["images"] == 32
    assert outcome.facts["parameters"] > 0
    assert outcome.facts["stopped_because"] is None
    assert outcome.facts["peak_memory_bytes"] > 2**20
    assert (outcome.device, outcome.execution) == ("cpu", Execution().to_json())
    assert epochs[-1].genotype is not None


@pytest.mark.slow
def test_a_search_measures_random_cells_with_its_shared_weights_alone_and_in_a_pack(
    digits: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = search_spec(seeds=(0, 1), one_hot_cells=3)
    trials = spec.searches()
    cells = list(map(str, trials[0].one_hot_genotypes))

    def measured(self: Search, genotype: Genotype) -> float:
        assert len(self.history) == 1  # of one epoch
        return (10 * self.seed + cells.index(str(genotype))) / 100

    monkeypatch.setattr(Search, "one_hot_accuracy", measured)
    outcomes = [reports(digits, trial)[1] for trial in trials]
    for said in TrialRunner(digits, execution=Execution()).run(Pack(tuple(trials))):
        assert isinstance(said, Together)
        outcomes += [report for _, report in said.reports if isinstance(report, Outcome)]

    assert len(cells) == 3
    assert [json.loads(outcome.facts["one_hot"]) for outcome in outcomes] == [
        [[cells[0], 0.0], [cells[1], 0.01], [cells[2], 0.02]],
        [[cells[0], 0.1], [cells[1], 0.11], [cells[2], 0.12]],
    ] * 2


@pytest.mark.slow
def test_a_search_without_random_cells_or_that_diverged_measures_none(
    digits: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "one_hot" not in reports(digits, search_of(search_spec()))[1].facts
    monkeypatch.setattr(Search, "diverged", True)
    lost = reports(digits, search_of(search_spec(one_hot_cells=3)))[1]
    assert lost.status == "diverged"
    assert "one_hot" not in lost.facts


def test_a_search_that_stopped_early_says_why(digits: Split) -> None:
    spec = search_spec(search=LONGER.search | {"stop": "skips", "stop_skips": 1})
    trials = (search_of(search_spec(seeds=(seed,), search=spec.search)) for seed in range(4))

    ended = (reports(digits, trial)[1] for trial in trials)
    stopped = next((outcome for outcome in ended if outcome.facts["stopped_because"]), None)

    assert stopped, "of four seeds one at least finds a skip connection"
    assert "skip connections in the " in str(stopped.facts["stopped_because"])
    assert stopped.status == "ok"


def test_a_search_of_less_data_than_asked_for_says_on_how_much_it_was(digits: Split) -> None:
    spec = search_spec(search=SPEC.search | {"images": 2500})

    assert reports(digits, search_of(spec))[1].facts["images"] == 32, "half of 64"


@pytest.mark.slow
def test_a_search_that_raises_is_a_failed_outcome_with_the_epochs_until_then(
    digits: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_epoch = nas_core.training.search.Search.run_epoch

    def raising(
        search: nas_core.training.search.Search, epoch: int
    ) -> Generator[Steps, None, SearchEpoch]:
        if epoch == 1:
            raise ValueError("bad")
        return run_epoch(search, epoch)

    monkeypatch.setattr(nas_core.training.search.Search, "run_epoch", raising)
    epochs, outcome = reports(digits, search_of(LONGER))

    assert (outcome.status, outcome.error) == ("failed", "ValueError: bad")
    assert len(epochs) == 1


def test_a_search_that_cannot_begin_is_a_failed_outcome(
    digits: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: object, **__: object) -> Iterator[SearchEpoch]:
        raise ValueError("bad")

    monkeypatch.setattr(nas_core.training.search_state, "SearchNetwork", raising)
    epochs, outcome = reports(digits, search_of(SPEC))

    assert (outcome.status, outcome.error, epochs) == ("failed", "ValueError: bad", [])


def test_a_pack_that_ran_out_of_memory_has_let_go_of_it_when_it_says_so(
    digits: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[weakref.ref[PackTraining]] = []

    def full(self: PackTraining, _epoch: int) -> object:
        networks.append(weakref.ref(self))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(PackTraining, "run_epoch", full)
    protocol = SPEC.protocol
    trials = small_spec(protocol=protocol, data=SPEC.data, seeds=(0,)).trials().values()

    (report,) = TrialRunner(digits, execution=Execution()).run(Pack(tuple(trials)))

    assert isinstance(report, Together)
    assert (report.reports, report.is_last) == ((), True)
    assert report.failure is not None
    assert report.failure.failure == "memory"
    assert report.failure.error == "OutOfMemoryError: CUDA out of memory"
    assert [network() for network in networks] == [None]


def test_a_worker_that_does_not_reach_what_is_saved_elsewhere_trains_without(
    digits: Split,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths = StorePaths(working_copy("nosuch://bucket/results/sweep"))
    execution = Execution(checkpoint_seconds=0)
    *_, outcome = TrialRunner(digits, execution=execution, paths=paths).run(search_of(SPEC))
    assert isinstance(outcome, Outcome)
    assert outcome.status == "ok"
    assert "cannot be read: cannot be opened" in caplog.messages[0]
    assert "no checkpoint can be written, training goes on without" in caplog.messages[1]


def test_memory_that_ran_out_is_known_by_type_or_text() -> None:
    with pytest.raises(RuntimeError) as no_memory:
        torch.empty(10**15)
    errors = (no_memory.value, MemoryError(), torch.OutOfMemoryError("CUDA out of memory"))

    assert all(is_out_of_memory(error) for error in errors)
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_memory_of_a_gpu_that_ran_out_is_known() -> None:
    with pytest.raises(RuntimeError) as no_memory:
        torch.empty(2**50, device="cuda")

    assert is_out_of_memory(no_memory.value)

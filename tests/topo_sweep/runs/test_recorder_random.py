"""Random cells beside searches: their rows say what they are, and the best so far was found."""

from __future__ import annotations

from pathlib import Path

from tests.topo_sweep.runs.recorder_run import ended, metrics
from tests.topo_sweep.runs.search_run import SearchRun, search_ended, search_epoch, search_spec


def test_a_random_cell_has_a_kind_of_its_own_no_search_and_is_not_the_best(tmp_path: Path) -> None:
    run = SearchRun(tmp_path, search_spec(evaluation_seeds=(0,), random_cells=1))
    search, evaluation, random = run.ids
    run.start(search)
    run.report(search, *search_ended("ok", search_epoch(0)))
    for trial_id, accuracy in ((random, 0.9), (evaluation, 0.8)):
        run.start(trial_id)
        run.report(trial_id, *ended("ok", metrics(0, test_accuracy=accuracy)))
    run.recorder.close()

    rows = run.store.trials().set_index("trial_id")
    assert rows["kind"].to_dict() == {evaluation: "search", random: "random"}
    assert rows["search_id"].isna().to_dict() == {evaluation: False, random: True}
    assert run.progress.best is not None
    assert run.progress.best[0] == 0.8

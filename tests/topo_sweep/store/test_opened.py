from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import topo_sweep
import topo_sweep.store.opened
from nas_core.errors import InputError
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.store_rows import T0, trial_row
from topo_sweep.store.opened import load_results, open_sweep


def later(minutes: int) -> dict[str, object]:
    return {"finished_at": T0 + timedelta(minutes=minutes)}


def test_a_sweeps_folder_is_opened_itself(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, small_spec())
    store.append([trial_row("a")], [])

    sweep = open_sweep(store.paths.folder)

    assert sweep.folder == store.paths.folder
    assert sweep.chosen_from == 1
    assert sweep.manifest.sweep == "small"
    assert list(sweep.trials()["trial_id"]) == ["a"]


def test_of_several_sweeps_the_one_with_the_newest_row_is_opened(tmp_path: Path) -> None:
    for name, minutes in (("a", [1, 2]), ("b", [0, 9]), ("c", [3])):
        store = make_sweep(tmp_path, small_spec(name=name))
        for minute in minutes:
            store.append([trial_row(f"{minute}", **later(minute))], [])
    make_sweep(tmp_path, small_spec(name="z"))  # asked for last, but nothing finished yet

    sweep = open_sweep(tmp_path)

    assert sweep.manifest.sweep == "b"
    assert sweep.chosen_from == 4


def test_of_several_sweeps_without_rows_the_one_asked_for_last_is_opened(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        make_sweep(tmp_path, small_spec(name=name))

    assert open_sweep(tmp_path).manifest.sweep == "a"


def test_kept_studies_are_not_looked_into(tmp_path: Path) -> None:
    study = make_sweep(tmp_path / "studies", small_spec(name="study"))
    study.append([trial_row("newest", **later(99))], [])
    with pytest.raises(InputError):
        open_sweep(tmp_path)

    make_sweep(tmp_path, small_spec(name="mine"))

    assert open_sweep(tmp_path).manifest.sweep == "mine"
    assert open_sweep(tmp_path / "studies").manifest.sweep == "study"


def test_a_missing_folder_is_named_with_advice(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        open_sweep(tmp_path / "none")
    assert str(refusal.value) == (
        f"there is no folder {tmp_path / 'none'}: run a sweep first, or name its folder"
    )


def test_a_folder_without_sweeps_is_named_with_advice(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "published.csv").touch()

    with pytest.raises(InputError) as refusal:
        open_sweep(tmp_path)
    assert str(refusal.value) == (
        f"{tmp_path} is no sweep and holds none (looked for {tmp_path}/sweep.json and "
        f"{tmp_path}/*/sweep.json): run a sweep first, or name its folder"
    )


def test_rows_come_with_the_counts_of_the_data_set(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, small_spec())
    store.append([trial_row("a")], [])
    sweep = open_sweep(store.paths.folder)
    counted = replace(
        sweep, manifest=sweep.manifest.model_copy(update={"train_images": 9, "test_images": 4})
    )

    assert sweep.trials()[["train_images", "test_images"]].isna().all(axis=None)
    assert counted.trials()[["train_images", "test_images"]].to_numpy().tolist() == [[9, 4]]
    assert list(counted.searches()[["train_images", "test_images"]].dtypes) == ["Int64"] * 2


def test_rows_of_other_images_are_refused_naming_both_fingerprints(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, small_spec())
    store.append([trial_row("a"), trial_row("b", fingerprint="0000000000000000")], [])

    with pytest.raises(InputError, match=r"fedcba9876543210.* 0000000000000000") as refusal:
        open_sweep(tmp_path).trials()
    assert str(store.paths.folder) in str(refusal.value)


def test_what_is_planned_is_the_union_of_all_requests_in_their_order(tmp_path: Path) -> None:
    first, second = small_spec(seeds=0), small_spec(topologies=(17, 18), seeds=(0, 1))
    make_sweep(tmp_path, first, second)

    planned = list(open_sweep(tmp_path).planned())

    assert planned[:3] == list(first.trials())
    assert set(planned) == set(first.trials()) | set(second.trials())
    assert len(planned) == 3 + 4 - 1


def test_results_load_as_one_row_a_trial_from_a_path_in_either_form(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, small_spec())
    store.append([trial_row("a"), trial_row("b")], [])
    store.append([trial_row("a")], [])

    for path in (tmp_path, str(store.paths.folder)):
        assert list(load_results(path)["trial_id"]) == ["a", "b"]


def test_results_are_looked_for_where_sweeps_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_sweep(Path("results"), small_spec()).append([trial_row("a")], [])

    assert list(load_results()["trial_id"]) == ["a"]


def test_the_package_offers_load_results_and_imports_pandas_only_then() -> None:
    script = (
        "import sys, topo_sweep\n"
        "print('pandas' in sys.modules, topo_sweep.load_results.__module__,"
        " 'pandas' in sys.modules or 'pyarrow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "topo_sweep.store.opened", "True"]
    assert topo_sweep.load_results is topo_sweep.store.opened.load_results


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="save_results"):
        _ = topo_sweep.save_results


def test_rows_of_one_of_several_sweeps_are_asked_for_by_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_sweep(tmp_path, small_spec(name=name)).append([trial_row(name)], [])

    with pytest.raises(InputError, match=r"holds 2 sweeps, so name one of them: a-\S+, b-\S+$"):
        load_results(tmp_path)

    (folder,) = tmp_path.glob("b-*")
    assert list(load_results(folder)["trial_id"]) == ["b"]


def test_trials_are_read_and_checked_without_going_through_them_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_sweep(tmp_path, small_spec())
    store.append([trial_row(f"{number:02d}", **later(number)) for number in range(20)], [])
    gone_through: list[int] = []

    def noted(column: pd.Series[Any]) -> Iterator[Any]:
        gone_through.append(len(column))
        return iter(column.tolist())

    monkeypatch.setattr(pd.Series, "__iter__", noted)

    assert len(open_sweep(store.paths.folder).trials()) == 20
    assert not [length for length in gone_through if length > 1]


def test_columns_of_trials_can_be_chosen_and_checks_stay(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, small_spec())
    store.append([trial_row("a", seed=3)], [])
    sweep = open_sweep(store.paths.folder)

    some = sweep.trials(["seed"])

    assert some["seed"].tolist() == [3]
    assert {"trial_id", "status", "finished_at"} <= set(some.columns) < set(sweep.trials().columns)
    store.append([trial_row("b", fingerprint="other")], [])
    with pytest.raises(InputError, match="other images"):
        sweep.trials(["seed"])

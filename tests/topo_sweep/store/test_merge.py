"""Sweeps of several sites as one: every row once, whatever happens, and nothing else changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nas_core.errors import InputError, TopoSweepError
from nas_core.protocols.training import DataOptions, Protocol
from tests.disk import full_disk
from tests.program import files
from tests.topo_sweep.conftest import make_sweep, new_manifest, small_spec
from tests.topo_sweep.runs.search_run import FOUND, OTHER, search_of, search_spec
from tests.topo_sweep.store.sites import everything, searched_differently, site, trained
from topo_sweep.store.manifest import Sharing
from topo_sweep.store.merge import Merged, merge_sweeps, united
from topo_sweep.store.opened import OpenedSweep, is_sweep, load_curves, load_results, open_sweep
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import TRIAL_SCHEMA

STUDIES = Path(__file__).resolve().parents[3] / "results" / "studies"


@pytest.fixture
def sites(tmp_path: Path) -> list[OpenedSweep]:
    """Return two sites that trained a seed each."""
    return [site(tmp_path / name, seeds=(seed,)) for seed, name in enumerate("ab")]


def changed(sweep: OpenedSweep, **values: Any) -> OpenedSweep:
    """Return a sweep after its manifest was replaced."""
    sweep.manifest.model_copy(update=values).write(sweep.store.paths.manifest)
    return open_sweep(sweep.folder)


def again(folder: Path, minute: int, **values: Any) -> OpenedSweep:
    """Return a site that trained seed 0 later; `values` replace columns of topology 17."""
    spec = small_spec(seeds=(0,))
    rows = trained(spec, minute=minute)
    rows[-1] |= values
    return site(folder, rows=rows, seeds=(0,))


def of_17(merged: Merged) -> pd.DataFrame:
    """Return all attempts at topology 17 that stand in the files, oldest first."""
    rows = open_sweep(merged.folder).store.read("trials", TRIAL_SCHEMA).to_pandas()
    return rows[rows["topology"] == 17].sort_values("finished_at", ignore_index=True)


def test_disjoint_seeds_become_one_sweep_and_the_sites_stay_as_they_are(
    sites: list[OpenedSweep], tmp_path: Path
) -> None:
    before = [files(sweep.folder) for sweep in sites]

    merged = merge_sweeps(sites, tmp_path / "out")

    assert [files(sweep.folder) for sweep in sites] == before
    spec = small_spec()
    assert (
        merged.folder
        == StorePaths.of(
            tmp_path / "out", sweep=spec.name, protocol=spec.protocol, data=spec.data
        ).folder
    )
    assert [(each.folder, each.trials, each.rows, each.new) for each in merged.sources] == [
        (merged.folder, 0, 0, 0),
        *((sweep.folder, 3, 3, 3) for sweep in sites),
    ]
    assert (merged.conflicts, merged.equal, merged.astray) == ([], 0, 0)
    sweep = open_sweep(merged.folder)
    rows = load_results(merged.folder)
    assert set(rows["trial_id"]) == set(sweep.planned()) == set(spec.trials())
    of_sites = [everything(each.store) for each in sites]
    assert everything(sweep.store) == {
        name: sorted(of_sites[0][name] + of_sites[1][name]) for name in of_sites[0]
    }
    assert len(load_curves(merged.folder)) == 12
    assert sweep.manifest.requests == sites[0].manifest.requests + sites[1].manifest.requests


def test_what_was_trained_twice_with_equal_numbers_is_counted_and_both_stay(
    sites: list[OpenedSweep], tmp_path: Path
) -> None:
    # Accuracies were measured at other epochs, elsewhere, in another time.
    other = again(tmp_path / "c", 60, best_test_accuracy=0.9, node="far", train_seconds=1.0)

    merged = merge_sweeps([other, *sites], tmp_path / "out")

    assert (merged.conflicts, merged.equal) == ([], 3)
    rows = of_17(merged)
    assert rows["attempt"].tolist() == [1, 1, 2]
    assert rows["node"].tolist() == ["node", "node", "far"]
    assert len(open_sweep(merged.folder).manifest.requests) == 2
    assert load_results(merged.folder)["node"].tolist() == ["node"] * 6


@pytest.mark.parametrize(
    "values",
    [
        {"test_accuracy": 0.5},
        {"train_loss": 0.1 + 17 / 1000 + 1e-16},
        {"status": "diverged", "train_loss": float("nan"), "epochs": 1},
    ],
)
def test_a_conflict_is_told_one_attempt_counts_and_the_other_stays_in_the_files(
    sites: list[OpenedSweep], tmp_path: Path, values: dict[str, Any]
) -> None:
    first = sites[0].trials().iloc[-1]
    other = again(tmp_path / "c", 60, **values)

    merged = merge_sweeps([other, *sites], tmp_path / "out")

    assert merged.equal == 2
    assert [
        (each["id"], each["name"], each["folder"], each["attempt"], each["counts"])
        for each in merged.conflicts
    ] == [
        (first["trial_id"], "topology 17", str(sites[0].folder), 1, True),
        (first["trial_id"], "topology 17", str(other.folder), 2, False),
    ]
    expected = {key: None if value != value else value for key, value in values.items()}  # noqa: PLR0124
    told = {key: merged.conflicts[1][key] for key in values if key != "epochs"}
    assert told == {key: value for key, value in expected.items() if key != "epochs"}
    rows = load_results(merged.folder)
    (counting,) = rows[rows["trial_id"] == first["trial_id"]].to_dict("records")
    assert counting["test_accuracy"] == first["test_accuracy"]
    assert len(load_curves(merged.folder, topology=17, seed=0)) == 2
    assert of_17(merged)["attempt"].tolist() == [1, 1, 2]
    # Told again whenever it is merged again.
    assert merge_sweeps([other, *sites], tmp_path / "out").conflicts == merged.conflicts


def test_of_diverged_and_ok_the_ok_one_counts_though_it_came_later(tmp_path: Path) -> None:
    first = again(tmp_path / "a", 0, status="diverged")
    later = again(tmp_path / "b", 60)

    conflicts = merge_sweeps([first, later], tmp_path / "out").conflicts

    assert [(each["status"], each["counts"]) for each in conflicts] == [
        ("diverged", False),
        ("ok", True),
    ]


@pytest.mark.parametrize("minute", [-60, 60])
def test_what_failed_elsewhere_is_no_conflict_and_stays_an_attempt(
    sites: list[OpenedSweep], tmp_path: Path, minute: int
) -> None:
    failed = again(tmp_path / "c", minute, status="failed", epochs=1, error="no memory")

    merged = merge_sweeps([*sites, failed], tmp_path / "out")

    assert (merged.conflicts, merged.equal) == ([], 2)
    rows = of_17(merged)
    rows = rows[rows["seed"] == 0]
    assert sorted(rows["status"]) == ["failed", "ok"]
    assert rows["attempt"].tolist() == [1, 2], "by the time at which they ended"
    assert set(load_results(merged.folder)["status"]) == {"ok"}
    attempts = open_sweep(merged.folder).store.attempts()
    assert max(attempts.values()) == 2


def test_a_second_merge_changes_nothing(sites: list[OpenedSweep], tmp_path: Path) -> None:
    merged = merge_sweeps(sites, tmp_path / "out")
    before = files(tmp_path)

    repeated = merge_sweeps([*sites, sites[0], open_sweep(merged.folder)], tmp_path / "out")

    assert files(tmp_path) == before
    assert [each.new for each in repeated.sources] == [0, 0, 0]
    assert repeated.sources[0].rows == 6


def test_a_sweep_may_be_merged_into_one_of_the_sites(sites: list[OpenedSweep]) -> None:
    ours, theirs = sites
    expected = everything(ours.store)
    for name, rows in everything(theirs.store).items():
        expected[name] = sorted(expected[name] + rows)

    for out in (ours.folder.parent, ours.folder):
        merged = merge_sweeps([ours, theirs], out)
        assert merged.folder == ours.folder
        assert everything(ours.store) == expected
        assert set(load_results(ours.folder)["seed"]) == {0, 1}


def test_rows_that_stand_twice_at_a_site_are_merged_once(
    sites: list[OpenedSweep], tmp_path: Path
) -> None:
    expected = everything(sites[0].store)
    for name in ("trials", "epochs"):
        (part,) = sites[0].store.paths.part_folder(name).iterdir()
        copy = part.name.replace(part.name.split("-")[1], "0" * 20)
        part.with_name(copy).write_bytes(part.read_bytes())
    assert everything(sites[0].store) != expected

    merged = merge_sweeps(sites[:1], tmp_path / "out")

    assert everything(open_sweep(merged.folder).store) == expected
    assert merged.sources[1].rows == 3


@pytest.mark.parametrize(
    ("values", "manifest", "difference"),
    [
        ({"protocol": Protocol(cells=5, init_channels=4, epochs=6)}, {}, "epochs: 5 and 6"),
        ({"data": DataOptions(dataset="digits", holdout=9)}, {}, "holdout: 0 and 9"),
        ({"name": "other"}, {}, "sweep: small and other"),
        ({}, {"fingerprint": "f" * 16}, "fingerprint: fedcba9876543210 and ffffffffffffffff"),
        ({}, {"kind": "genotypes"}, "kind: topologies and genotypes"),
        ({}, {"test_images": 360}, "test_images: 359 and 360"),
    ],
)
def test_sweeps_that_are_not_one_are_refused_by_both_folders_and_nothing_is_written(
    tmp_path: Path, values: dict[str, Any], manifest: dict[str, Any], difference: str
) -> None:
    one = changed(site(tmp_path / "a"), test_images=359)
    other = changed(site(tmp_path / "b", rows=[], **values), **manifest)
    before = files(tmp_path)

    for sweeps in ([one, other], [changed(site(tmp_path / "c"), test_images=None), one, other]):
        before = files(tmp_path)
        with pytest.raises(InputError) as refusal:
            merge_sweeps(sweeps, tmp_path / "out")
        assert str(refusal.value).endswith(f"cannot become one sweep: they differ in {difference}")
        assert str(other.folder) in str(refusal.value)
        assert files(tmp_path) == before


def test_searches_with_other_settings_are_refused(tmp_path: Path) -> None:
    one, other = (
        make_sweep(tmp_path, search_spec(search=search_spec().search | {"images": images}))
        for images in (16, 32)
    )

    with pytest.raises(InputError, match=r'settings of searches: .*"images": 16.* and .*: 32'):
        merge_sweeps([open_sweep(each.paths.folder) for each in (one, other)], tmp_path / "out")


def test_a_sweep_that_is_there_must_be_the_same_too(
    sites: list[OpenedSweep], tmp_path: Path
) -> None:
    merged = merge_sweeps(sites[:1], tmp_path / "out")
    changed(open_sweep(merged.folder), fingerprint="f" * 16)

    with pytest.raises(InputError, match=f"^{merged.folder} and {sites[1].folder} cannot become"):
        merge_sweeps(sites[1:], tmp_path / "out")


def test_a_row_that_was_changed_by_hand_is_refused_and_nothing_is_written(
    sites: list[OpenedSweep], tmp_path: Path
) -> None:
    other = again(tmp_path / "c", 0, test_accuracy=0.5)
    before = files(tmp_path)

    with pytest.raises(InputError, match=r"with other values, .* changed by hand") as refusal:
        merge_sweeps([*sites, other], tmp_path / "out")

    assert f"{sites[0].folder} and {other.folder} hold trial_id" in str(refusal.value)
    assert files(tmp_path) == before


def test_where_a_run_writes_nobody_merges(sites: list[OpenedSweep], tmp_path: Path) -> None:
    ours, theirs = sites
    with ours.store.lock(), pytest.raises(InputError, match="is in use by process"):
        merge_sweeps([theirs], ours.folder.parent)

    with ours.store.lock():  # reading needs none
        assert len(merge_sweeps(sites, tmp_path / "out").sources) == 3


def kept_states(
    monkeypatch: pytest.MonkeyPatch, folder: Path, copies: Path
) -> Callable[[], list[Path]]:
    """Copy the folder before each change of a file's name; return what the different copies are.

    Each is what a kill at that instant would leave.
    """
    states: dict[str, Path] = {}

    def kept(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: object, **options: object) -> Any:
            state = str(
                [(path.relative_to(folder), content) for path, content in files(folder).items()]
            )
            if state not in states:
                states[state] = copies / str(len(states))
                shutil.copytree(folder, states[state])
            return call(*arguments, **options)

        return wrapped

    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, kept(getattr(Path, name)))
    return lambda: list(states.values())


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "into a sweep"])
def test_a_kill_at_any_change_of_a_file_leaves_a_sweep_and_the_next_merge_completes_it(
    sites: list[OpenedSweep],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_there: bool,
) -> None:
    rows = trained(small_spec(), minute=60, test_accuracy=0.5)
    sites[1] = site(tmp_path / "c", rows=rows)
    out, before = tmp_path / "out", 3 if is_there else 0
    if is_there:
        merge_sweeps(sites[:1], out)
        sites = sites[1:]
    with monkeypatch.context() as killed:
        states = kept_states(killed, out, tmp_path / "states")
        folder = merge_sweeps(sites, out).folder
    expected, results = everything(open_sweep(folder).store), load_results(folder)

    seen = set()
    for state in states():
        left = state / folder.name
        if is_sweep(left):
            sweep = open_sweep(left)
            seen.add(len(sweep.trials()))
            assert set(sweep.trials()["trial_id"]) <= set(sweep.planned())
            assert len(sweep.store.epochs()) == 2 * len(sweep.trials())
        merge_sweeps(sites, state)
        assert everything(open_sweep(left).store) == expected
        pd.testing.assert_frame_equal(load_results(left), results)
        assert not list(state.rglob(".part-*.tmp"))
    assert len(states()) >= 10
    assert seen == {before, 6}


def test_a_full_disk_is_named(
    sites: list[OpenedSweep], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = merge_sweeps(sites[:1], tmp_path / "out")
    monkeypatch.setattr("topo_sweep.store.merged_table.write_part", full_disk)

    with pytest.raises(TopoSweepError, match=f"^cannot write {merged.folder}: No space left"):
        merge_sweeps(sites, tmp_path / "out")


@pytest.mark.parametrize(
    "study", sorted(path.parent for path in STUDIES.rglob("sweep.json")), ids=lambda path: path.name
)
def test_a_kept_study_merged_with_itself_is_itself(study: Path, tmp_path: Path) -> None:
    sweep = open_sweep(study)

    merged = merge_sweeps([sweep, sweep], tmp_path)

    copy = open_sweep(merged.folder)
    assert everything(copy.store) == everything(sweep.store)
    assert copy.manifest == sweep.manifest
    pd.testing.assert_frame_equal(copy.trials(), sweep.trials())
    pd.testing.assert_frame_equal(copy.searches(), sweep.searches())


def test_trainings_of_a_cell_that_the_search_that_counts_did_not_find_are_counted(
    tmp_path: Path,
) -> None:
    sweeps = searched_differently(tmp_path)

    merged = merge_sweeps(sweeps, tmp_path / "out")

    assert [(each["name"], each["genotype"]) for each in merged.conflicts] == [
        (search_of(search_spec()).name, str(FOUND)),
        (search_of(search_spec()).name, str(OTHER)),
    ]
    assert merged.astray == 1
    assert merge_sweeps(sweeps[1:], tmp_path / "one").astray == 0


def test_requests_and_packs_are_united_and_a_pack_is_whole_or_not_there() -> None:
    first, second = (
        new_manifest(spec).with_request(spec) for spec in (small_spec(seeds=(s,)) for s in (0, 1))
    )
    one = first.model_copy(
        update={"packs": (("a", "b"), ("c",)), "split_packs": (("a", "b", "c"),)}
    )
    more = {"train_images": 9, "sharing": Sharing(asked=0.25, packs=4)}
    other = second.with_request(small_spec(seeds=(0,))).model_copy(
        update={"packs": (("b", "d"), ("e", "f"), ("a", "b")), **more}
    )

    both = united([one, other])

    assert [request.spec["seeds"] for request in both.requests] == ["0", "1"]
    assert both.requests[0].requested_at == first.requests[0].requested_at
    assert both.packs == (("a", "b"), ("c",), ("e", "f"))
    assert both.split_packs == (("a", "b", "c"),)
    assert (both.train_images, both.test_images, both.sharing) == (9, None, more["sharing"])
    assert united([both, one, other]) == both

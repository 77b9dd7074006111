"""A manifest knows whether results decided who got more seeds; a race is one request that grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topo_sweep.conftest import new_manifest, small_spec
from topo_sweep.spec.adaptive import Adaptive, More
from topo_sweep.spec.networks import TopologySweep
from topo_sweep.store import manifest as manifests
from topo_sweep.store.manifest import read_manifest

FIRST: More = ((3, (0, 1)),)
MORE: More = ((3, (0, 1)), (4, (1,)))


def race(more: More = (), **values: object) -> TopologySweep:
    settings = Adaptive(top=1).model_copy(update=values)
    return small_spec(seeds=(0, 1, 2), adaptive=settings).racing().with_more(more)


def test_only_a_store_of_which_a_race_was_asked_is_adaptive(tmp_path: Path) -> None:
    plain = new_manifest(small_spec()).with_request(small_spec())
    assert (plain.adaptive, plain.race) == (None, None)
    both = plain.with_request(race(FIRST)).with_request(small_spec(seeds=(7,)))
    both.write(tmp_path / "sweep.json")

    assert both.adaptive == race(FIRST).adaptive
    assert both.race == race(FIRST)
    assert both.seeds_beforehand == [0, 1, 2, 7], "not seed 3, which results chose"
    assert read_manifest(tmp_path / "sweep.json") == both


def test_a_race_is_one_request_that_grows_also_after_it_was_read_again(tmp_path: Path) -> None:
    manifest = new_manifest(race()).with_request(race()).with_request(race(FIRST))
    manifest.write(tmp_path / "sweep.json")
    (grown,) = read_manifest(tmp_path / "sweep.json").with_request(race(MORE)).specs()
    assert grown == race(MORE)


def test_another_race_other_versions_and_less_decided_are_requests_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = new_manifest(race()).with_request(race(MORE))
    assert len(manifest.with_request(race(MORE)).requests) == 1
    assert len(manifest.with_request(race(MORE, top=2)).requests) == 2
    assert len(manifest.with_request(race(FIRST)).requests) == 2, "planned is the union"
    monkeypatch.setattr(manifests, "code_version", lambda: "another")
    assert len(manifest.with_request(race((*MORE, (5, (0,))))).requests) == 2

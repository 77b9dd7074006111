"""Specs of sweeps: texts of YAML, and structures of real keys and junk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from tests.fuzz.inputs import FUZZ, JUNK, TEXTS, edited, mutated, works_or_is_refused
from topo_sweep.runs.plan import make_plan
from topo_sweep.spec.load import Overrides, SweepSpec, load_spec, make_spec, spec_from_json_value
from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.spec.strict_yaml import parse_yaml

ROOT: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = {path.stem: path.read_text() for path in sorted((ROOT / "sweeps").glob("*.yaml"))}
VALUES: Final[dict[str, Any]] = {
    name: parse_yaml(text, name) | {"name": name} for name, text in SHIPPED.items()
}
MODELS: Final[tuple[type[BaseModel], ...]] = (TopologySweep, GenotypeSweep, SearchSweep)
KEYS: Final = sorted({name for model in MODELS for name in model.model_fields})
SECTIONS: Final[dict[str, type[BaseModel]]] = {
    "protocol": Protocol,
    "data": DataOptions,
    "search": SearchProtocol,
}
WORDS: Final = (
    *("topologies", "genotypes", "search", "digits", "cifar10", "all", "classes", "same", "0-3"),
    *("DARTS_V2", "search_edarts", "search_darts", "SS1", "none", "once", "found:edarts"),
    *PRESETS,
)
ANY = st.one_of(st.sampled_from(WORDS), st.lists(st.sampled_from(WORDS), max_size=3), JUNK)


@st.composite
def sections(draw: st.DrawFn, fields: list[str]) -> dict[str, Any]:
    names = st.one_of(st.sampled_from(fields), TEXTS)
    return draw(st.dictionaries(names, ANY, max_size=4))


@st.composite
def built(draw: st.DrawFn) -> dict[str, Any]:
    """Return keys that a sweep may have, with whatever values."""
    values: dict[str, Any] = draw(st.dictionaries(st.sampled_from(KEYS), ANY, max_size=6))
    values["kind"] = draw(st.sampled_from(["topologies", "genotypes", "search"]))
    for name, model in SECTIONS.items():
        if draw(st.booleans()):
            values[name] = draw(sections(["preset", *model.model_fields]))
    return values


STRUCTURES = st.one_of(built(), st.sampled_from(list(VALUES.values())).flatmap(mutated))
FILES = st.one_of(
    st.text(max_size=200),
    st.text("{}[],:-?|>&*!%@`'\"# \n\tab1~.", max_size=60),
    st.sampled_from(list(SHIPPED.values())).flatmap(edited),
    STRUCTURES.map(lambda values: yaml.safe_dump(values, allow_unicode=True)),
    STRUCTURES.map(json.dumps),
)


def check_usable(spec: SweepSpec | None, results: Path) -> None:
    """Check that a spec that was not refused is written, read and planned, and stays inside."""
    if spec is None:
        return
    again = spec_from_json_value(json.loads(json.dumps(spec.to_json_value())))
    assert again.to_json_value() == spec.to_json_value()
    assert spec.described().isprintable()
    assert spec.search_words().isprintable()
    if spec.trial_count <= 500:
        plan = make_plan(spec, results)
        assert plan.store.paths.folder.parent == results
        assert len(plan.trials) == len(spec.trials())


@FUZZ
@given(content=st.one_of(FILES.map(lambda text: text.encode(errors="replace")), st.binary()))
def test_any_file_is_a_sweep_or_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    file = folder / "spec.yaml"
    file.write_bytes(content)

    check_usable(works_or_is_refused(load_spec, str(file)), folder / "results")

    assert not (folder / "results").exists()


@FUZZ
@given(values=STRUCTURES)
def test_any_values_are_a_sweep_or_refused(
    values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    results = tmp_path_factory.getbasetemp() / "results"

    check_usable(works_or_is_refused(make_spec, values), results)
    check_usable(works_or_is_refused(spec_from_json_value, values), results)

    assert not results.exists()


@FUZZ
@given(
    source=st.one_of(TEXTS, st.sampled_from(sorted(SHIPPED))),
    texts=st.lists(st.one_of(st.none(), TEXTS, st.sampled_from(WORDS)), min_size=4, max_size=4),
    numbers=st.lists(st.one_of(st.none(), st.integers()), min_size=3, max_size=3),
    settings=st.dictionaries(
        st.one_of(
            TEXTS, st.sampled_from(["epochs", "search.epochs", "preset", "search.", "cells"])
        ),
        st.one_of(TEXTS, st.sampled_from(WORDS)),
        max_size=3,
    ),
)
def test_any_name_and_options_are_a_sweep_or_refused(
    source: str,
    texts: list[str | None],
    numbers: list[int | None],
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    dataset, topologies, seeds, origin = texts
    holdout, train_limit, epochs = numbers
    overrides = Overrides(
        dataset=dataset,
        topologies=topologies,
        seeds=seeds,
        origin=origin,
        holdout=holdout,
        train_limit=train_limit,
        epochs=epochs,
        protocol=settings,
    )
    results = tmp_path_factory.getbasetemp() / "results"

    check_usable(works_or_is_refused(load_spec, source, overrides), results)

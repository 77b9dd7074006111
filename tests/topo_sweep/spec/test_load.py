from __future__ import annotations

import builtins
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from nas_core.cells.genotype import KNOWN_CELLS, OPERATION_NAMES
from nas_core.cells.topology import Topology, isomorphism_classes
from nas_core.errors import InputError
from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import PRESETS, DataOptions, DatasetName, Protocol
from tests.topo_sweep.spec.refusals import refused
from topo_sweep.spec.load import SweepSpec, load_spec, spec_from_json_value
from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
from topo_sweep.spec.searches import SearchSweep

OF_TOPOLOGIES = "kind: topologies\ntopologies: 0-3\n"
OF_GENOTYPES = "kind: genotypes\ngenotypes: [DARTS_V1]\n"

INT_SETS = st.sets(st.integers(0, 179), min_size=1).map(lambda s: tuple(sorted(s)))
SHARED: dict[str, st.SearchStrategy[Any]] = {
    "name": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", fullmatch=True),
    "protocol": st.builds(
        Protocol,
        epochs=st.integers(1, 10**6),
        learning_rate=st.floats(1e-300, 1e300),
        flip=st.booleans(),
        precision=st.sampled_from(["float32", "float64", "bfloat16", "tf32"]),
    ),
    "data": st.builds(
        DataOptions,
        dataset=st.sampled_from(get_args(DatasetName)),
        holdout=st.integers(0, 10**6),
        train_limit=st.none() | st.integers(1, 10**6),
    ),
    "seeds": st.sets(st.integers(0, 10**18 - 1), min_size=1).map(lambda s: tuple(sorted(s))),
}
SPECS = st.builds(
    TopologySweep,
    topologies=INT_SETS,
    normal_operation=st.sampled_from(OPERATION_NAMES),
    reduction_operation=st.sampled_from(OPERATION_NAMES),
    reduction_topology=st.just("same") | st.integers(0, 179),
    **SHARED,
) | st.builds(
    GenotypeSweep,
    genotypes=st.lists(st.sampled_from(list(KNOWN_CELLS)), min_size=1).map(tuple),
    **SHARED,
)


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(text: str) -> SweepSpec:
    Path("my.yaml").write_text(text, encoding="utf-8")
    return load_spec("my.yaml")


def of_topologies(text: str) -> TopologySweep:
    spec = loaded(text)
    assert isinstance(spec, TopologySweep)
    return spec


def refusal(text: str) -> str:
    return refused(loaded, text)


def test_a_written_sweep_is_resolved_in_full() -> None:
    spec = loaded(
        "kind: topologies\n"
        "name: wide_5-16\n"
        "protocol: {preset: demo, epochs: 7, weight_decay: 1e-3}\n"
        "data: {dataset: digits, holdout: 100, train_limit: 500}\n"
        "topologies: 5,1-2\n"
        "seeds: 3-4\n"
        "normal_operation: dil_conv_3x3\n"
        "reduction_operation: avg_pool_3x3\n"
        "reduction_topology: 179\n"
    )

    assert spec == TopologySweep(
        name="wide_5-16",
        protocol=PRESETS["demo"].with_values({"epochs": 7, "weight_decay": 0.001}),
        data=DataOptions(dataset="digits", holdout=100, train_limit=500),
        topologies=(1, 2, 5),
        seeds=(3, 4),
        normal_operation="dil_conv_3x3",
        reduction_operation="avg_pool_3x3",
        reduction_topology=179,
    )
    assert spec.trial_count == 6


def test_what_a_file_leaves_out_is_the_papers() -> None:
    spec = of_topologies(OF_TOPOLOGIES)

    assert spec == TopologySweep(name="my", topologies=(0, 1, 2, 3))
    assert spec.protocol == Protocol() == PRESETS["shallow"]
    assert spec.data == DataOptions(dataset="cifar10", holdout=0, train_limit=None)
    assert spec.seeds == (0,)
    assert (spec.normal_operation, spec.reduction_operation) == ("sep_conv_3x3", "max_pool_3x3")
    assert spec.reduction_topology == 0


@pytest.mark.parametrize(
    ("written", "topologies"),
    [
        ("all", tuple(range(180))),
        ("classes", tuple(min(t.index for t in cls) for cls in isomorphism_classes())),
        ("17", (17,)),
        ("0-3,17", (0, 1, 2, 3, 17)),
        ("[17, 0, 0]", (0, 17)),
    ],
)
def test_topologies_are_written_in_several_ways(written: str, topologies: tuple[int, ...]) -> None:
    assert of_topologies(f"kind: topologies\ntopologies: {written}").topologies == topologies


@pytest.mark.parametrize("written", ["2-4", "[4, 2, 3]", "4,2,3"])
def test_seeds_are_written_in_several_ways(written: str) -> None:
    assert loaded(f"{OF_TOPOLOGIES}seeds: {written}").seeds == (2, 3, 4)
    assert loaded(f"{OF_TOPOLOGIES}seeds: 2").seeds == (2,)


def test_a_protocol_may_be_a_presets_name() -> None:
    assert loaded(OF_TOPOLOGIES + "protocol: demo").protocol == PRESETS["demo"]


def test_networks_have_the_topology_and_operations_that_were_asked_for() -> None:
    spec = of_topologies("kind: topologies\ntopologies: 3,17\nreduction_topology: 5")
    cells = [(g.normal.topology.index, g.reduction.topology.index) for g in spec.genotype_list()]
    operations = {
        (g.normal.uniform_operation, g.reduction.uniform_operation) for g in spec.genotype_list()
    }

    assert cells == [(3, 5), (17, 5)]
    assert operations == {("sep_conv_3x3", "max_pool_3x3")}


def test_same_gives_both_cells_one_wiring() -> None:
    spec = of_topologies("kind: topologies\ntopologies: 3,17\nreduction_topology: same")
    cells = [(g.normal.topology, g.reduction.topology) for g in spec.genotype_list()]

    assert cells == [(Topology.from_index(i), Topology.from_index(i)) for i in (3, 17)]


def test_genotypes_keep_their_order_in_canonical_form_each_once() -> None:
    pdarts = KNOWN_CELLS["PDARTS"]
    written = [pdarts.to_darts(), "DARTS_V1", "PDARTS", str(pdarts), pdarts.to_json()]
    spec = loaded(f"kind: genotypes\nseeds: 0-1\ngenotypes: {json.dumps(written)}")

    assert isinstance(spec, GenotypeSweep)
    assert spec.genotypes == (str(pdarts), str(KNOWN_CELLS["DARTS_V1"]))
    assert spec.genotype_list() == (pdarts, KNOWN_CELLS["DARTS_V1"])
    assert spec.trial_count == 4


def test_all_problems_of_a_file_are_told_at_once_with_file_key_value_and_what_is_allowed() -> None:
    message = refusal(
        "kind: topologies\n"
        "nam: x\n"
        "protocol: {preset: shalow, epohcs: 4, epochs: 0, flip: no, cells: 1e1}\n"
        "data: {dataset: cifar11, holdout: -1, limit: 5}\n"
        "topologies: 3-1\n"
        "seeds: [-1, true]\n"
        "normal_operation: skip_conect\n"
        "reduction_topology: 180\n"
        "genotypes: [1]\n"
    )

    assert sorted(message.split("; my.yaml: ")) == sorted(
        [
            "my.yaml: genotypes = [1]: belongs to kind: genotypes, this is kind: topologies",
            "protocol.preset = 'shalow': write demo or final or final_36 or shallow",
            "protocol.epochs = 0: must be greater than or equal to 1",
            "protocol.flip = 'no': write true or false",
            "protocol.cells = 10.0: write a whole number",
            "protocol.epohcs = 4: unknown key (did you mean epochs?)",
            "data.dataset = 'cifar11': must be 'digits', 'cifar10' or 'cifar100'",
            "data.holdout = -1: must be greater than or equal to 0",
            "data.limit = 5: unknown key (did you mean train_limit?)",
            "topologies = '3-1': 3-1 counts down: write 1-3, or all, or classes",
            "seeds = [-1, True]: no number from 0: -1, true: write numbers from 0, as in 0-3,17",
            "normal_operation = 'skip_conect': unknown operation 'skip_conect': use skip_connect",
            "reduction_topology = 180: write a topology's index, 0 to 179, or same",
            "nam = 'x': unknown key (did you mean name?)",
        ]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "topologies: 0",
            "kind is missing: write kind: topologies, kind: genotypes, kind: random or",
        ),
        ("kind: topology\ntopologies: 0", "kind = 'topology': write topologies or genotypes"),
        ("kind: [topologies]", "kind = ['topologies']: write topologies or genotypes"),
        ("kind: topologies", "topologies is missing: give --topologies 0-3,17"),
        ("kind: topologies\ntopologies:", "topologies = null: no number from 0: null"),
        ("kind: topologies\ntopologies: []", "topologies = []: that is none"),
        ("kind: topologies\ntopologies: 180", "topologies = 180: 180 is too large"),
        ("kind: topologies\ntopologies: [1.0]", "no number from 0: 1.0"),
        (OF_TOPOLOGIES + "seeds: []", "seeds = []: that is none"),
        (OF_TOPOLOGIES + "seeds: -1", "seeds = -1: no number from 0: -1"),
        (OF_TOPOLOGIES + "seeds: 0-1000000", "more than 1,000,000 numbers"),
        (OF_TOPOLOGIES + "name: -a", "name = '-a': write 1 to 64 of the letters"),
        (OF_TOPOLOGIES + "name: a/b", "name = 'a/b'"),
        (OF_TOPOLOGIES + 'name: "a\\n"', r"name = 'a\n'"),
        (OF_TOPOLOGIES + "name: " + "a" * 65, "name = 'aaa"),
        (OF_TOPOLOGIES + "name: 5", "name = 5: write text"),
        (OF_TOPOLOGIES + "protocol: [demo]", "protocol = ['demo']: write a preset's name, or keys"),
        (OF_TOPOLOGIES + "protocol:", "protocol = null: write a preset's name, or keys"),
        (OF_TOPOLOGIES + "protocol: {preset: [a]}", "protocol.preset = ['a']: write demo or"),
        (OF_TOPOLOGIES + "protocol: {presett: demo}", "(did you mean preset"),
        (OF_TOPOLOGIES + "protocol: {epochs: true}", "protocol.epochs = true: write a whole"),
        (OF_TOPOLOGIES + "protocol: {momentum: .nan}", "protocol.momentum = nan: must be a finite"),
        (OF_TOPOLOGIES + "protocol: {momentum: '0.9'}", "protocol.momentum = '0.9': write a num"),
        (OF_TOPOLOGIES + "data: cifar10", "data = 'cifar10': write keys, as in {dataset: cifar10"),
        (OF_TOPOLOGIES + "reduction_topology: '0'", "reduction_topology = '0': write a topology's"),
        (OF_TOPOLOGIES + "reduction_topology: true", "reduction_topology = true: write a topo"),
        (OF_TOPOLOGIES + "reduction_operation: 3", "reduction_operation = 3: write text"),
        ("kind: genotypes", "genotypes is missing: list known or written cells"),
        ("kind: genotypes\ngenotypes: []", "genotypes = []: write a list of known or written"),
        ("kind: genotypes\ngenotypes: DARTS_V1", "genotypes = 'DARTS_V1': write a list"),
        ("kind: genotypes\ngenotypes: [1, DARTS_V3]", "genotypes[0] = 1: write text"),
        ("kind: genotypes\ngenotypes: [1, DARTS_V3]", "genotypes[1] = 'DARTS_V3': 'DARTS_V3' is"),
        (OF_GENOTYPES + "topologies: 0", "topologies = 0: belongs to kind: topologies"),
    ],
)
def test_a_bad_value_is_told_with_file_key_value_and_what_is_allowed(
    text: str, expected: str
) -> None:
    message = refusal(text)

    assert message.startswith("my.yaml: ")
    assert expected in message


@pytest.mark.parametrize(
    "genotype",
    [
        KNOWN_CELLS["PDARTS"].to_darts().replace("normal_concat=range(2, 6)", "normal_concat=5"),
        '{"normal": ' + "[" * 100_000,
        "Genotype(" + "-" * 100_000 + "1)",
    ],
)
def test_a_hostile_genotype_is_an_error_like_any_other(genotype: str) -> None:
    assert "my.yaml: genotypes[0] = " in refusal(
        f"kind: genotypes\ngenotypes: [{json.dumps(genotype)}]"
    )


@settings(max_examples=50)
@given(SPECS)
def test_a_spec_survives_json_exactly(spec: SweepSpec) -> None:
    value = spec.to_json_value()
    text = json.dumps(value)
    again = spec_from_json_value(value)
    assert not isinstance(spec, SearchSweep)
    assert not isinstance(again, SearchSweep)

    assert again == spec == spec_from_json_value(json.loads(text))
    assert json.loads(text) == value == again.to_json_value(), "and the value is left alone"
    assert again.genotype_list() == spec.genotype_list()
    assert spec.trial_count == len(spec.genotype_list()) * len(spec.seeds)


def test_json_holds_int_sets_as_text_and_the_protocol_in_full() -> None:
    value = loaded("kind: topologies\ntopologies: all\nseeds: 0-2,5").to_json_value()

    assert value["topologies"] == "0-179"
    assert value["seeds"] == "0-2,5"
    assert set(value["protocol"]) == set(Protocol.model_fields)


def test_a_protocol_key_that_an_old_store_lacks_takes_its_default() -> None:
    value = loaded(OF_TOPOLOGIES + "protocol: {cells: 3}").to_json_value()
    del value["protocol"]["cutout"]

    assert spec_from_json_value(value).protocol == Protocol(cells=3)


def test_damaged_json_is_told_as_the_file_it_comes_from() -> None:
    value = loaded(OF_TOPOLOGIES).to_json_value()
    del value["name"]

    with pytest.raises(InputError, match=r"^sweep\.json: name is.*; sweep\.json: seeds = 5\.5: "):
        spec_from_json_value(value | {"seeds": 5.5})


def test_specs_are_frozen_hashable_and_refuse_unknown_keys() -> None:
    spec = loaded(OF_TOPOLOGIES)
    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "other"
    with pytest.raises(ValidationError, match="Extra inputs"):
        TopologySweep.model_validate({"name": "a", "topologies": (0,), "topology": 0})

    assert len({spec, loaded(OF_TOPOLOGIES)}) == 1


def test_planning_imports_neither_torch_nor_ray_nor_pandas() -> None:
    code = (
        "import sys; from topo_sweep.spec.load import load_spec; "
        "load_spec('demo').genotype_list(); "
        "print(sorted({'torch', 'ray', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"


@pytest.mark.parametrize("methods", [None, 7, [["search_edarts"]], [{}, None]])
def test_methods_that_are_none_are_refused_in_what_a_store_holds(methods: object) -> None:
    refused(spec_from_json_value, {"kind": "search", "name": "a", "methods": methods})


@pytest.mark.parametrize("kind", ["topologies", "genotypes", "search", "random"])
@pytest.mark.parametrize("form", ["{}", "file://{}", "@{}", "found:{}", "$(cat {})"])
def test_a_sweep_reads_no_file_but_its_own_whatever_its_values_name(
    kind: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("other.yaml").write_text("epochs: 1")
    value = form.format("other.yaml")
    sections: dict[str, type[BaseModel]] = {
        "protocol": Protocol,
        "data": DataOptions,
        "search": SearchProtocol,
    }
    keys = {name for model in get_args(SweepSpec) for name in model.model_fields}
    written: dict[str, Any] = dict.fromkeys(keys, value) | {
        name: {"preset": value} | dict.fromkeys(model.model_fields, value)
        for name, model in sections.items()
    }
    opened: list[str] = []
    for module, name in ((builtins, "open"), (io, "open"), (os, "open")):
        monkeypatch.setattr(module, name, noting(getattr(module, name), opened))

    for values in (written, {name: [each] for name, each in written.items()}):
        Path("sweep.yaml").write_text(json.dumps(values | {"kind": kind}))
        opened.clear()
        assert value in refused(load_spec, "sweep.yaml")
        assert opened == ["sweep.yaml"]


def noting(opens: Callable[..., Any], opened: list[str]) -> Callable[..., Any]:
    """Return what opens files and notes which."""

    def noted(file: object, *arguments: Any, **options: Any) -> Any:
        opened.append(str(file))
        return opens(file, *arguments, **options)

    return noted

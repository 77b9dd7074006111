"""Steps that run a compiled form of the network are those of the network as it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.networks.evaluation import EvalNetwork
from nas_core.networks.packs.cell import structure
from nas_core.protocols.training import Protocol
from nas_core.training.compiled import Compiled, usual_steps
from nas_core.training.pack import Member, PackTraining
from nas_core.training.training import Training
from tests.nas_core.training.trainings import DIGITS, cells, facts, same, stopped_after, unchanged

EXACT = Protocol(
    cells=1, init_channels=2, epochs=2, batch_size=32, precision="float64", drop_path=0.3
)
"""Three steps an epoch, the third of a partial batch; paths are dropped from the second on."""

Graphs = list[tuple[int, ...]]


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Graphs:
    """Let nothing be compiled; return the shapes of the images that graphs are run with."""
    shapes: Graphs = []

    def compiled(network: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        def run(images: torch.Tensor, *others: Any) -> Any:
            shapes.append(tuple(images.shape))
            return network(images, *others)

        return run

    monkeypatch.setattr(torch, "compile", compiled)
    return shapes


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let graphs be made, but run by PyTorch's own operations, which takes no compiler."""
    compiling = torch.compile
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()

    def traced(network: Callable[..., Any], **how: Any) -> Callable[..., Any]:
        return compiling(network, backend="aot_eager", **how | {"options": None})

    monkeypatch.setattr(torch, "compile", traced)


def graphs_made() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def training(*, compiled: bool, protocol: Protocol = EXACT) -> Training:
    loop = Training(cells(100), protocol, DIGITS, seed=0, compiled=compiled)
    stopped_after(protocol.epochs, loop)
    return loop


def pack(members: list[Member], *, compiled: bool, protocol: Protocol = EXACT) -> PackTraining:
    loop = PackTraining(members, protocol, DIGITS, compiled=compiled)
    stopped_after(protocol.epochs, loop)
    return loop


def close(first: Training | PackTraining, second: Training | PackTraining) -> bool:
    ours, theirs = first.tensors(), second.tensors()
    assert list(ours) == list(theirs)
    return all(torch.allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12) for name in ours)


@pytest.mark.parametrize(("channels", "options"), [(2, {"layout_optimization": False}), (4, None)])
def test_a_graph_keeps_the_layout_of_maps_where_a_halving_convolution_reads_few_channels(
    channels: int, options: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def compiled(network: object, **how: Any) -> object:
        asked.append(how["options"])
        return network

    monkeypatch.setattr(torch, "compile", compiled)
    Compiled(EvalNetwork(cells(100), init_channels=channels, cells=5, num_classes=10), EXACT)

    assert asked == [options]


def test_only_whole_batches_of_epochs_that_drop_paths_run_the_graph(graphs: Graphs) -> None:
    loop = training(compiled=True)

    assert graphs == [(32, 3, 8, 8)] * 2  # of the second epoch
    assert usual_steps(EXACT, len(DIGITS.train)) == 2
    assert same(loop, training(compiled=False))


def test_a_pack_of_several_seeds_runs_its_graph_too(graphs: Graphs) -> None:
    pack([Member(cells(17), seed) for seed in (0, 1)], compiled=True)

    assert graphs == [(2, 32, 3, 8, 8)] * 2


def test_where_no_path_is_ever_dropped_every_epoch_runs_the_graph(graphs: Graphs) -> None:
    never = EXACT.with_values({"drop_path": 0.0})
    training(compiled=True, protocol=never)

    assert len(graphs) == 4
    assert usual_steps(never, len(DIGITS.train)) == 4


def test_where_paths_are_dropped_a_single_epoch_runs_no_graph(graphs: Graphs) -> None:
    one = EXACT.with_values({"epochs": 1})
    training(compiled=True, protocol=one)

    assert graphs == []
    assert usual_steps(one, len(DIGITS.train)) == 0


def test_nothing_is_compiled_that_was_not_asked_for(graphs: Graphs) -> None:
    training(compiled=False)

    assert graphs == []


@pytest.mark.usefixtures("graphs")
def test_a_training_goes_on_from_what_the_other_form_saved() -> None:
    whole = training(compiled=False)
    begun = Training(cells(100), EXACT, DIGITS, seed=0)
    stopped_after(1, begun)
    later = Training(cells(100), EXACT, DIGITS, seed=0, compiled=True)
    later.history = list(begun.history)
    later.restore(begun.tensors())
    stopped_after(2, later)

    assert unchanged(whole.tensors(), later.tensors())


@pytest.mark.usefixtures("traced")
def test_a_graph_of_the_plain_network_is_the_network() -> None:
    assert close(training(compiled=True), training(compiled=False))
    assert graphs_made() == 1


@pytest.mark.long
@pytest.mark.usefixtures("traced")
def test_packs_of_other_topologies_share_one_graph() -> None:
    three_cells = EXACT.with_values({"cells": 3, "drop_path": 0.0, "epochs": 1})
    reduction = CellEdges.uniform(Topology.from_index(0), "max_pool_3x3")
    # Of both packs each node reads all states there are, in one topology or another.
    for topologies in ((0, 99, 101), (17, 40, 178)):
        members = [Member(replace(cells(index), reduction=reduction), 0) for index in topologies]
        ours = pack(members, compiled=True, protocol=three_cells)
        assert close(ours, pack(members, compiled=False, protocol=three_cells))

    assert graphs_made() == 1


@pytest.mark.long
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    ("second", "graphs"), [((179, 0, 179), 1), ((0, 0, 179), 2), ((0, 60, 0), 2)]
)
def test_packs_share_a_graph_where_their_structures_are_equal(
    second: tuple[int, ...], graphs: int
) -> None:
    one_cell = EXACT.with_values({"cells": 1, "drop_path": 0.0, "epochs": 1})
    structures = set()
    for topologies in ((0, 179, 179), second):
        wirings = [CellEdges.uniform(Topology.from_index(i), "sep_conv_3x3") for i in topologies]
        pack(
            [Member(Genotype(wiring, wiring), 0) for wiring in wirings],
            compiled=True,
            protocol=one_cell,
        )
        structures.add(structure(wirings, reduces=True))

    assert len(structures) == graphs_made() == graphs


@pytest.mark.long
def test_compiled_steps_are_those_of_the_network_as_it_is_written() -> None:
    torch.compiler.reset()
    one = EXACT.with_values({"drop_path": 0.0})

    ours, theirs = (training(compiled=is_so, protocol=one) for is_so in (True, False))

    assert close(ours, theirs)
    for mine, other in zip(ours.history, theirs.history, strict=True):
        assert facts(mine) == pytest.approx(facts(other), rel=1e-9)

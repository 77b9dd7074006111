"""Architecture parameters: their keys, their softmax, and the paper's operation attention."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from nas_core.cells.discretisation import discretise_cell, discretise_edges
from nas_core.cells.genotype import KNOWN_CELLS, OPERATION_NAMES, Genotype
from nas_core.cells.spaces import SPACES
from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from nas_core.networks.alphas import CELL_TYPES, Alphas, SearchSpace, one_hot
from nas_core.training import search_steps
from nas_core.training.alpha_step import Batch, LossAndLogits, Weights
from nas_core.training.search import Search
from tests.nas_core.training.searches import TINY, searched

SPACE = SearchSpace.full(OPERATION_NAMES)
ATTENTION = {
    "sep_conv_3x3": 0.0006,
    "sep_conv_5x5": 0.0004,
    "dil_conv_5x5": -0.0006,
    "dil_conv_3x3": -0.0004,
}


def drawn(
    seed: int = 0,
    *,
    std: float = 1.0,
    space: SearchSpace = SPACE,
    attention: bool = False,
    edge_normalisation: bool = False,
) -> Alphas:
    alphas = Alphas(space, attention=attention, edge_normalisation=edge_normalisation)
    alphas.initialise_(seed, std=std)
    return alphas.to(torch.device("cpu"), torch.float64)


def by_hand(logits: list[float]) -> list[float]:
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


def test_mixing_is_the_softmax_over_the_operations_of_each_edge() -> None:
    alphas = drawn()
    for cell_type, mixing in alphas.mixing().items():
        assert mixing.edges is None
        expected = [by_hand(row) for row in alphas.tensors[cell_type].tolist()]
        torch.testing.assert_close(mixing.operations.tolist(), expected)


def test_attention_is_a_constant_inside_the_softmax() -> None:
    plain, attended = drawn(), drawn(attention=True)
    offsets = [ATTENTION.get(name, 0.0) for name in OPERATION_NAMES]
    for cell_type, mixing in attended.mixing().items():
        assert torch.equal(plain.tensors[cell_type], attended.tensors[cell_type])
        expected = [
            by_hand([alpha + offset for alpha, offset in zip(row, offsets, strict=True)])
            for row in plain.tensors[cell_type].tolist()
        ]
        torch.testing.assert_close(mixing.operations.tolist(), expected, rtol=1e-7, atol=0)
        before = plain.mixing()[cell_type].operations
        ratios = (mixing.operations / before).log()
        differences = ratios - ratios[:, :1]  # of none, which has no attention
        torch.testing.assert_close(
            differences, torch.tensor(offsets, dtype=torch.float64).expand(14, 8), rtol=0, atol=1e-9
        )


def test_from_zero_alphas_attention_prefers_separable_ones_as_its_weights_say() -> None:
    edge = drawn(std=0.0, attention=True).edge_weights()["normal"][0].weights
    others = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect")
    assert len({edge[name] for name in others}) == 1
    order = ("sep_conv_3x3", "sep_conv_5x5", "none", "dil_conv_3x3", "dil_conv_5x5")
    weights = [edge[name] for name in order]
    assert weights == sorted(set(weights), reverse=True)
    chosen = discretise_edges(**drawn(std=0.0, attention=True).edge_weights(), max_skips=None)
    assert chosen.normal.uniform_operation == chosen.reduction.uniform_operation == "sep_conv_3x3"


def test_attention_follows_the_operations_of_narrowed_edges() -> None:
    kept = dict.fromkeys(SPACE.normal.edges, ("sep_conv_5x5", "dil_conv_5x5"))
    kept[0, 2] = ("none", "sep_conv_3x3")
    space = SearchSpace(SPACE.normal.narrowed(kept), SPACE.reduction)
    weights = drawn(std=0.0, space=space, attention=True).mixing()["normal"].operations
    expected = [by_hand([0.0, 0.0006]), *[by_hand([0.0004, -0.0006])] * 13]
    torch.testing.assert_close(weights.tolist(), expected, rtol=1e-7, atol=0)


def without_gradient(
    loss_and_logits: LossAndLogits,
    weights: Weights,
    alphas: Sequence[Tensor],
    _train: Batch,
    batch: Batch,
    **_: object,
) -> tuple[list[Tensor], Tensor, Tensor]:
    loss, logits = loss_and_logits({k: v.detach() for k, v in weights.items()}, batch)
    return [torch.zeros_like(alpha) for alpha in alphas], loss.detach(), logits.detach()


EPOCHS = 20


def epochs_without_gradient(attention: str, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Search with an alpha step an epoch in which alphas are neither pushed nor decayed."""
    monkeypatch.setattr(search_steps, "alpha_gradient", without_gradient)
    protocol = TINY.with_values(
        {"attention": attention, "alpha_std": 0.0, "alpha_weight_decay": 0.0, "epochs": EPOCHS}
        | {"batch_size": 24, "alpha_every": "epoch", "precision": "float64"}
    )
    search = searched(protocol)
    assert sum(epoch.alpha_steps for epoch in search.history) == EPOCHS
    return search


@pytest.mark.slow
def test_attention_once_is_not_accumulated_over_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    search = epochs_without_gradient("once", monkeypatch)
    assert all(alpha.count_nonzero() == 0 for alpha in search.alphas.tensors.values())
    expected = by_hand([0.0, 0.0, 0.0006])  # none, skip, sep 3x3
    for epoch in search.history:
        for cell_type in CELL_TYPES:
            for edge in epoch.edge_weights(cell_type):
                assert list(edge.weights.values()) == pytest.approx(expected, rel=1e-7)


def test_attention_per_update_accumulates_by_its_offset_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = epochs_without_gradient("per_update", monkeypatch)
    total = EPOCHS * 0.0006
    for alpha in search.alphas.tensors.values():
        expected = torch.tensor([0.0, 0.0, total], dtype=torch.float64).expand(8, 3)
        torch.testing.assert_close(alpha.detach(), expected, rtol=1e-6, atol=0)
    edge = search.history[-1].edge_weights("normal")[0]
    assert list(edge.weights.values()) == pytest.approx(by_hand([0.0, 0.0, total]), rel=1e-6)


def values(alphas: Alphas) -> dict[tuple[object, ...], float]:
    """Return each alpha by cell type, edge and operation."""
    return {
        (cell_type, edge, name): alphas.tensors[cell_type][row, column].item()
        for cell_type in CELL_TYPES
        for row, edge in enumerate(alphas.space.cell(cell_type).edges)
        for column, name in enumerate(alphas.space.cell(cell_type).operations[row])
    }


def test_an_edges_operation_draws_the_same_in_every_space_and_topology() -> None:
    everywhere = values(drawn())
    assert len(set(everywhere.values())) == 2 * 14 * 8
    for space in (
        SearchSpace.full(SPACES["SS1"]),
        SearchSpace.full(SPACES["SS8"], Topology.from_index(123)),
        SearchSpace.full(OPERATION_NAMES, (Topology.from_index(3), Topology.from_index(99))),
    ):
        some = values(drawn(space=space))
        assert some
        assert some.items() <= everywhere.items()


def test_draws_are_normal_with_the_standard_deviation_asked_for() -> None:
    numbers = torch.tensor(list(values(drawn(std=0.5)).values()))
    assert numbers.std().item() == pytest.approx(0.5, rel=0.15)
    assert numbers.mean().item() == pytest.approx(0, abs=0.1)
    twice = torch.tensor(list(values(drawn(std=1.0)).values()))
    torch.testing.assert_close(twice, 2 * numbers)
    assert not any(values(drawn(std=0.0)).values())


def test_another_seed_draws_others() -> None:
    assert not set(values(drawn(0)).values()) & set(values(drawn(1)).values())


def test_alphas_of_edges_are_drawn_too_and_apart_from_those_of_operations() -> None:
    alphas = drawn(edge_normalisation=True)
    assert values(alphas) == values(drawn())
    edges = [alphas.tensors[f"{cell_type}_edges"] for cell_type in CELL_TYPES]
    numbers = torch.cat(edges).tolist()
    assert len(set(numbers)) == 28
    assert not set(numbers) & set(values(alphas).values())


def test_alphas_are_leaves_of_their_own_that_learn() -> None:
    alphas = drawn()
    alphas.mixing()["normal"].operations[:, 3].sum().backward()
    gradients = {name: tensor.grad for name, tensor in alphas.tensors.items()}
    assert gradients["reduction"] is None
    assert gradients["normal"] is not None
    assert gradients["normal"].abs().min() > 0


def test_plain_weights_are_those_of_the_mixing_and_decide_the_genotype() -> None:
    alphas = drawn(edge_normalisation=True)
    for cell_type, edges in alphas.edge_weights().items():
        mixing = alphas.mixing()[cell_type]
        assert mixing.edges is not None
        assert [(edge.source, edge.node) for edge in edges] == list(SPACE.normal.edges)
        assert [list(edge.weights.values()) for edge in edges] == mixing.operations.tolist()
        assert [edge.edge_weight for edge in edges] == mixing.edges.tolist()
    cells = [discretise_cell(edges) for edges in alphas.edge_weights().values()]
    assert discretise_edges(**alphas.edge_weights(), max_skips=None) == Genotype(*cells)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        (["sep_conv_3"], "unknown operation 'sep_conv_3': use sep_conv_3x3"),
        (["none", "skip_connect"], "a space needs a learnable operation"),
    ],
)
def test_spaces_that_cannot_be_searched_are_refused(operations: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SearchSpace.full(operations)


def test_one_hot_weights_are_those_of_one_cell_and_lead_back_to_it() -> None:
    genotype = KNOWN_CELLS["PDARTS"]

    mixing = one_hot(SPACE, genotype, torch.zeros(1, dtype=torch.float64))

    for cell_type, cell in zip(CELL_TYPES, (genotype.normal, genotype.reduction), strict=True):
        weights, edges = mixing[cell_type].operations, mixing[cell_type].edges
        assert weights.dtype == torch.float64
        assert weights.sum().item() == len(cell.edges)
        assert edges is not None
        assert edges.tolist() == weights.sum(dim=1).tolist()
        ends = SPACE.cell(cell_type).edges
        chosen = {(ends[row], OPERATION_NAMES[name]) for row, name in weights.nonzero().tolist()}
        assert chosen == {
            ((edge.source, node), edge.operation)
            for node, pair in enumerate(cell.nodes, 2)
            for edge in pair
        }


@pytest.mark.parametrize(
    "space",
    [
        SearchSpace.full(["none", "sep_conv_3x3"]),
        SearchSpace.full(OPERATION_NAMES, Topology.from_index(0)),
    ],
    ids=["operation", "edge"],
)
def test_a_cell_that_a_space_does_not_hold_is_refused(space: SearchSpace) -> None:
    with pytest.raises(InputError, match=r"the normal cell of this search has no \S+ of node"):
        one_hot(space, KNOWN_CELLS["PDARTS"], torch.zeros(1))

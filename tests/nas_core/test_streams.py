"""What the random streams promise: numbers that depend on their key alone, the same for ever."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.networks.evaluation import EvalNetwork
from nas_core.protocols.training import Protocol
from nas_core.streams import (
    EDGE_SLOTS,
    Draws,
    drop_path_probability,
    generator,
    initialise_,
)

EVERYTHING = Protocol(cutout=16, batch_size=4)
"""Draws from every stream once drop path has begun."""


def draw(
    protocol: Protocol = EVERYTHING, *, seed: int = 3, epoch: int = 50, images: int = 10
) -> Draws:
    return Draws.draw(protocol, seed=seed, epoch=epoch, images=images, image_size=(32, 32))


def tensors(draws: Draws) -> dict[str, Tensor]:
    drawn = {
        name: getattr(draws, name)
        for name in ("order", "offsets", "flips", "cutout_centres", "keep")
    }
    return {name: tensor for name, tensor in drawn.items() if tensor is not None}


def network(topology: int, *, cells: int = 3) -> EvalNetwork:
    normal = CellEdges.uniform(Topology.from_index(topology), "sep_conv_3x3")
    reduction = CellEdges.uniform(Topology.from_index(0), "max_pool_3x3")
    return EvalNetwork(Genotype(normal, reduction), init_channels=2, cells=cells, num_classes=10)


def test_drawn_values_never_change() -> None:
    # numerics_version 1. Whoever changes a stream must raise that version, then these numbers.
    draws = draw()

    assert draws.order.tolist() == [3, 4, 9, 7, 5, 6, 2, 8, 0, 1]
    assert draws.offsets is not None
    assert draws.offsets[:3].tolist() == [[7, 0], [8, 7], [4, 8]]
    assert draws.flips is not None
    assert draws.flips.nonzero().flatten().tolist() == [6]
    assert draws.cutout_centres is not None
    assert draws.cutout_centres[:3].tolist() == [[6, 25], [28, 20], [21, 13]]
    assert draws.keep is not None
    assert draws.keep[2, 4, :, 1].int().tolist() == [1, 1, 1, 1, 1, 1, 0, 1]


def test_initial_weights_never_change() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(5, 2))
    initialise_(layers, seed=7)
    drawn = layers.state_dict()

    def same(name: str, first: list[float]) -> None:
        values = drawn[name].flatten()[: len(first)]
        torch.testing.assert_close(values, torch.tensor(first), rtol=1e-6, atol=0)

    same("0.weight", [-0.12066684663, 0.15862691402, 0.16846977174])
    same("0.bias", [-0.14891083538, -0.02204398624])
    same("1.weight", [0.34836035966, 0.30050596594, -0.10085513442])


def test_same_key_gives_the_same_draws() -> None:
    first, second = tensors(draw()), tensors(draw())

    assert set(first) == {"order", "offsets", "flips", "cutout_centres", "keep"}
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_order_of_draws_does_not_matter() -> None:
    expected = tensors(draw(epoch=50))
    torch.manual_seed(0)
    draw(epoch=51)
    draw(seed=4)
    generator("order", 3, 50).seed()
    torch.rand(100)

    after = tensors(draw(epoch=50))
    assert all(torch.equal(expected[name], after[name]) for name in expected)


def test_draws_leave_the_global_generator_alone() -> None:
    net = network(5)
    before = torch.get_rng_state()
    draw()
    initialise_(net, seed=1)

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("seed", "epoch"), [(4, 50), (3, 51), (50, 3)])
def test_other_seeds_and_epochs_draw_other_numbers(seed: int, epoch: int) -> None:
    one = tensors(draw(images=200, seed=3, epoch=50))
    two = tensors(draw(images=200, seed=seed, epoch=epoch))

    assert all(not torch.equal(one[name], two[name]) for name in one)


@given(
    st.lists(
        st.lists(st.integers(0, 2**63) | st.text(max_size=5), min_size=1, max_size=4).map(tuple),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_different_keys_have_different_streams(keys: list[tuple[str | int, ...]]) -> None:
    one, other = (torch.rand(8, generator=generator(*key)) for key in keys)

    assert not torch.equal(one, other)


def test_numbers_and_texts_are_different_keys() -> None:
    keys: list[tuple[str | int, ...]] = [("order", 1, 23), ("order", 12, 3), ("order", "1", 23)]
    first_values = {torch.rand(1, generator=generator(*key)).item() for key in keys}

    assert len(first_values) == len(keys)


@pytest.mark.parametrize(
    ("change", "silenced"),
    [
        ({"crop_padding": 0}, "offsets"),
        ({"flip": False}, "flips"),
        ({"cutout": 0}, "cutout_centres"),
        ({"drop_path": 0.0}, "keep"),
    ],
)
def test_a_stream_that_is_not_used_is_none_and_changes_no_other(
    change: dict[str, object], silenced: str
) -> None:
    everything = tensors(draw())
    without = tensors(draw(EVERYTHING.with_values(change)))

    assert set(without) == set(everything) - {silenced}
    assert all(torch.equal(without[name], everything[name]) for name in without)


@given(st.integers(1, 300), st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=30)
def test_order_is_a_permutation(images: int, seed: int, epoch: int) -> None:
    draws = draw(seed=seed, epoch=epoch, images=images)

    assert draws.order.sort().values.tolist() == list(range(images))


def test_crop_offsets_reach_every_shift_equally_often() -> None:
    offsets = draw(images=9000).offsets

    assert offsets is not None
    for axis in range(2):
        counts = offsets[:, axis].bincount(minlength=9)
        assert len(counts) == 9  # shifts 0..8 for a padding of 4
        # 1000 expected of each; SD sqrt(9000 * 1/9 * 8/9) = 30.
        assert counts.min() > 850
        assert counts.max() < 1150


def test_half_of_the_images_are_flipped() -> None:
    flips = draw(images=10_000).flips

    assert flips is not None
    assert abs(flips.float().mean().item() - 0.5) < 0.02  # four SD


def test_cutout_centres_are_rows_and_columns_of_the_image() -> None:
    draws = Draws.draw(EVERYTHING, seed=0, epoch=0, images=2000, image_size=(3, 7))

    assert draws.cutout_centres is not None
    rows, columns = draws.cutout_centres.unbind(dim=1)
    assert set(rows.tolist()) == set(range(3))
    assert set(columns.tolist()) == set(range(7))


def test_drop_path_grows_linearly_from_zero() -> None:
    # Trap: not from p / epochs, and it never quite reaches p.
    protocol = Protocol(drop_path=0.2, epochs=100)

    assert drop_path_probability(protocol, 0) == 0
    assert drop_path_probability(protocol, 1) == pytest.approx(0.002)
    assert drop_path_probability(protocol, 50) == pytest.approx(0.1)
    assert drop_path_probability(protocol, 99) == pytest.approx(0.198)


def test_epoch_zero_keeps_every_path() -> None:
    draws = draw(epoch=0)

    assert draws.keep is None
    assert draws.keep_probability == 1
    assert all(step.keep is None for step in draws.steps())


@pytest.mark.parametrize("epoch", [10, 50, 99])
def test_paths_are_kept_as_often_as_the_schedule_says(epoch: int) -> None:
    protocol = Protocol(drop_path=0.6, batch_size=64, cells=5)
    draws = draw(protocol, epoch=epoch, images=640)

    assert draws.keep is not None
    probability = 1 - 0.6 * epoch / 100
    assert draws.keep_probability == pytest.approx(probability)
    kept = draws.keep.float()  # 10 steps, 5 cells, 8 edges, 64 samples: SD of the mean < 0.004
    assert abs(kept.mean().item() - probability) < 0.015
    # In each single step, cell, edge and sample as well, so none of them shares its masks.
    for axis, size in enumerate((10, 5, EDGE_SLOTS, 64)):
        others = [other for other in range(4) if other != axis]
        means = kept.mean(dim=others)
        assert means.shape == (size,)
        assert (means - probability).abs().max().item() < 0.1


def test_masks_of_one_sample_differ_between_edges_and_of_one_edge_between_samples() -> None:
    draws = draw(Protocol(drop_path=0.9, batch_size=64), epoch=55, images=64)

    assert draws.keep is not None
    step, cell = draws.keep[0, 0], draws.keep[0, 1]  # each (EDGE_SLOTS, B), kept about half
    assert len({tuple(edge.tolist()) for edge in step}) == EDGE_SLOTS
    assert len({tuple(sample.tolist()) for sample in step.T}) > 2
    assert not torch.equal(step, cell)


def test_steps_cut_an_epoch_into_batches_and_keep_the_partial_last_one() -> None:
    draws = draw(images=10)  # in batches of 4
    steps = list(draws.steps())

    assert [len(step.order) for step in steps] == [4, 4, 2]
    assert torch.equal(torch.cat([step.order for step in steps]), draws.order)
    whole = tensors(draws)
    for name in ("offsets", "flips", "cutout_centres"):
        assert torch.equal(torch.cat([getattr(step, name) for step in steps]), whole[name])
    for number, step in enumerate(steps):
        assert step.keep is not None
        assert step.keep.shape == (5, EDGE_SLOTS, len(step.order))
        assert torch.equal(step.keep, whole["keep"][number, :, :, : len(step.order)])


@pytest.mark.parametrize(("images", "steps"), [(1, 1), (4, 1), (5, 2), (8, 2)])
def test_number_of_steps_counts_the_partial_one(images: int, steps: int) -> None:
    assert len(list(draw(images=images).steps())) == steps


def test_the_papers_epoch_has_782_steps() -> None:
    draws = draw(Protocol(), epoch=0, images=50_000)
    sizes = [len(step.order) for step in draws.steps()]

    assert len(sizes) == 782
    assert sizes[-1] == 16


def test_initial_weights_are_the_same_for_every_topology() -> None:
    one, other = network(0), network(113)
    initialise_(one, seed=5)
    initialise_(other, seed=5)

    for (name, weight), same in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(weight, same), name


def test_initial_weights_depend_on_name_and_shape_only() -> None:
    # Fewer cells, other operations: what both have by name and shape is equal.
    deep = network(0, cells=5)
    mixed = EvalNetwork(
        Genotype(
            CellEdges.uniform(Topology.from_index(7), "dil_conv_3x3"),
            CellEdges.uniform(Topology.from_index(7), "skip_connect"),
        ),
        init_channels=2,
        cells=3,
        num_classes=10,
    )
    initialise_(deep, seed=5)
    initialise_(mixed, seed=5)
    one = dict(deep.named_parameters())
    shared = [
        name
        for name, weight in mixed.named_parameters()
        if name in one and one[name].shape == weight.shape
    ]

    assert "stem.0.weight" in shared
    assert any("preprocess" in name for name in shared)
    assert all(torch.equal(mixed.get_parameter(name), one[name]) for name in shared)


def test_parameters_of_one_shape_start_apart() -> None:
    layers = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    initialise_(layers, seed=0)
    again = nn.Sequential(nn.Linear(8, 8))
    initialise_(again, seed=1)
    weights = [*layers.parameters(), *again.parameters()][::2]  # the biases left out

    assert len({tuple(weight.flatten().tolist()) for weight in weights}) == 3


def test_initialising_twice_gives_the_same_whatever_was_there() -> None:
    one, other = network(9), network(9)
    initialise_(one, seed=2)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.fill_(float("nan"))
    other(torch.rand(2, 3, 8, 8))  # running statistics are NaN now
    initialise_(other, seed=2)

    theirs = other.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize(
    ("build", "fan_in"),
    [
        (lambda: nn.Conv2d(16, 128, 3), 16 * 9),
        (lambda: nn.Conv2d(2000, 2000, 3, groups=2000, bias=False), 9),  # depthwise
        (lambda: nn.Conv2d(64, 256, 1, bias=False), 64),
        (lambda: nn.Linear(100, 150), 100),
    ],
    ids=["conv", "depthwise", "pointwise", "linear"],
)
def test_initial_weights_have_pytorchs_default_distribution(
    build: Callable[[], nn.Module], fan_in: int
) -> None:
    torch.manual_seed(0)
    defaults, drawn = build(), build()
    initialise_(drawn, seed=0)
    bound = 1 / math.sqrt(fan_in)

    for default, ours in zip(defaults.parameters(), drawn.parameters(), strict=True):
        assert not torch.equal(default, ours)
        assert ours.abs().max().item() <= bound
        if default.dim() == 1:
            assert ours.abs().max().item() > 0.9 * bound
            continue
        assert ours.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert ours.mean().item() == pytest.approx(0, abs=0.03 * bound)
        assert ours.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
        # Quantile by quantile as PyTorch draws them: at least 15,000 values each.
        gaps = ours.detach().flatten().sort().values - default.detach().flatten().sort().values
        assert gaps.abs().max().item() < 0.04 * bound


def test_batch_norm_starts_at_one_zero_and_without_memory() -> None:
    norms = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3, affine=False))
    norms(torch.randn(4, 3, 2, 2) + 5)
    with torch.no_grad():
        norms.get_parameter("0.weight").fill_(7)
        norms.get_parameter("0.bias").fill_(7)
    initialise_(norms, seed=0)

    assert norms.get_parameter("0.weight").tolist() == [1, 1, 1]
    assert norms.get_parameter("0.bias").tolist() == [0, 0, 0]
    for layer in range(2):
        assert norms.get_buffer(f"{layer}.running_mean").tolist() == [0, 0, 0]
        assert norms.get_buffer(f"{layer}.running_var").tolist() == [1, 1, 1]
        assert norms.get_buffer(f"{layer}.num_batches_tracked").item() == 0


def test_an_unknown_layer_is_refused_not_left_to_chance() -> None:
    with pytest.raises(TypeError, match="PReLU"):
        initialise_(nn.Sequential(nn.PReLU()), seed=0)

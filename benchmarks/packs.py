"""What training several topologies as one network gains: images a second and operations, as ratios.

A step is forward, backward, clipping and the optimiser, of the authors' network by PyTorch's own
layers and of packs of several sizes, in turn in one process; images count once for each model.
Claims and numbers are in docs/performance.md.

Run: python benchmarks/packs.py [--size digits|cifar10] [--packs 1 8 30 60] [--repeats 5]
    [--precision float32|bfloat16] [--threads 1] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.utils._python_dispatch import TorchDispatchMode

from nas_core.networks.evaluation import EvalNetwork
from nas_core.networks.packed import PackedNetwork
from nas_core.streams import initialise_
from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.training import members_of
from topo_sweep.bench.turns import Side, in_turn, ratio, timed

SIZES = {
    "digits": {"init_channels": 4, "batch": 48, "side": 8},
    "cifar10": {"init_channels": 16, "batch": 64, "side": 32},
}
"""Of `make demo`, and of the paper's shallow protocol; both have 5 cells."""

_VIEWS = {"view", "expand", "permute", "transpose", "t", "slice", "select", "split", "unsqueeze",
          "squeeze", "detach", "alias", "as_strided", "unfold", "split_with_sizes", "chunk",
          "_unsafe_view", "unbind", "_reshape_alias", "unsafe_split"}  # fmt: skip


class Operations(TorchDispatchMode):
    """Counts what is dispatched, views left out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - PyTorch's
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Count one operation and run it."""
        self.count += func.overloadpacket.__name__ not in _VIEWS
        return func(*args, **(kwargs or {}))


def optimizer(network: torch.nn.Module) -> torch.optim.SGD:
    """Return the optimiser of the shallow protocol."""
    return torch.optim.SGD(
        network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4, fused=True
    )


def plain_step(images: Tensor, labels: Tensor, init_channels: int) -> Callable[[], None]:
    """Return a step of one network."""
    network = EvalNetwork(
        pack_of(1, init_channels).genotypes[0],
        init_channels=init_channels,
        cells=5,
        num_classes=10,
    )
    initialise_(network, 0)
    sgd = optimizer(network)

    def step() -> None:
        logits = network(images)
        assert isinstance(logits, Tensor)  # noqa: S101
        cross_entropy(logits, labels).backward()
        clip_grad_norm_(network.parameters(), 5.0)
        sgd.step()
        sgd.zero_grad()

    return step


def pack_of(models: int, init_channels: int) -> PackedNetwork:
    """Return topologies spread over all 180, all with the weights of seed 0."""
    genotypes = [member.genotype for member in members_of(models)]
    pack = PackedNetwork(genotypes, init_channels=init_channels, cells=5, num_classes=10)
    alone = EvalNetwork(pack.genotypes[0], init_channels=init_channels, cells=5, num_classes=10)
    initialise_(alone, 0)
    pack.load_models([alone.state_dict()] * models)
    return pack


def packed_step(
    images: Tensor, labels: Tensor, init_channels: int, models: int, precision: str = "float32"
) -> Callable[[], None]:
    """Return a step of a pack."""
    network = pack_of(models, init_channels)
    sgd = optimizer(network)
    many = labels.repeat(models)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = network(images)
            assert isinstance(logits, Tensor)  # noqa: S101
            losses = cross_entropy(logits.flatten(0, 1), many, reduction="none")
        losses.view(models, -1).mean(1).sum().backward()
        network.clip_gradients(5.0)
        sgd.step()
        sgd.zero_grad()

    return step


def measured(size: str, packs: list[int], repeats: int, precision: str) -> dict[str, Any]:
    """Return images a second, operations and ratios of the plain network and of each pack.

    `seconds_a_model` has what each repeat took, by the model and step.
    """
    shape = SIZES[size]
    images = torch.randn(shape["batch"], 3, shape["side"], shape["side"])
    labels = torch.randint(10, (shape["batch"],))
    steps = {"plain": (1, plain_step(images, labels, shape["init_channels"]))}
    for models in packs:
        step = packed_step(images, labels, shape["init_channels"], models, precision)
        steps[f"pack of {models}"] = models, step
    operations = {}
    for name, (models, step) in steps.items():
        step()  # memory is claimed first
        with Operations() as counted:
            step()
        operations[name] = counted.count / models

    def side(models: int, step: Callable[[], None]) -> Side:
        return lambda: timed(step) / models

    seconds = in_turn({name: side(*each) for name, each in steps.items()}, repeats, print)
    return {
        "size": size,
        "precision": precision,
        "threads": torch.get_num_threads(),
        "rows": [
            {
                "name": name,
                "images_per_second": shape["batch"] / median(times),
                "ratio": ratio(seconds["plain"], times),
                "operations_per_model": operations[name],
                "seconds_a_model": times,
            }
            for name, times in seconds.items()
        ],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="digits")
    parser.add_argument("--packs", type=int, nargs="+", default=[1, 8, 30, 60])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the result")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = measured(arguments.size, arguments.packs, arguments.repeats, arguments.precision)
    print(f"{result['size']}, packs in {result['precision']}, {result['threads']} thread(s), "
          f"torch {torch.__version__}, n = {arguments.repeats} steps each, in turn")  # fmt: skip
    for row in result["rows"]:
        print(
            f"{row['name']:12s} {row['images_per_second']:8,.0f} images/s "
            f"{row['ratio']:6.2f} of plain {row['operations_per_model']:8.1f} operations a model"
        )
    if arguments.json:
        keep(arguments.json, record(typed(), result, n=arguments.repeats))


if __name__ == "__main__":
    main()

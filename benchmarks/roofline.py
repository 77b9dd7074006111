"""What the training steps of a sweep would take on a GPU, from bytes and products of one step.

The step runs on PyTorch's meta device, where only shapes are computed: every dispatched operation
is counted with the bytes that it reads and writes. It takes the longer of two: its bytes at the
memory's bandwidth, and the start of a kernel; a step takes no less than all its products at the
processor's rate. This is an estimate, and a roof: real kernels reach a part of both rates.
Training steps alone are counted: evaluation, starting, and drawing and loading images are not.

Run: python benchmarks/roofline.py [--models 10 79] [--classes 79] [--epochs 100] [--images 50000]
    [--batch 64] [--json FILE]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any, Final

import torch
from packs import Operations
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import cross_entropy
from torch.utils._pytree import tree_leaves

from nas_core.networks.evaluation import EvalNetwork, multiply_adds
from nas_core.networks.packed import PackedNetwork
from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.training import members_of

BANDWIDTH: Final = 3.35e12
"""Bytes a second of an H100's memory (SXM, 80 GB), by NVIDIA's data sheet."""
RATES: Final = {"float32": 67e12, "bfloat16": 989e12}
"""Operations a second, by the same: float32 without tensor cores, bfloat16 on them, dense."""
SHARES: Final = {"float32": 1.0, "bfloat16": 0.5}
"""Of the bytes that are counted in float32."""
REACHED: Final = 0.7
"""Of the bandwidth, by kernels that stream; what good ones reach."""
LAUNCH: Final = {"one by one": 5e-6, "as a graph": 1.5e-6}
"""Seconds of a kernel that has nothing to do."""


class Traffic(Operations):
    """Counts the bytes of each operation that is dispatched, views left out."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: list[int] = []

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - PyTorch's
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run one operation and note what it reads and writes."""
        before = self.count
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if self.count > before:
            tensors = tree_leaves([args, kwargs or {}, result])
            self.bytes.append(
                sum(x.numel() * x.element_size() for x in tensors if isinstance(x, Tensor))
            )
        return result


def counted(models: int, batch: int) -> tuple[list[int], int, int]:
    """Return bytes of each operation of a step in float32, its products, and what it keeps."""
    genotypes = [member.genotype for member in members_of(models)]
    with torch.device("meta"):
        network = PackedNetwork(genotypes, init_channels=16, cells=5, num_classes=10)
        images = torch.empty(batch, 3, 32, 32)
        labels = torch.zeros(batch * models, dtype=torch.int64)
    sgd = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=3e-4)
    kept: dict[int, Tensor] = {}

    def noted(x: Tensor) -> Tensor:
        return kept.setdefault(x.untyped_storage()._cdata, x)  # noqa: SLF001 - names its memory

    with Traffic() as traffic:
        with saved_tensors_hooks(lambda x: (noted(x), x)[1], lambda x: x):
            logits = network(images)
            losses = cross_entropy(logits.flatten(0, 1), labels, reduction="none")
        losses.view(models, -1).mean(1).sum().backward()
        network.clip_gradients(5.0)
        sgd.step()
    with torch.device("meta"):
        alone = EvalNetwork(network.genotypes[0], init_channels=16, cells=5, num_classes=10)
    # A product is two operations, and there are three: forwards, and for both gradients.
    flops = 6 * multiply_adds(alone, 32, 32) * batch * models
    memory = sum(x.untyped_storage().nbytes() for x in kept.values())
    return traffic.bytes, flops, memory


def seconds(bytes_read: list[int], flops: int, precision: str, launch: float) -> float:
    """Return what a step takes: the longer of its operations' roofs, and of all its products."""
    memory = [max(each * SHARES[precision] / (REACHED * BANDWIDTH), launch) for each in bytes_read]
    return max(sum(memory), flops / RATES[precision])


def main() -> None:
    """Print the estimate for the training steps of a sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, nargs="+", default=[10, 20, 40, 79])
    parser.add_argument("--classes", type=int, default=79)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    steps = arguments.epochs * math.ceil(arguments.images / arguments.batch)
    rows = []
    for models in arguments.models:
        traffic, flops, memory = counted(models, arguments.batch)
        for precision in RATES:
            roofs = {
                name: math.ceil(arguments.classes / models)
                * steps
                * seconds(traffic, flops, precision, launch)
                / 3600
                for name, launch in LAUNCH.items()
            }
            rows.append(
                {
                    "models": models,
                    "precision": precision,
                    "operations": len(traffic),
                    "gigabytes_a_step": sum(traffic) * SHARES[precision] / 1e9,
                    "teraflops_a_step": flops / 1e12,
                    "gigabytes_kept": memory * SHARES[precision] / 1e9,
                    "hours": roofs,
                }
            )
    print(f"Estimate of training steps alone, not measured: {arguments.classes} classes x "
          f"{arguments.epochs} epochs of {arguments.images:,} images, H100, {REACHED:.0%} of its "
          "bandwidth")  # fmt: skip
    for row in rows:
        hours = ", ".join(f"{each:.2f} h {name}" for name, each in row["hours"].items())
        print("{models:3d} models {precision:9s} {operations:5d} operations "
              "{gigabytes_a_step:7.1f} GB {teraflops_a_step:6.2f} TFLOP a step, "
              "{gigabytes_kept:5.1f} GB kept:".format(**row), hours)  # fmt: skip
    if arguments.json:
        keep(arguments.json, record(typed(), {"rows": rows}, n=1, device="none: an estimate"))


if __name__ == "__main__":
    main()

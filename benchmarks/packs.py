"""What training several topologies as one network gains: images a second and operations, as ratios.

Steps are those of real trainings on random images, as `topo-sweep run` takes them, of the authors'
network by PyTorch's own layers and of packs of several sizes, in turn in one process; images count
once for each model. The plain network computes in float32, whatever packs do. Claims and numbers
are in docs/performance.md.

Run: python benchmarks/packs.py [--size digits|cifar10] [--packs 1 8 30 60] [--repeats 5]
    [--precision float32|bfloat16] [--threads 1] [--json FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.sizes import training_size
from topo_sweep.bench.training import members_of
from topo_sweep.bench.turns import Side, in_turn, ratio
from topo_sweep.runs.timing.step_time import TrainingSteps

PRESETS: Final = {"digits": "demo", "cifar10": "shallow"}
"""Both of 5 cells."""

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


def steps_of(
    size: str, models: int | None, precision: str = "float32", *, compiled: bool = False
) -> TrainingSteps:
    """Return the steps of a pack, or of the plain network where there is no number of models."""
    protocol, info = training_size(PRESETS[size], {}, None)
    return TrainingSteps(
        members_of(models or 1),
        protocol.with_values({"precision": precision}),
        info,
        device="cpu",
        packed=models is not None,
        compiled=compiled,
    )


def operations_a_model(steps: TrainingSteps) -> float:
    """Return the operations of the second step for each model, from augmentation to mean loss.

    The first claims memory and draws what is random in its epoch; those after it do neither.
    """
    next(steps)
    with Operations() as counted:
        next(steps)
    return counted.count / len(steps.members)


def measured(size: str, packs: list[int], repeats: int, precision: str) -> dict[str, Any]:
    """Return images a second, operations and ratios of the plain network and of each pack.

    `seconds_a_model` has what each repeat took, by the model and step.
    """
    steps = {"plain": steps_of(size, None)}
    steps |= {f"pack of {models}": steps_of(size, models, precision) for models in packs}
    operations = {name: operations_a_model(each) for name, each in steps.items()}

    def side(each: TrainingSteps) -> Side:
        return lambda: next(each)[0] / len(each.members)

    seconds = in_turn({name: side(each) for name, each in steps.items()}, repeats, print)
    return {
        "size": size,
        "precision": precision,
        "threads": torch.get_num_threads(),
        "rows": [
            {
                "name": name,
                "images_per_second": steps[name].loop.protocol.batch_size / median(times),
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
    parser.add_argument("--size", choices=PRESETS, default="digits")
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

"""Training steps: the plain network as the yardstick, packs of several sizes, precisions.

Beside them stands what the device can do at most, and the share of it that training reaches.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.protocols.data import DatasetInfo
from nas_core.protocols.training import Protocol
from nas_core.training.pack import Member
from topo_sweep.bench.limits import (
    COPY,
    copied_bytes_a_second,
    limit_sides,
    operations_a_second,
    product,
)
from topo_sweep.bench.turns import Side, Tell, in_turn, ratio, sides_table, spread, timed
from topo_sweep.runs.device import as_worker
from topo_sweep.runs.timing.step_time import TrainingSteps

_OPERATIONS: Final = 3 * 2
"""Of a multiply-add of the forward pass: a multiplication and an addition, and twice as much again
for the gradients of maps and of weights."""
_COMPILED: Final = ", compiled"


def training_figures(
    protocol: Protocol,
    info: DatasetInfo,
    *,
    packs: Sequence[int],
    precisions: Sequence[str],
    device: str,
    threads: int,
    repeats: int,
    tell: Tell,
    compiled: bool = False,
) -> dict[str, Any]:
    """Measure steps of trainings in turn; return `sides` and `limits`, each a list of records.

    With `compiled` each network has a second side, its compiled form: `compile_seconds` is what its
    first step takes, and `memory` is by what the network as it is written keeps.

    Images count once for each model. `arithmetic` and `memory` are the shares (0..1) of the
    device's limits: memory counts what the forward pass keeps, written and read once, and so is a
    least share.

    Raises:
        InputError: the network does not fit the images, or a setting is out of range.

    """
    steps: dict[str, TrainingSteps] = {}
    for precision in precisions:
        exact = protocol.with_values({"precision": precision})
        for size, is_graph in itertools.product((None, *packs), (False, True)[: 1 + compiled]):
            name = f"{'plain' if size is None else f'pack of {size}'}, {precision}"
            name += _COMPILED * is_graph
            tell(f"building {name}")
            steps[name] = TrainingSteps(
                members_of(size or 1),
                exact,
                info,
                device=device,
                packed=size is not None,
                compiled=is_graph,
            )
    sides: dict[str, Side] = {name: _side(each) for name, each in steps.items()}
    with as_worker(threads):
        compile_seconds = {
            name: _first_step(name, each, tell)
            for name, each in steps.items()
            if each.loop.compiled
        }
        seconds = in_turn(limit_sides(device, precisions) | sides, repeats, tell)
    yardstick = seconds[f"plain, {precisions[0]}"]
    speed = copied_bytes_a_second(median(seconds[COPY]), device)
    records = []
    for name, each in steps.items():
        models = len(each.members)
        precision = each.loop.protocol.precision
        kept = steps[name.removesuffix(_COMPILED)].kept_bytes
        images = models * protocol.batch_size / median(seconds[name])
        multiply_adds = each.loop.facts()["multiply_adds"]
        assert isinstance(multiply_adds, int)  # noqa: S101
        most = operations_a_second(median(seconds[product(precision)]), device)
        records.append(
            {
                "side": name,
                "models": models,
                "precision": precision,
                **spread(seconds[name]),
                "images_per_second": images,
                "of_plain": models * ratio(yardstick, seconds[name]),
                "arithmetic": _OPERATIONS * multiply_adds * images / most,
                "memory": 2 * kept / median(seconds[name]) / speed,
                "compile_seconds": compile_seconds.get(name),
            }
        )
    products = [
        {
            "side": product(precision),
            **spread(seconds[product(precision)]),
            "operations_per_second": operations_a_second(
                median(seconds[product(precision)]), device
            ),
        }
        for precision in precisions
    ]
    copy = {"side": COPY, **spread(seconds[COPY]), "bytes_per_second": speed}
    return {"sides": records, "limits": [copy, *products]}


def training_text(figures: dict[str, Any]) -> str:
    """Return the figures as a table and what they mean."""
    more = {
        "images/s": "{images_per_second:.0f}",
        "of plain": "{of_plain:.2f}",
        "arithmetic": "{arithmetic:.1%}",
        "memory": "{memory:.1%}",
    }
    graphs = [side for side in figures["sides"] if side["compile_seconds"] is not None]
    copy, *products = figures["limits"]
    return "\n".join(
        [
            sides_table("step of", figures["sides"], more),
            "",
            *(f"{side['compile_seconds']:.0f} s to compile {side['side']}" for side in graphs),
            "At most, this device, measured in the same turns:",
            f"  {copy['bytes_per_second'] / 1e9:.1f} GB/s read and written by {copy['side']}",
            *(
                f"  {each['operations_per_second'] / 1e9:.0f} GFLOP/s by a {each['side']}"
                for each in products
            ),
            "arithmetic: 6 operations for each multiply-add of an image's forward pass, as a share",
            "  of the matrix product's speed in the same precision",
            "memory: what the forward pass keeps for the backward pass, written and read once, as",
            "  a share of the copy's speed; the whole traffic is more",
        ]
    )


def members_of(count: int) -> list[Member]:
    """Return topologies spread over all 180, as the topology sweep trains them."""
    reduction = CellEdges.uniform(Topology.from_index(0), "max_pool_3x3")
    topologies = [Topology.from_index(180 * number // count) for number in range(count)]
    cells = [CellEdges.uniform(topology, "sep_conv_3x3") for topology in topologies]
    return [Member(Genotype(normal, reduction), seed=0) for normal in cells]


def _first_step(name: str, steps: TrainingSteps, tell: Tell) -> float:
    tell(f"compiling {name}")
    return timed(lambda: next(steps))


def _side(steps: TrainingSteps) -> Side:
    def step() -> float:
        (seconds,) = next(steps)
        return seconds

    return step

"""`topo-sweep bench`: what work takes on the device at hand, side by side in one run."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import click

from nas_core.errors import InputError
from topo_sweep.cli.shared.common import say
from topo_sweep.cli.shared.options import FROM_ONE, option, takes

_SIZES: Final = ("preset", "channels", "cells", "batch", "image_size", "threads")
_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "train": (*_SIZES, "packs", "precisions", "compile"),
    "search": _SIZES,
    "overhead": ("trials",),
    "store": ("trials",),
}
"""Which options say something to which kind."""


@dataclass(frozen=True, kw_only=True)
class BenchRequest:
    """What is measured, how large, how often."""

    kind: Literal["train", "search", "overhead", "store"] = option(
        type=click.Choice(list(_OF_KIND)),
        default="train",
        show_default=True,
        help="Training steps, steps of a search, Ray's cost a trial, or a store's.",
    )
    preset: str | None = option(
        metavar="NAME",
        help="Size of the network, see topo-sweep protocol.  [default: demo; search_demo]",
    )
    channels: int | None = option(type=FROM_ONE, help="Channels of the first cells.")
    cells: int | None = option(type=FROM_ONE, help="Cells of the network.")
    batch: int | None = option(type=FROM_ONE, help="Images of a step.")
    image_size: int | None = option(
        type=FROM_ONE, help="Height and width.  [default: 8 for the demo's presets, else 32]"
    )
    packs: str | None = option(
        metavar="LIST", help="Sizes of packs beside the plain network.  [default: 1,10,30]"
    )
    precisions: str | None = option(
        metavar="LIST", help="Of a step, the first is the yardstick.  [default: float32,bfloat16]"
    )
    compile: bool | None = option(
        is_flag=True, default=None, help="Beside each network its compiled form; takes minutes."
    )
    threads: int | None = option(type=FROM_ONE, help="Of this process.  [default: 1]")
    trials: int | None = option(
        type=FROM_ONE, help="Trials that train nothing.  [default: 100; of a store 2000]"
    )
    repeats: int = option(
        type=click.IntRange(min=5), default=5, show_default=True, help="Turns of all sides."
    )
    as_json: bool = option("--json", "as_json", is_flag=True, help="Print one object.")


@click.command()
@takes(BenchRequest)
def bench(request: BenchRequest) -> None:
    """Measure what work takes on this device: all sides in turn, with medians and spread.

    Steps of training are compared with those of the plain network, and with what the device can do
    at most. The default sizes end within a minute or so on a laptop.

    \b
    Examples:
      topo-sweep bench
      topo-sweep bench --preset shallow --packs 1,2 --precisions float32 --threads 2
      topo-sweep bench --kind overhead --json
    """
    _check_options(request)
    from topo_sweep.bench.kinds import measured

    options = {name: getattr(request, name) for name in _OF_KIND[request.kind]}
    figures, text = measured(request.kind, options, repeats=request.repeats, tell=say)
    if request.as_json:
        from topo_sweep.bench.limits import device_here
        from topo_sweep.bench.record import record
        from topo_sweep.runs.device import device_name

        command = shlex.join(["topo-sweep", *sys.argv[1:]])
        kept = record(command, figures, n=request.repeats, device=device_name(device_here()))
        click.echo(json.dumps(kept, indent=1))
        return
    click.echo(text)


def _check_options(request: BenchRequest) -> None:
    """Refuse options that would change nothing."""
    every = {name for names in _OF_KIND.values() for name in names}
    for name in sorted(every - set(_OF_KIND[request.kind])):
        if getattr(request, name) is not None:
            kinds = [kind for kind, names in _OF_KIND.items() if name in names]
            raise InputError(
                f"--{name.replace('_', '-')} says nothing to --kind {request.kind}, only to "
                f"{' and '.join(kinds)}: leave it out"
            )

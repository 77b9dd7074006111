"""The kinds of measurements by name: from the options of one to its figures and its text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from topo_sweep.bench.limits import device_here
from topo_sweep.bench.ray_cost import ray_figures, ray_text
from topo_sweep.bench.searches import search_figures, search_text
from topo_sweep.bench.sizes import pack_sizes, precisions, search_size, size_words, training_size
from topo_sweep.bench.stores import store_figures, store_text
from topo_sweep.bench.training import training_figures, training_text
from topo_sweep.bench.turns import Tell

Options = dict[str, Any]
"""Of one kind, by name; what is None takes its default."""
Measured = tuple[dict[str, Any], str, str]
"""Figures, what was measured in words, and the table."""


def measured(
    kind: str, options: Options, *, repeats: int, tell: Tell
) -> tuple[dict[str, Any], str]:
    """Measure one kind in turn; return its figures, and as text what was measured and how it went.

    Args:
        kind: a name of `KINDS`.
        options: what it takes, as the command line has it.
        repeats: turns of all sides.
        tell: takes a line on how far it is.

    Raises:
        InputError: an option that is out of range.
        TopoSweepError: trials were lost.

    """
    figures, what, table = KINDS[kind](options, {"repeats": repeats, "tell": tell})
    return figures, f"{what}; n = {repeats} each, in turn\n\n{table}"


def _training(options: Options, turns: Options) -> Measured:
    size = options["preset"] or "demo", _replaced(options), options["image_size"]
    (protocol, info), where = training_size(*size), _where(options)
    figures = training_figures(
        protocol,
        info,
        packs=pack_sizes(options["packs"] or "1,10,30"),
        precisions=precisions(options["precisions"] or "float32,bfloat16"),
        **where,
        **turns,
    )
    return figures, size_words(protocol, info, **where), training_text(figures)


def _search(options: Options, turns: Options) -> Measured:
    size = options["preset"] or "search_demo", _replaced(options), options["image_size"]
    (protocol, info), where = search_size(*size), _where(options)
    figures = search_figures(protocol, info, **where, **turns)
    return figures, size_words(protocol, info, **where), search_text(figures)


def _overhead(options: Options, turns: Options) -> Measured:
    figures = ray_figures(trials=options["trials"] or 100, **turns)
    what = f"{figures['trials']} trials that train nothing, Ray here"
    return figures, what, ray_text(figures)


def _store(options: Options, turns: Options) -> Measured:
    figures = store_figures(trials=options["trials"] or 2000, **turns)
    what = (
        f"a store of {figures['trials']:,} trials and {figures['curve_rows']:,} rows of "
        f"curves, {figures['bytes'] / 1e6:.1f} MB"
    )
    return figures, what, store_text(figures)


def _where(options: Options) -> Options:
    return {"device": device_here(), "threads": options["threads"] or 1}


def _replaced(options: Options) -> Options:
    """Return the sizes by the names of the settings that they replace."""
    names = {"init_channels": "channels", "cells": "cells", "batch_size": "batch"}
    return {setting: options[name] for setting, name in names.items()}


KINDS: Final[dict[str, Callable[[Options, Options], Measured]]] = {
    "train": _training,
    "search": _search,
    "overhead": _overhead,
    "store": _store,
}

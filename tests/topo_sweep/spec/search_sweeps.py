"""Sweeps of searches as files mean them."""

from __future__ import annotations

from typing import Any

from topo_sweep.spec.load import make_spec
from topo_sweep.spec.searches import SearchSweep


def sweep(**values: Any) -> SearchSweep:
    """Return the sweep that a file with these keys means; some have a default here."""
    defaults = {"name": "s", "kind": "search", "methods": ["search_subspace"]}
    spec = make_spec(defaults | values)
    assert isinstance(spec, SearchSweep)
    return spec

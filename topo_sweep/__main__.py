"""`python -m topo_sweep` is the same program as `topo-sweep`."""

from __future__ import annotations

from topo_sweep.cli.main import entry

entry()

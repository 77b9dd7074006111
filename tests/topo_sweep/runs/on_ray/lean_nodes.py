"""Nodes of a real cluster on this machine, with no process that no test asks for."""

from __future__ import annotations

from typing import Any


def lean(**env_vars: str) -> dict[str, Any]:
    """Return what Ray's `Cluster` is told of a node whose processes have these variables."""
    return {
        "no_monitor": True,
        "include_log_monitor": False,
        "env_vars": {"RAY_prestart_worker_first_driver": "0"} | env_vars,
    }

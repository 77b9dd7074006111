"""The errors that topo-sweep raises on purpose; a message names the value and what to do next."""

from __future__ import annotations


class TopoSweepError(Exception):
    """Base of all our errors: something that was asked for could not be done."""


class InputError(TopoSweepError):
    """What was asked for is not possible as asked: a bad value, file, folder or combination."""

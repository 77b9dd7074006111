"""Genotypes as commands take them: a name, a text, a file, or a folder of results."""

from __future__ import annotations

import json
import os.path
from pathlib import Path
from typing import TYPE_CHECKING

from nas_core.errors import InputError
from topo_sweep.cli.shared.common import say

if TYPE_CHECKING:
    from nas_core.cells.genotype import Genotype

is_folder, is_file = os.path.isdir, os.path.isfile
"""Not the methods of a `Path`: those fail where a text is too long for a file name."""


def read_genotype(text: str) -> tuple[Genotype, str]:
    """Return a genotype and what to call it.

    Args:
        text: a known cell's name, JSON, DARTS notation or the canonical string, a file that
            holds one of these or what `topo-sweep search` wrote, or a folder of results, whose
            best network is taken.

    Raises:
        InputError: none of these.

    """
    from nas_core.cells.genotype import known_name

    path = Path(text)
    if is_folder(path):
        from topo_sweep.analysis.selection import winner
        from topo_sweep.store.opened import open_sweep

        choice = winner(open_sweep(path))
        say(*choice.remarks)
        return choice.genotypes[0], choice.origin
    if is_file(path):
        try:
            genotype = _parsed(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {path}: {error}") from None
        return genotype, known_name(genotype) or path.name
    if path.suffix in {".txt", ".json"} or text.startswith(("/", "./", "../")):
        raise InputError(f"there is no file {text}: name one that holds a genotype, or write one")
    genotype = _parsed(text)
    return genotype, known_name(genotype) or ""


def _parsed(text: str) -> Genotype:
    """Read any notation, and the JSON of `topo-sweep search`, which holds one beside its facts."""
    from nas_core.cells.genotype import Genotype

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    inner = value.get("genotype") if isinstance(value, dict) else None
    return Genotype.parse(inner if isinstance(inner, str) else text)

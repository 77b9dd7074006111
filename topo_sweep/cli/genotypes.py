"""Genotypes as commands take them: a name, a text, a file, or a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nas_core.errors import InputError
from topo_sweep.cli.common import say

if TYPE_CHECKING:
    from nas_core.genotype import Genotype


def read_genotype(text: str) -> tuple[Genotype, str]:
    """Return a genotype and what to call it.

    Args:
        text: a known cell's name, JSON, DARTS notation or the canonical string, a file that
            holds one of these, or a folder of results, whose best network is taken.

    Raises:
        InputError: none of these.

    """
    from nas_core.genotype import Genotype, known_name

    path = Path(text)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError):  # a text that is too long for a file name
        is_folder, is_file = False, False
    if is_folder:
        from topo_sweep.results import open_sweep
        from topo_sweep.selection import winner

        choice = winner(open_sweep(path))
        for remark in choice.remarks:
            say(remark)
        return choice.genotypes[0], choice.origin
    if is_file:
        try:
            genotype = Genotype.parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {path}: {error}") from None
        return genotype, known_name(genotype) or path.name
    genotype = Genotype.parse(text)
    return genotype, known_name(genotype) or ""

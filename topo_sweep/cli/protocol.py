"""`topo-sweep protocol ...`: what the presets set, how two differ, how they stand to the paper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nas_core.errors import InputError
from topo_sweep.analysis.text import aligned, plain_table
from topo_sweep.cli.shared.common import TEXT, format_option, print_records
from topo_sweep.cli.shared.genotypes import is_folder
from topo_sweep.store.paths import RESULTS

if TYPE_CHECKING:
    from nas_core.protocols.training import NetworkTraining
    from topo_sweep.spec.presets import PresetDifference

_HASH: Final = re.compile("[0-9a-f]{6,16}")

_Printed = tuple[list[str], list[dict[str, Any]], str]
"""Remarks, records, and these as a table for people."""


@click.group()
def protocol() -> None:
    """Look at the presets of trainings and searches.

    \b
    Example:
      topo-sweep protocol show search_edarts --against paper
    """


@protocol.command()
@click.argument("name", type=TEXT, metavar="[NAME]", required=False)
@click.option(
    "--against",
    type=click.Choice(["paper"]),
    help="Print differences from the paper's text and open choices instead, one a line.",
)
@format_option
def show(name: str | None, *, against: str | None, output_format: str) -> None:
    """Print every setting of a protocol, its hash, and what differs from the defaults.

    NAME is a preset, a folder of results, or the beginning of a hash: of a preset, of what a
    sweep in results/ was trained or searched by, or in the name of its folder. Without it all
    presets are listed.

    \b
    Example:
      topo-sweep protocol show final --format json
      topo-sweep protocol show search_edarts --against paper
      topo-sweep protocol show 86a477f5
    """
    from topo_sweep.spec.presets import ALL_PRESETS, find_preset

    if against is not None:
        if name is None:
            raise InputError("--against paper is about one preset: name it")
        if name not in ALL_PRESETS and (is_folder(Path(name)) or _HASH.fullmatch(name)):
            raise InputError(
                f"--against paper takes a preset, got {name}: `topo-sweep protocol show` lists them"
            )
        shown = [_notes(name, find_preset(name))]
    else:
        shown = [_presets()] if name is None else [_settings(*each) for each in _named(name)]
    said = [remark for remarks, _, _ in shown for remark in remarks]
    records = [record for _, of_one, _ in shown for record in of_one]
    texts = ["\n".join([*remarks, table]) for remarks, _, table in shown]
    print_records(records, output_format, "\n\n".join(texts), remarks=said)


@protocol.command()
@click.argument("first", type=TEXT, metavar="A")
@click.argument("second", type=TEXT, metavar="B")
@format_option
def diff(first: str, second: str, output_format: str) -> None:
    """Print the settings in which two presets differ, one a line.

    A search and an evaluation are compared in the settings that both have.

    \b
    Example:
      topo-sweep protocol diff search_subspace search_edarts
    """
    from topo_sweep.spec.presets import find_preset, preset_difference, value_text

    compared = preset_difference(find_preset(first), find_preset(second))
    records = [
        {"setting": name, "first": one, "second": other}
        for name, (one, other) in compared.different.items()
    ]
    rows = [[r["setting"], value_text(r["first"]), value_text(r["second"])] for r in records]
    said = _remarks(first, second, compared)
    table = [plain_table(["setting", first, second], rows)] if rows else []
    print_records(records, output_format, "\n".join([*said, *table]), remarks=said)


def _presets() -> _Printed:
    """Return a line a preset."""
    from topo_sweep.spec.presets import ALL_PRESETS

    records = [
        {"preset": name, "purpose": preset.purpose, "protocol_hash": preset.protocol_hash}
        for name, preset in ALL_PRESETS.items()
    ]
    table = plain_table(list(records[0]), [list(record.values()) for record in records])
    return [], records, table


def _named(name: str) -> list[tuple[str, NetworkTraining]]:
    """Return what a preset's name, a folder of results or the beginning of a hash stands for.

    Raises:
        InputError: nothing; names the nearest presets.

    """
    from topo_sweep.spec.presets import ALL_PRESETS, find_preset
    from topo_sweep.store.opened import open_sweep, sweeps_in

    if name not in ALL_PRESETS and is_folder(Path(name)):
        return open_sweep(Path(name)).protocols()
    if name in ALL_PRESETS or not _HASH.fullmatch(name):
        return [(name, find_preset(name))]
    sweeps = sweeps_in(RESULTS)
    known = [*ALL_PRESETS.items()]
    known += [each for sweep in sweeps for each in sweep.protocols()]
    alike = {p.protocol_hash: (label, p) for label, p in reversed(known)}
    named = [sweep for sweep in sweeps if sweep.folder.name.rpartition("-")[2].startswith(name)]
    chosen = {key: each for key, each in alike.items() if key.startswith(name)}
    chosen |= {p.protocol_hash: (label, p) for sweep in named for label, p in sweep.protocols()}
    if chosen:
        return list(chosen.values())
    raise InputError(f"no preset and no sweep in {RESULTS} has a hash {name}")


def _settings(name: str, preset: NetworkTraining) -> _Printed:
    from topo_sweep.spec.presets import settings, value_text

    all_settings = settings(preset)
    common = {"preset": name, "protocol_hash": preset.protocol_hash}
    records = [
        common | {"setting": s.name, "value": s.value, "default": s.default, "differs": s.differs}
        for s in all_settings
    ]
    rows = [
        [s.name, value_text(s.value) + f"  (default {value_text(s.default)})" * s.differs]
        for s in all_settings
    ]
    changed, count = sum(setting.differs for setting in all_settings), len(all_settings)
    said = (
        f"{name}: settings of {preset.purpose}, hash {preset.protocol_hash}; "
        f"{changed or 'none'} of {count} differ{'s' if changed == 1 else ''} from the default"
    )
    return [said], records, plain_table(["setting", "value"], rows)


def _notes(name: str, preset: NetworkTraining) -> _Printed:
    from topo_sweep.paper.notes import KINDS, notes

    told = notes(name)
    kinds = {note.kind for note in told}
    said = [
        f"{name} ({preset.protocol_hash}) against the paper's text: {len(told)} notes",
        "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items() if kind in kinds),
    ]
    records = [{"preset": name, "kind": note.kind, **note.model_dump()} for note in told]
    lines = aligned([(note.kind, str(note)) for note in told], left=(0, 1))
    return said, records, "\n".join(lines)


def _remarks(first: str, second: str, compared: PresetDifference) -> list[str]:
    """Return how many settings differ, and which were not compared."""
    different = len(compared.different)
    counted = f"{compared.common} {'common ' if compared.only_first else ''}settings"
    verb = f"differ in {different} of" if different else "are the same in all"
    said = [f"{first} and {second} {verb} {counted}"]
    for name, only in ((first, compared.only_first), (second, compared.only_second)):
        if only:
            said.append(f"not compared, only in {name}: {', '.join(only)}")
    return said

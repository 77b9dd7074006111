"""The pages for readers, README.md and docs/*.md, and what stands in them that can be run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
"""Text by path from the root."""


def blocks(language: str, page: str) -> list[str]:
    """Return the fenced blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


def prose(page: str) -> str:
    """Return the page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Return every command of every page once: in blocks, in tables, in sentences, in YAML."""
    lines: list[str] = []
    for page, text in PAGES.items():
        shell = "".join(blocks("sh", page)).splitlines()
        lines += [line.partition(" #")[0].strip() for line in shell]
        lines += re.findall(r"`((?:topo-sweep|make) [^`]+)`", prose(page))
        lines += re.findall(r"run with: (topo-sweep .*)", text)
    return list(dict.fromkeys(line for line in lines if line))


def anchors(text: str) -> Iterator[str]:
    """Yield the names that GitHub gives to headings."""
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section(page: str, title: str) -> str:
    """Return what stands under a heading of the second level."""
    _, heading, rest = PAGES[page].partition(f"\n## {title}\n")
    assert heading, f"{page} has no section {title}"
    return rest.partition("\n## ")[0]


def experiments() -> list[str]:
    """Return the commands of the table of the paper's experiments."""
    table = section("docs/experiments.md", "Experiments")
    return re.findall(r"^\| [^|`]+ \| `(topo-sweep [^`]+)` \|", table, re.MULTILINE)


def pictures() -> list[str]:
    """Return the commands that draw what an experiment left."""
    return [c for c in commands() if c.startswith("topo-sweep plot") and "-HASH" in c]


def own_sweeps() -> dict[str, str]:
    """Return the YAML files that the pages show, by name."""
    texts = [text for page in PAGES for text in blocks("yaml", page)]
    return {re.findall(r"^# (\S+\.yaml),", text)[0]: text for text in texts}

"""How far the forecast of a dry run is from what the run then takes: five small sweeps on digits.

The aim is a median error of at most 20% over the five, of the whole command, loading and starting
included. How many runs ended within the range that the dry run printed is counted beside it. Each
sweep is new, so that the forecast rests on steps that the dry run times; the run follows at once.

Run: python benchmarks/forecast.py [--json FILE] [--resume]

FILE is written after each sweep. With --resume the sweeps that it has are not run again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from topo_sweep.analysis.text import plain_table
from topo_sweep.bench.record import figures_of, keep, record, typed

AIM = 0.2
"""The greatest median error."""

SWEEPS = {
    "plain, inline": "--topologies 0-9 --executor inline",
    "packs of 10, inline": "--topologies 0-39 --pack 10 --executor inline",
    "plain, Ray": "--topologies 0-23",
    "packs of 30, Ray": "--topologies 0-119 --pack 30",
    "packs of 5, 8 channels, Ray": "--topologies 0-29 --pack 5 --set init_channels=8",
}

_TIMES = re.compile(
    r"^time +about ((?:[\d.]+ \w+ ?)+)(?:\(((?:[\d.]+ \w+ ?)+)to (.+?)\))?", re.MULTILINE
)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "days": 86400}


def seconds_of(text: str) -> float:
    """Return the seconds of '3 min 20 s'."""
    parts = text.split()
    return sum(
        float(number) * _SECONDS[unit] for number, unit in zip(parts[::2], parts[1::2], strict=True)
    )


def program(folder: str, *arguments: str) -> tuple[str, float]:
    """Run topo-sweep in a folder; return what it printed and the seconds it took."""
    command = [sys.executable, "-m", "topo_sweep", *arguments]
    started = time.perf_counter()
    ended = subprocess.run(  # noqa: S603 - our own program
        command,
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return ended.stdout, time.perf_counter() - started


def compared(options: str) -> dict[str, Any]:
    """Return what a dry run forecasts of a new sweep and what the sweep then takes."""
    arguments = ("run", "demo", *options.split())
    with tempfile.TemporaryDirectory() as folder:
        said, dry_run_seconds = program(folder, *arguments, "--dry-run")
        found = _TIMES.search(said)
        if found is None:
            raise SystemExit(f"the dry run of {options} names no time:\n{said}")
        _, took = program(folder, *arguments)
    middle, low, high = (seconds_of(text) if text else None for text in found.groups())
    assert middle is not None  # noqa: S101
    return {
        "options": options,
        "forecast_seconds": middle,
        "range_seconds": [low, high],
        "took_seconds": took,
        "error": abs(middle - took) / took,
        "dry_run_seconds": dry_run_seconds,
    }


def is_inside(sweep: Mapping[str, Any]) -> bool:
    """Return whether a run took as long as the range says that was printed, if one was."""
    low, high = sweep["range_seconds"]
    return None not in (low, high) and low <= sweep["took_seconds"] <= high


def summed_up(sweeps: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the median error, how many runs ended within their range, and the sweeps."""
    return {
        "median_error": median(each["error"] for each in sweeps),
        "inside_range": sum(map(is_inside, sweeps)),
        "sweeps": list(sweeps),
    }


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table and a sentence."""
    rows = [
        [
            each["sweep"],
            f"{each['forecast_seconds']:.0f}",
            "-".join("?" if end is None else f"{end:.0f}" for end in each["range_seconds"]),
            f"{each['took_seconds']:.0f}",
            f"{each['error']:.0%}",
        ]
        for each in figures["sweeps"]
    ]
    count = len(rows)
    return (
        plain_table(["sweep", "forecast, s", "range", "taken, s", "error"], rows)
        + f"\n\nmedian error {figures['median_error']:.0%} (aim: at most {AIM:.0%}), "
        f"{figures['inside_range']} of {count} within the range, n = {count} sweeps"
    )


def main() -> None:
    """Compare, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if options.resume and not options.json:
        parser.error("--resume goes on with a file: name it with --json")
    sweeps = figures_of(options.json).get("sweeps", []) if options.resume else []
    for name, arguments in SWEEPS.items():
        if any((each["sweep"], each["options"]) == (name, arguments) for each in sweeps):
            continue
        sweeps.append({"sweep": name, **compared(arguments)})
        print(
            f"{name}: {sweeps[-1]['forecast_seconds']:.0f} s forecast, "
            f"{sweeps[-1]['took_seconds']:.0f} s taken",
            file=sys.stderr,
        )
        if options.json:
            keep(options.json, record(typed(), summed_up(sweeps), n=len(sweeps)))
    print(text(summed_up(sweeps)))


if __name__ == "__main__":
    main()

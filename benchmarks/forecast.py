"""How far the forecast of a dry run is from what the run then takes: five small sweeps on digits.

Claim: the median error is at most 20%, of the whole command, loading and starting included. Each
sweep is new, so that the forecast rests on steps that the dry run times; the run follows at once.

Run: python benchmarks/forecast.py
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from topo_sweep.analysis.text import plain_table
from topo_sweep.bench.record import keep, record

RESULT = Path(__file__).parent / "results" / "forecast.json"
MOST = 0.2

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


def main() -> None:
    """Compare, print and keep."""
    sweeps = []
    for name, options in SWEEPS.items():
        sweeps.append({"sweep": name, **compared(options)})
        print(
            f"{name}: {sweeps[-1]['forecast_seconds']:.0f} s forecast, "
            f"{sweeps[-1]['took_seconds']:.0f} s taken",
            file=sys.stderr,
        )
    error = median(each["error"] for each in sweeps)
    rows = [
        [
            each["sweep"],
            f"{each['forecast_seconds']:.0f}",
            f"{each['took_seconds']:.0f}",
            f"{each['error']:.0%}",
        ]
        for each in sweeps
    ]
    print(plain_table(["sweep", "forecast, s", "taken, s", "error"], rows))
    print(f"\nmedian error {error:.0%} (at most {MOST:.0%}), n = {len(sweeps)} sweeps")
    figures = {"median_error": error, "sweeps": sweeps}
    keep(RESULT, record("python benchmarks/forecast.py", figures, n=len(sweeps)))


if __name__ == "__main__":
    main()

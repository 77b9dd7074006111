"""`python -m tests.chaos --faults 50 --seed 0`: a campaign, and its tally."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import click

from tests.chaos.campaign import REQUESTS, campaign
from tests.chaos.faults import FAULTS


def main() -> int:
    """Run a campaign; return 1 where anything was lost, doubled, changed or failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--sweeps", nargs="+", choices=list(REQUESTS), default=list(REQUESTS))
    parser.add_argument("--most", type=int, default=10, help="faults in a sweep")
    parser.add_argument("--keep", type=Path, help="a folder for the logs of the drivers")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was begun is ended
    with tempfile.TemporaryDirectory(prefix="topo-sweep-chaos-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        tally = campaign(
            folder, faults=options.faults, seed=options.seed, kinds=options.kinds,
            requests={name: REQUESTS[name] for name in options.sweeps},
            most_in_a_sweep=options.most, say=partial(click.echo, err=True),
        )  # fmt: skip
    click.echo(tally.text())
    return 0 if tally.total.is_clean else 1


sys.exit(main())

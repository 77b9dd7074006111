"""How Ray is kept from talking into the output of a command, phoning home and writing files."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from ray._private import worker as ray_worker

_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Tune's workers have an environment of their own: those that Ray starts ahead would serve none.
    "RAY_prestart_worker_first_driver": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    # Tune would have one worker start at a time. The driver's queue says how many may.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}


@contextlib.contextmanager
def quiet_ray(*, verbose: bool) -> Iterator[None]:
    """Inside the block, Ray prints nothing, unless `verbose`, phones nobody and writes no logs.

    And Tune starts as many workers at once as it is given trials.
    """
    before = {name: os.environ[name] for name in _SETTINGS if name in os.environ}
    os.environ.update(_SETTINGS)
    try:
        with contextlib.nullcontext() if verbose else _silent():
            yield
    finally:
        for name in _SETTINGS:
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Let go nowhere what Ray logs, what it prints of other processes, and what its C++ says."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    said = ray_worker.print_to_stdstream
    ray_worker.print_to_stdstream = lambda *_, **__: None  # paragraphs on stdout, in colour
    try:
        with _descriptor_2_leads_nowhere():
            yield
    finally:
        ray_worker.print_to_stdstream = said


@contextlib.contextmanager
def _descriptor_2_leads_nowhere() -> Iterator[None]:
    """Silence what is written past `sys.stderr`, where that has a descriptor of its own."""
    try:
        is_apart = sys.stderr.fileno() != 2
    except (AttributeError, OSError, ValueError):  # no file
        is_apart = True
    if not is_apart:
        yield
        return
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)

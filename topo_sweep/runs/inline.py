"""The trials of a sweep in this process, one after another, without Ray."""

from __future__ import annotations

import time
from typing import Final

from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import TrialRunner

_WAIT_SECONDS: Final = 0.05


def run_inline(
    agenda: Agenda, recorder: Recorder, interrupts: Interrupts, *, runner: TrialRunner
) -> None:
    """Run what is on the agenda and record what comes of it.

    Raises:
        KeyboardInterrupt: Ctrl-C; what had finished is recorded.

    """
    while not agenda.is_exhausted:
        trial = agenda.next()
        if trial is None:  # what failed is tried again, but not yet, or a search is not yet written
            recorder.tick()
            with interrupts.immediate():
                time.sleep(_WAIT_SECONDS)
            continue
        recorder.start(trial)
        reports = runner.run(trial)
        ended = False
        while not ended:
            with interrupts.immediate():
                report = next(reports)
            ended = recorder.take(trial, report)
            recorder.tick()

"""The trials of a sweep in this process, one after another, without Ray."""

from __future__ import annotations

from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import TrialRunner


def run_inline(
    agenda: Agenda, recorder: Recorder, interrupts: Interrupts, *, runner: TrialRunner
) -> None:
    """Run what is on the agenda and record what comes of it.

    Raises:
        KeyboardInterrupt: Ctrl-C; what had finished is recorded.

    """
    while (trial := agenda.next()) is not None:
        recorder.start(trial)
        reports = runner.run(trial)
        ended = False
        while not ended:
            with interrupts.immediate():
                report = next(reports)
            ended = recorder.take(trial, report)
            recorder.tick()

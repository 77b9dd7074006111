"""The trials of a sweep in this process, one after another, without Ray."""

from __future__ import annotations

from nas_core.training import EpochMetrics
from topo_sweep.interrupts import Interrupts
from topo_sweep.recorder import Recorder
from topo_sweep.runner import TrialRunner
from topo_sweep.trials import Trial


def run_inline(
    trials: dict[str, Trial], runner: TrialRunner, recorder: Recorder, interrupts: Interrupts
) -> None:
    """Run these trials in order and record what comes of them.

    Raises:
        KeyboardInterrupt: Ctrl-C; what had finished is recorded.

    """
    for trial_id, trial in trials.items():
        recorder.start(trial_id)
        reports = runner.run(trial_id, str(trial.genotype), trial.seed)
        while True:
            with interrupts.immediate():
                report = next(reports)
            if not isinstance(report, EpochMetrics):
                recorder.end(trial_id, report)
                break
            recorder.epoch(trial_id, report)
            recorder.tick()

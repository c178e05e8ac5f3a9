"""What becomes of runs, in the log: their ends at `info`, attempts that come to nothing too, and every attempt at `debug`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from plugmesh.contracts.run import RUN_TERMINAL, STEP_TERMINAL, AttemptState, StepState
from scheduler.changes import AttemptChange, Change, RunChange, StepChange
from scheduler.runstate import RunState

_log = logging.getLogger(__name__)


def is_kept() -> bool:
    """Whether anybody would read it."""
    return _log.isEnabledFor(logging.INFO)


def keep(committed: Iterable[tuple[RunState, Sequence[Change]]]) -> None:
    """Log changes that are in the database."""
    for run, changes in committed:
        for change in changes:
            match change:
                case RunChange() if change.state in RUN_TERMINAL:
                    _say_run(run, change)
                case AttemptChange() if change.state is not AttemptState.STALE:
                    _say(run, change, f"attempt {change.state.value}")
                case StepChange() if change.state is StepState.FAILED:
                    _say(run, change, "step failed")
                case StepChange() if change.state is StepState.ASSIGNED or change.state in STEP_TERMINAL:
                    if _log.isEnabledFor(logging.DEBUG):
                        _say(run, change, f"step {change.state.value}", logging.DEBUG)


def _say_run(run: RunState, change: RunChange) -> None:
    took_s = change.at - (run.submitted_at or run.started_at or change.at)
    why = f": {change.reason}" if change.reason else ""
    _log.info("run %s of %s %s after %.3f s%s", run.id, run.plan.flow.name, change.state.value, took_s, why,
              extra={"run": run.id})  # fmt: skip


def _say(run: RunState, change: StepChange | AttemptChange, what: str, level: int = logging.INFO) -> None:
    why = change.reason if change.error is None else change.error.message
    known = {"run": run.id, "step": change.step, "attempt": change.epoch or None, "instance": change.instance}
    _log.log(level, "run %s: %s: %s%s", run.id, change.step, what, f": {why}" if why else "", extra=known)

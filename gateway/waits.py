"""What a run that has not ended waits for, and until when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from plugmesh.contracts.run import RunState, StepState
from plugmesh.state.records import StoredRun
from plugmesh.state.waits import Waiting

GROUPS = 20
"""So many kinds of waiting steps are told of."""

_AT_WORK = frozenset({StepState.ASSIGNED.value, StepState.RUNNING.value})
_REASONS = {
    StepState.READY.value: "a free place on an instance that serves the module",
    StepState.PARKED.value: "an instance that serves the module",
    StepState.WAITING.value: "the next attempt",
    StepState.ASSIGNED.value: "at work",
    StepState.RUNNING.value: "at work",
}
_OF_THE_RUN = {
    RunState.QUEUED.value: "a scheduler, which takes it up",
    RunState.RUNNING.value: "the scheduler, which places its next step",
    RunState.PAUSED.value: "somebody who resumes it",
    RunState.CANCELLING.value: "its steps at work, which have ten seconds to stop",
}


def waits_for(run: StoredRun, steps: Sequence[Waiting]) -> list[dict[str, Any]]:
    """Nothing if the run has ended, else at least one thing: of the run itself first, then of its `steps`.

    Each has `state`, `reason`, `until` (Unix time; `None` where nothing ends it), `step` and `steps`: one of the steps that
    it is about, and how many they are; `None` and 0 where it is about the run.
    """
    if run.ended_at is not None:
        return []
    end = ends_at(run)
    found = list(_of_steps(run, steps, end))
    if run.state == RunState.RUNNING and found:
        return found
    # A cancelled run has ten seconds, whatever its time is.
    until = None if run.state == RunState.CANCELLING else end
    reason = run.reason or _OF_THE_RUN[run.state]
    return [{"state": run.state, "reason": reason, "step": None, "steps": 0, "until": until}, *found]


def ends_at(run: StoredRun) -> float | None:
    """When the run's own time is over: at its deadline, or so long after its beginning."""
    over = None if run.timeout_s is None or run.started_at is None else run.started_at + run.timeout_s
    return min((moment for moment in (over, run.deadline) if moment is not None), default=None)


def _of_steps(run: StoredRun, steps: Sequence[Waiting], end: float | None) -> Iterable[dict[str, Any]]:
    """Those that wait; those at work too, and only if there are none of these, those that are ready."""
    at_work = [group for group in steps if group.state in _AT_WORK]
    for group in steps:
        if group.state == StepState.READY and (at_work or run.state != RunState.RUNNING):
            continue  # they go on as soon as the others have ended, or the run is resumed
        until = min((moment for moment in (group.until, end) if moment is not None), default=None)
        told = (
            group.state in {StepState.PARKED, StepState.WAITING} and group.reason
        )  # the others' is that of an attempt before
        reason = told or _REASONS[group.state]
        yield {
            "state": group.state,
            "reason": reason,
            "step": group.step,
            "steps": group.steps,
            "until": until,
        }

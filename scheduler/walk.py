"""The walk: what an event does to a run. Pure: no clock, no I/O, no randomness; all of them come with the event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from plugmesh.contracts.module import REJECTED
from plugmesh.contracts.run import AttemptState, Recovered, StepError, StepState
from plugmesh.contracts.run import RunState as State
from plugmesh.errors import ErrorClass
from scheduler import retry
from scheduler.changes import AttemptChange, ProgressChange, RunChange, StepChange
from scheduler.effects import Ended, Outcome, Queued, Ready, Stop, Supersede, TakeBack, Wake
from scheduler.events import (
    Assigned,
    AttemptDone,
    AttemptFailed,
    AttemptLost,
    AttemptProgressed,
    AttemptReturned,
    AttemptStarted,
    Begin,
    CancelAsked,
    Event,
    ModuleFound,
    NoModule,
    PauseAsked,
    Queue,
    Recover,
    ResumeAsked,
    RunTimedOut,
    Split,
    TimeCame,
    Unassignable,
)
from scheduler.graph import Walk
from scheduler.runstate import RunState
from scheduler.step import Step

MOST_LOSSES = 20
"""After so many lost attempts a step fails: something about it ends its instances."""


def advance(run: RunState, event: Event) -> Outcome:
    """Let `event` happen to `run`. Events that no longer apply change nothing, or record a stale attempt."""
    walk = Walk(run, event.at)
    if not run.ended:
        _HANDLERS[type(event)](walk, event)
    return Outcome(tuple(walk.changes), tuple(walk.effects))


def give_up(run: RunState, at: float, reason: str) -> Outcome:
    """End a run with which the walk itself has failed: whatever state it is in, it must not harm the others."""
    walk = Walk(run, at)
    if not run.ended:
        end = State.CANCELLED if run.state is State.CANCELLING else State.FAILED
        walk.change(RunChange(end, at, reason=reason))
    for step in sorted(run.steps.values(), key=_pieces_first):
        if step.live:
            walk.effects.append(Stop(step.id, step.epoch, step.instance or "", reason))
        with suppress(Exception):  # its state may be the very thing that is wrong
            walk.move(step, StepState.CANCELLED, reason=reason)
    walk.effects.append(Ended())
    return Outcome(tuple(walk.changes), tuple(walk.effects))


def _pieces_first(step: Step) -> bool:
    return step.item < 0


# -- one handler an event --------------------------------------------------------------------------------------------


def _queue(walk: Walk, event: Queue) -> None:
    walk.change(RunChange(State.QUEUED, event.at, reason=event.reason))
    walk.effects.append(Queued())


def _recover(walk: Walk, event: Recover) -> None:
    for recovered in event.rerun.recovered:
        walk.change(_as_recovered(recovered, event.at))
    for node in event.rerun.skipped:
        walk.change(StepChange(step=node, state=StepState.SKIPPED, at=event.at, reason="not_asked"))


def _as_recovered(recovered: Recovered, at: float) -> StepChange:
    outputs = dict(recovered.outputs)
    return StepChange(recovered.step, StepState.RECOVERED, at, version=recovered.version, outputs=outputs)


def _begin(walk: Walk, event: Begin) -> None:
    if walk.run.state is not State.QUEUED:
        return
    walk.change(RunChange(State.RUNNING, event.at))
    walk.open_nodes()
    walk.finish()


def _assigned(walk: Walk, event: Assigned) -> None:
    step = walk.run.steps[event.step]
    walk.move(step, StepState.ASSIGNED, epoch=step.epoch + 1, instance=event.instance, version=event.version)


def _split(walk: Walk, event: Split) -> None:
    step = walk.run.steps.get(event.step)
    if step is None or step.state is not StepState.READY:
        return
    reason = f"{len(event.ends)} pieces"
    walk.move(step, StepState.PENDING, version=event.version, pieces=event.ends, reason=reason)
    walk.run.expand(step.node)
    walk.fill_window(walk.run.plan.nodes[step.node])
    walk.issue()


def _unassignable(walk: Walk, event: Unassignable) -> None:
    step = walk.run.steps.get(event.step)
    if step is not None and step.state is StepState.READY:
        walk.fail_step(step, event.error)


def _no_module(walk: Walk, event: NoModule) -> None:
    step = walk.run.steps.get(event.step)
    if step is not None and step.state is StepState.READY:
        walk.move(step, StepState.PARKED, reason=event.reason, wake_at=event.until)
        walk.effects.append(Wake(step.id, event.until))


def _module_found(walk: Walk, event: ModuleFound) -> None:
    step = walk.run.steps.get(event.step)
    if step is not None and step.state is StepState.PARKED:
        walk.move(step, StepState.READY)
        walk.effects.append(Ready(step))


def _attempt_started(walk: Walk, event: AttemptStarted) -> None:
    step = walk.current(event.step, event.epoch, event.instance)
    if step is not None and step.state is StepState.ASSIGNED:
        walk.move(step, StepState.RUNNING, instance=step.instance)


def _attempt_progressed(walk: Walk, event: AttemptProgressed) -> None:
    if walk.current(event.step, event.epoch, event.instance) is not None:
        walk.change(ProgressChange(event.step, event.progress, walk.at))


def _attempt_done(walk: Walk, event: AttemptDone) -> None:
    step = walk.current(event.step, event.epoch, event.instance)
    if step is None or walk.run.state is State.CANCELLING:
        walk.stale(event)
        if step is not None:
            walk.again(step)
        return
    walk.move(
        step,
        StepState.SUCCEEDED,
        instance=event.instance,
        outputs=dict(event.outputs),
        stats=event.stats,
        log=event.log,
        artifacts=event.artifacts,
    )
    walk.step_ended(step)
    walk.finish()


def _attempt_failed(walk: Walk, event: AttemptFailed) -> None:
    step = walk.current(event.step, event.epoch, event.instance)
    if step is None:
        walk.stale(event)
        return
    if event.convicting:
        walk.convict(step, event.error.message, event.error.traceback)
    outcome = (event.instance, event.error.code, event.error, event.log, event.stats)
    if walk.run.state is State.CANCELLING:
        walk.change(AttemptChange(step.id, step.epoch, AttemptState.FAILED, walk.at, *outcome))
        walk.again(step, stats=event.stats, artifacts=event.artifacts)
        return
    failures = step.failures + 1
    policy = walk.run.plan.nodes[step.node].node.retry or retry.DEFAULT
    delay = retry.delay_s(policy, failures, event.error, event.jitter)
    left = retry.left_s(policy, step.ready_at, walk.at)
    if delay is None or (left is not None and delay >= left):
        kept = None if event.rejected is None else {REJECTED: event.rejected}
        told = {"stats": event.stats, "log": event.log, "artifacts": event.artifacts, "outputs": kept}
        error = event.error if delay is None else retry.without_time(event.error, policy)
        walk.fail_step(step, error, failures=failures, **told)
        return
    walk.change(AttemptChange(step.id, step.epoch, AttemptState.FAILED, walk.at, *outcome))
    until = walk.at + delay
    reason = f"try {failures + 1} of {policy.attempts} after: {event.error.message:.200}"
    walk.move(step, StepState.WAITING, failures=failures, reason=reason, wake_at=until)
    walk.effects.append(Wake(step.id, until))


def _attempt_returned(walk: Walk, event: AttemptReturned) -> None:
    step = walk.current(event.step, event.epoch, event.instance)
    if step is None:
        return
    state = AttemptState.RETURNED
    walk.change(AttemptChange(step.id, step.epoch, state, walk.at, event.instance, event.reason))
    walk.again(step, reason=event.reason)


def _attempt_lost(walk: Walk, event: AttemptLost) -> None:
    step = walk.current(event.step, event.epoch)
    if step is None:
        return
    walk.change(AttemptChange(step.id, step.epoch, AttemptState.LOST, walk.at, step.instance, event.reason))
    walk.effects.append(Supersede(step.id, step.epoch, step.instance or ""))
    if step.alone and (event.gone or step.state is StepState.RUNNING):
        walk.convict(step, f"its instance was lost while nothing else ran there: {event.reason}")
    losses = step.losses + 1
    if losses >= MOST_LOSSES:
        message = f"{losses} attempts were lost with their instances, the last one because: {event.reason}"
        walk.fail_step(step, StepError(type="AttemptsLost", message=message, code="attempts-lost"), losses=losses)
        return
    walk.again(step, losses=losses, reason=event.reason)


def _time_came(walk: Walk, event: TimeCame) -> None:
    step = walk.run.steps.get(event.step)
    if step is None or step.wake_at is None or step.wake_at > event.at:
        return
    if step.state is StepState.WAITING:
        walk.move(step, StepState.READY)
        walk.effects.append(Ready(step))
    elif step.state is StepState.PARKED and walk.run.state is not State.PAUSED:
        message = f"no module came in time: {step.reason}"
        error = StepError(error_class=ErrorClass.FATAL, type="ParkedTooLong", message=message, code="parked-too-long")
        walk.fail_step(step, error)


def _cancel_asked(walk: Walk, event: CancelAsked) -> None:
    run = walk.run
    if run.state is State.CANCELLING:
        return
    walk.change(RunChange(State.CANCELLING, walk.at, reason=_done_by("cancelled", event)))
    _end_all(walk, "cancelled", stop_live=True)
    walk.finish()


def _pause_asked(walk: Walk, event: PauseAsked) -> None:
    run = walk.run
    if run.state not in {State.QUEUED, State.RUNNING}:
        return
    walk.change(RunChange(State.PAUSED, walk.at, reason=_done_by("paused", event)))
    for step in run.steps.values():
        if step.state is StepState.ASSIGNED:
            walk.effects.append(TakeBack(step.id, step.epoch, step.instance or ""))


def _done_by(what: str, event: CancelAsked | PauseAsked) -> str:
    return f"{what} by {event.actor}" + (f": {event.reason}" if event.reason else "")


def _resume_asked(walk: Walk, event: ResumeAsked) -> None:
    run = walk.run
    if run.state is not State.PAUSED:
        return
    if run.started_at is None:
        _queue(walk, Queue(event.at, run.turn))
        return
    walk.change(RunChange(State.RUNNING, event.at))
    for step in list(run.steps.values()):
        _go_on(walk, step)
    walk.open_nodes()
    walk.finish()


def _go_on(walk: Walk, step: Step) -> None:
    """What a pause has kept from happening to a step."""
    if step.state is StepState.READY:
        walk.effects.append(Ready(step))
    elif step.state is StepState.PARKED and step.wake_at is not None:
        walk.effects.append(Wake(step.id, step.wake_at))


def _run_timed_out(walk: Walk, event: RunTimedOut) -> None:
    if walk.run.state is State.CANCELLING:
        return  # it ends as cancelled, once its attempts have stopped
    reason = walk.run.time_over
    for step in [step for step in walk.run.steps.values() if step.live]:
        walk.change(AttemptChange(step.id, step.epoch, AttemptState.FAILED, walk.at, step.instance, reason))
    walk.change(RunChange(State.TIMED_OUT, walk.at, reason=reason))
    _end_all(walk, reason, stop_live=False)
    walk.effects.append(Ended())


def _end_all(walk: Walk, reason: str, *, stop_live: bool) -> None:
    """Cancel what has not begun; stop what runs, and (unless `stop_live`) end it here and now."""
    run = walk.run
    for step in list(run.steps.values()):
        if step.pieces:
            continue  # it ends when they have
        if step.live:
            walk.effects.append(Stop(step.id, step.epoch, step.instance or "", reason))
        if not step.live or not stop_live:
            walk.move(step, StepState.CANCELLED, reason=reason)
    for node in run.plan.nodes:
        mapped = run.maps.get(node.index)
        if run.status(node.index) is StepState.PENDING and (mapped is None or not mapped.open):
            walk.change(StepChange(step=node.name, state=StepState.CANCELLED, at=walk.at, reason=reason))


_HANDLERS: Mapping[type, Callable[[Walk, Any], None]] = {
    Queue: _queue,
    Recover: _recover,
    Begin: _begin,
    Assigned: _assigned,
    Split: _split,
    Unassignable: _unassignable,
    NoModule: _no_module,
    ModuleFound: _module_found,
    AttemptStarted: _attempt_started,
    AttemptProgressed: _attempt_progressed,
    AttemptDone: _attempt_done,
    AttemptFailed: _attempt_failed,
    AttemptReturned: _attempt_returned,
    AttemptLost: _attempt_lost,
    TimeCame: _time_came,
    CancelAsked: _cancel_asked,
    PauseAsked: _pause_asked,
    ResumeAsked: _resume_asked,
    RunTimedOut: _run_timed_out,
}

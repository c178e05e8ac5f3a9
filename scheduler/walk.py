"""The walk: what an event does to a run. Pure: no clock, no I/O, no randomness; all of them come with the event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from plugmesh.contracts.data import Reference
from plugmesh.contracts.flow import Source
from plugmesh.contracts.run import AttemptState, StepError, StepState
from plugmesh.contracts.run import RunState as State
from plugmesh.errors import ErrorClass, FlowInvalid
from plugmesh.flows.feeding import port_of
from scheduler import retry
from scheduler.changes import AttemptChange, Change, Outputs, ProgressChange, RunChange, StepChange
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
    RunTimedOut,
    TimeCame,
    Unassignable,
)
from scheduler.plan import PlanNode
from scheduler.runstate import RunState, Step

MAP_WINDOW = 256
"""Elements of one mapped node that are issued at a time: the rest costs nothing but the cursor."""
MOST_LOSSES = 20
"""After so many lost attempts a step fails: something about it ends its instances."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A step waits for an instance."""

    step: Step


@dataclass(frozen=True, slots=True)
class Wake:
    """Send `TimeCame` for the step at the Unix time `at`."""

    step: str
    at: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Cancel an attempt that is out there."""

    step: str
    epoch: int
    instance: str
    reason: str


@dataclass(frozen=True, slots=True)
class Supersede:
    """Kill an attempt that is no longer current, at once."""

    step: str
    epoch: int
    instance: str


@dataclass(frozen=True, slots=True)
class Discard:
    """These outputs of an attempt will never be read."""

    step: str
    epoch: int
    outputs: Outputs


@dataclass(frozen=True, slots=True)
class Ended:
    """The run is in a terminal state."""


Effect = Ready | Wake | Stop | Supersede | Discard | Ended


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event changed, and what is to be done once that is committed."""

    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]


def advance(run: RunState, event: Event) -> Outcome:
    """Let `event` happen to `run`. Events that no longer apply change nothing, or record a stale attempt."""
    walk = _Walk(run, event.at)
    if not run.ended:
        _HANDLERS[type(event)](walk, event)
    return Outcome(tuple(walk.changes), tuple(walk.effects))


def give_up(run: RunState, at: float, reason: str) -> Outcome:
    """End a run with which the walk itself has failed: whatever state it is in, it must not harm the others."""
    walk = _Walk(run, at)
    if run.state is State.QUEUED:
        walk.change(RunChange(State.RUNNING, at))
    if not run.ended:
        end = State.CANCELLED if run.state is State.CANCELLING else State.FAILED
        walk.change(RunChange(end, at, reason=reason))
    for step in list(run.steps.values()):
        if step.live:
            walk.effects.append(Stop(step.id, step.epoch, step.instance or "", reason))
        with suppress(Exception):  # its state may be the very thing that is wrong
            walk.move(step, StepState.CANCELLED, reason=reason)
    walk.effects.append(Ended())
    return Outcome(tuple(walk.changes), tuple(walk.effects))


class _Walk:
    """One call of `advance`."""

    def __init__(self, run: RunState, at: float) -> None:
        self.run, self.at = run, at
        self.changes: list[Change] = []
        self.effects: list[Effect] = []

    # -- moving ------------------------------------------------------------------------------------------------------

    def change(self, change: Change) -> None:
        self.run.apply(change)
        self.changes.append(change)

    def move(self, step: Step, state: StepState, **fields: Any) -> None:
        """Change a step; counters and the version stay unless named."""
        kept: dict[str, Any] = {"epoch": step.epoch, "failures": step.failures, "losses": step.losses}
        kept["version"] = step.version
        self.change(StepChange(step=step.id, state=state, at=self.at, **{**kept, **fields}))

    def current(self, step_id: str, epoch: int, instance: str | None = None) -> Step | None:
        """The step, if this attempt is its live one."""
        step = self.run.steps.get(step_id)
        if step is None or not step.live or step.epoch != epoch:
            return None
        return step if instance is None or step.instance == instance else None

    def stale(self, event: AttemptDone | AttemptFailed) -> None:
        """Record an outcome that comes too late, unless it repeats the one that was accepted."""
        step = self.run.steps.get(event.step)
        latest = self.run.accepted_epoch(event.step) if step is None else step.epoch
        if event.epoch > latest or (step is None and event.epoch == latest):
            return  # of an attempt that never was, or the accepted one
        told = AttemptChange(event.step, event.epoch, AttemptState.STALE, self.at, event.instance)
        self.change(replace(told, log=event.log, stats=event.stats))
        if isinstance(event, AttemptDone):
            self.effects.append(Discard(event.step, event.epoch, event.outputs))

    # -- the graph ---------------------------------------------------------------------------------------------------

    def open_node(self, node: PlanNode) -> None:
        """All parents of a node have succeeded."""
        if not node.mapped:
            self.make_ready(node.name)
            return
        try:
            self.run.expand(node.index)
        except FlowInvalid as error:
            self.fail_node(node, StepError(type="FlowInvalid", message=str(error), code="map-invalid"))
            return
        self.fill_window(node)

    def make_ready(self, step_id: str) -> None:
        self.change(StepChange(step=step_id, state=StepState.READY, at=self.at))
        self.effects.append(Ready(self.run.steps[step_id]))

    def fill_window(self, node: PlanNode) -> None:
        """Issue more elements of a mapped node, or end it when there are none left."""
        mapped = self.run.maps[node.index]
        issuing = self.run.state is State.RUNNING and not mapped.failed
        while issuing and not mapped.exhausted and mapped.open < MAP_WINDOW:
            self.make_ready(f"{node.name}.{mapped.cursor}")
        if mapped.open:
            return
        if self.run.state is State.CANCELLING:
            self.change(StepChange(step=node.name, state=StepState.CANCELLED, at=self.at, reason="cancelled"))
        elif mapped.failed:
            total = len(mapped.items)
            message = f"{mapped.failed} of {total} elements failed"
            self.fail_node(node, StepError(type="MapFailed", message=message, code="map-failed"))
        else:
            reason = f"{len(mapped.items)} elements"
            self.change(StepChange(step=node.name, state=StepState.SUCCEEDED, at=self.at, reason=reason))
            self.open_children(node)

    def open_children(self, node: PlanNode) -> None:
        if self.run.state is not State.RUNNING:
            return
        for child in node.children:
            if self.run.unmet(child) == 0 and self.run.status(child) is StepState.PENDING:
                self.open_node(self.run.plan.nodes[child])

    def fail_node(self, node: PlanNode, error: StepError) -> None:
        self.change(StepChange(step=node.name, state=StepState.FAILED, at=self.at, error=error, reason=error.code))
        self.skip_below(node)

    def skip_below(self, node: PlanNode) -> None:
        """Nothing below a failed node can run."""
        waiting = list(node.children)
        while waiting:
            child = self.run.plan.nodes[waiting.pop()]
            if self.run.status(child.index) is StepState.PENDING and child.index not in self.run.maps:
                self.change(StepChange(step=child.name, state=StepState.SKIPPED, at=self.at, reason="upstream_failed"))
                waiting.extend(child.children)

    def step_ended(self, step: Step) -> None:
        """Go on after a step reached a terminal state."""
        node = self.run.plan.nodes[step.node]
        if step.item >= 0:
            self.fill_window(node)
        elif step.state is StepState.SUCCEEDED:
            self.open_children(node)
        elif step.state is StepState.FAILED:
            self.skip_below(node)

    def finish(self) -> None:
        """End the run when nothing is left to do."""
        run = self.run
        if run.ended or run.unfinished > 0:
            return
        if run.state is State.CANCELLING:
            self.change(RunChange(State.CANCELLED, self.at, reason=run.reason))
        elif run.first_failure is not None:
            self.change(RunChange(State.FAILED, self.at, reason=run.first_failure))
        else:
            self.change(self.success())
        self.effects.append(Ended())

    def success(self) -> RunChange:
        """How a run ends whose steps all succeeded: with its outputs, or failed if one of them is not there."""
        try:
            outputs = {name: shown(self.run, source) for name, source in self.run.plan.flow.outputs.items()}
        except FlowInvalid as error:
            return RunChange(State.FAILED, self.at, reason=str(error))
        return RunChange(State.SUCCEEDED, self.at, outputs=outputs)

    def again(self, step: Step, **fields: Any) -> None:
        """Put a step whose attempt ended without a result back in line, or end it if the run is being cancelled."""
        if self.run.state is State.CANCELLING:
            self.move(step, StepState.CANCELLED, **{**fields, "reason": "cancelled"})
            self.step_ended(step)
            self.finish()
            return
        self.move(step, StepState.READY, **fields)
        self.effects.append(Ready(step))

    def fail_step(self, step: Step, error: StepError, **fields: Any) -> None:
        self.move(step, StepState.FAILED, error=error, reason=error.code, instance=step.instance, **fields)
        self.step_ended(step)
        self.finish()


# -- one handler an event --------------------------------------------------------------------------------------------


def _begin(walk: _Walk, event: Begin) -> None:
    if walk.run.state is not State.QUEUED:
        return
    walk.change(RunChange(State.RUNNING, event.at))
    for root in walk.run.plan.roots:
        walk.open_node(walk.run.plan.nodes[root])
    walk.finish()


def _assigned(walk: _Walk, event: Assigned) -> None:
    step = walk.run.steps[event.step]
    walk.move(step, StepState.ASSIGNED, epoch=step.epoch + 1, instance=event.instance, version=event.version)


def _unassignable(walk: _Walk, event: Unassignable) -> None:
    step = walk.run.steps.get(event.step)
    if step is not None and step.state is StepState.READY:
        walk.fail_step(step, event.error)


def _no_module(walk: _Walk, event: NoModule) -> None:
    step = walk.run.steps.get(event.step)
    if step is not None and step.state is StepState.READY:
        walk.move(step, StepState.PARKED, reason=event.reason, wake_at=event.until)
        walk.effects.append(Wake(step.id, event.until))


def _module_found(walk: _Walk, event: ModuleFound) -> None:
    step = walk.run.steps.get(event.step)
    if step is not None and step.state is StepState.PARKED:
        walk.move(step, StepState.READY)
        walk.effects.append(Ready(step))


def _attempt_started(walk: _Walk, event: AttemptStarted) -> None:
    step = walk.current(event.step, event.epoch, event.instance)
    if step is not None and step.state is StepState.ASSIGNED:
        walk.move(step, StepState.RUNNING, instance=step.instance)


def _attempt_progressed(walk: _Walk, event: AttemptProgressed) -> None:
    if walk.current(event.step, event.epoch, event.instance) is not None:
        walk.change(ProgressChange(event.step, event.progress, walk.at))


def _attempt_done(walk: _Walk, event: AttemptDone) -> None:
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


def _attempt_failed(walk: _Walk, event: AttemptFailed) -> None:
    step = walk.current(event.step, event.epoch, event.instance)
    if step is None:
        walk.stale(event)
        return
    if walk.run.state is State.CANCELLING:
        walk.again(step)
        return
    failures = step.failures + 1
    policy = walk.run.plan.nodes[step.node].node.retry or retry.DEFAULT
    delay = retry.delay_s(policy, failures, event.error, event.jitter)
    if delay is None:
        left = {"stats": event.stats, "log": event.log, "artifacts": event.artifacts}
        walk.fail_step(step, event.error, failures=failures, **left)
        return
    outcome = (event.instance, event.error.code, event.error, event.log, event.stats)
    walk.change(AttemptChange(step.id, step.epoch, AttemptState.FAILED, walk.at, *outcome))
    until = walk.at + delay
    reason = f"try {failures + 1} of {policy.attempts} after: {event.error.message:.200}"
    walk.move(step, StepState.WAITING, failures=failures, reason=reason, wake_at=until)
    walk.effects.append(Wake(step.id, until))


def _attempt_returned(walk: _Walk, event: AttemptReturned) -> None:
    step = walk.current(event.step, event.epoch, event.instance)
    if step is None:
        return
    state = AttemptState.RETURNED
    walk.change(AttemptChange(step.id, step.epoch, state, walk.at, event.instance, event.reason))
    walk.again(step, reason=event.reason)


def _attempt_lost(walk: _Walk, event: AttemptLost) -> None:
    step = walk.current(event.step, event.epoch)
    if step is None:
        return
    walk.change(AttemptChange(step.id, step.epoch, AttemptState.LOST, walk.at, step.instance, event.reason))
    walk.effects.append(Supersede(step.id, step.epoch, step.instance or ""))
    losses = step.losses + 1
    if losses >= MOST_LOSSES:
        message = f"{losses} attempts were lost with their instances, the last one because: {event.reason}"
        walk.fail_step(step, StepError(type="AttemptsLost", message=message, code="attempts-lost"), losses=losses)
        return
    walk.again(step, losses=losses, reason=event.reason)


def _time_came(walk: _Walk, event: TimeCame) -> None:
    step = walk.run.steps.get(event.step)
    if step is None or step.wake_at is None or step.wake_at > event.at:
        return
    if step.state is StepState.WAITING:
        walk.move(step, StepState.READY)
        walk.effects.append(Ready(step))
    elif step.state is StepState.PARKED:
        message = f"no module came in time: {step.reason}"
        error = StepError(error_class=ErrorClass.FATAL, type="ParkedTooLong", message=message, code="parked-too-long")
        walk.fail_step(step, error)


def _cancel_asked(walk: _Walk, event: CancelAsked) -> None:
    run = walk.run
    if run.state is State.CANCELLING:
        return
    reason = f"cancelled by {event.actor}" + (f": {event.reason}" if event.reason else "")
    walk.change(RunChange(State.CANCELLING, walk.at, reason=reason))
    _end_all(walk, "cancelled", stop_live=True)
    walk.finish()


def _run_timed_out(walk: _Walk, event: RunTimedOut) -> None:
    if walk.run.state is State.CANCELLING:
        return  # it ends as cancelled, once its attempts have stopped
    reason = "the run's own time is over"
    walk.change(RunChange(State.TIMED_OUT, walk.at, reason=reason))
    _end_all(walk, reason, stop_live=False)
    walk.effects.append(Ended())


def _end_all(walk: _Walk, reason: str, *, stop_live: bool) -> None:
    """Cancel what has not begun; stop what runs, and (unless `stop_live`) end it here and now."""
    run = walk.run
    for step in list(run.steps.values()):
        if step.live:
            walk.effects.append(Stop(step.id, step.epoch, step.instance or "", reason))
        if not step.live or not stop_live:
            walk.move(step, StepState.CANCELLED, reason=reason)
    for node in run.plan.nodes:
        mapped = run.maps.get(node.index)
        if run.status(node.index) is StepState.PENDING and (mapped is None or not mapped.open):
            walk.change(StepChange(step=node.name, state=StepState.CANCELLED, at=walk.at, reason=reason))


_HANDLERS: Mapping[type, Callable[[_Walk, Any], None]] = {
    Begin: _begin,
    Assigned: _assigned,
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
    RunTimedOut: _run_timed_out,
}


def shown(run: RunState, source: Source) -> tuple[Reference, ...]:
    """What a flow output shows; empty when the node gave nothing on that port."""
    if source.input is not None:
        return (run.inputs[source.input],) if source.input in run.inputs else ()
    name = source.node or ""
    ports = run.results.get(run.plan.by_name[name], {})
    return port_of(ports, source.port, name) if ports else ()

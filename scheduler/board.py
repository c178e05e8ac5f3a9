"""Everything a scheduler holds in memory, and how an event happens to it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from plugmesh.contracts.messages import Cancel, Recall, Renewed, attempt_id
from plugmesh.contracts.run import RunState as State
from plugmesh.contracts.run import StepState, shard_of
from plugmesh.runtime import Runtime
from scheduler.durations import Durations
from scheduler.effects import Convict, Discard, Effect, Ended, Queued, Ready, Stop, Supersede, TakeBack, Wake
from scheduler.events import Begin, Event, Queue, Recover
from scheduler.leases import Held, Leases
from scheduler.placement import Line, Need, Placement
from scheduler.queues import Queues
from scheduler.roster import Departures
from scheduler.runstate import LEAST_WINDOW, RunState
from scheduler.step import Step
from scheduler.tally import Tally
from scheduler.timers import Timers
from scheduler.walk import advance, give_up
from scheduler.work import Work

_log = logging.getLogger(__name__)


class Board:
    """Active runs of the owned shards, attempts that are out, steps in line. Changed only by the engine's cycle."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.runs: dict[str, RunState] = {}
        self.terms: dict[int, int] = {}
        self.positions: dict[int, str] = {}
        self.leases = Leases()
        self.durations = Durations()
        self.placement = Placement(self.durations)
        self.timers = Timers()
        self.departures = Departures()
        self.queues = Queues()
        self.window = LEAST_WINDOW
        self.parked: dict[str, dict[str, Need]] = {}
        self.suspects: set[tuple[str, str]] = set()
        """Module versions that have ended processes lately, but not in enough runs for a quarantine."""
        self.dirty: dict[str, RunState] = {}
        self.work = Work()
        self.is_traced: Callable[[str], bool] = _never
        """Whether spans of a run, by its id, are wanted."""
        self.on_left: Callable[[str], None] = _untold
        """Is told of each run that is not in memory any more."""
        self.tally = Tally()
        self.assigned = self.retried = self.lost = 0
        """Attempts since the start: sent out, of these not the first of their step, and lost."""

    def happen(self, run: RunState, event: Event, *, lazy: bool = False) -> None:
        """Walk one run, and note what follows. A `lazy` event waits for the next commit instead of causing one."""
        run.window = self.window
        try:
            outcome = advance(run, event)
        except Exception as error:  # noqa: BLE001  one run that went wrong must not stop all the others
            _log.exception("run %s: %s failed in the scheduler; the run ends", run.id, type(event).__name__)
            reason = f"the scheduler failed with this run, which is a bug: {type(error).__name__}: {error}"
            outcome = give_up(run, self._runtime.wall(), reason)
        if outcome.changes:
            self.dirty[run.id] = run
            self.work.eager = self.work.eager or not lazy
        for effect in outcome.effects:
            self._follow(run, effect)

    def _follow(self, run: RunState, effect: Effect) -> None:
        match effect:
            case Ready(step):
                self.line_up(run, step)
            case Wake(step_id, at):
                self.wake(run.id, step_id, at)
            case Stop(step_id, epoch, instance, reason):
                attempt = attempt_id(run.id, step_id, epoch)
                if self.leases.get(attempt) is not None:
                    cancel = Cancel(instance=instance, attempt=attempt, reason=reason, **self.address(run))
                    self.work.outgoing.append(cancel)
                if run.ended:
                    self.leases.end(attempt)
            case TakeBack(step_id, epoch, _):
                held = self.leases.get(attempt_id(run.id, step_id, epoch))
                if held is not None:
                    self.recall(run, held)
            case Supersede(step_id, epoch, instance):
                attempt = attempt_id(run.id, step_id, epoch)
                self.leases.end(attempt)
                self.supersede(instance, run.shard, (attempt,))
            case Convict():
                self.work.convictions.append((run, effect))
            case Queued():
                self.queues.add(run)
            case Discard():
                self.work.discards.append((run, effect))
            case Ended():
                self.forget(run)

    def recall(self, run: RunState, held: Held) -> None:
        """Ask an instance for an attempt that it may not have begun."""
        attempt = held.message.attempt
        self.work.outgoing.append(Recall(instance=held.instance, attempt=attempt, **self.address(run)))

    def address(self, run: RunState) -> dict[str, int]:
        """Shard and term, as every message to an instance carries them."""
        return {"shard": run.shard, "term": self.terms[run.shard]}

    def supersede(self, instance: str, shard: int, attempts: tuple[str, ...]) -> None:
        """Tell an instance to kill attempts that are not (or no longer) current."""
        message = Renewed(instance=instance, shard=shard, term=self.terms.get(shard, 0), superseded=attempts)
        self.work.outgoing.append(message)

    def remind(self, held: Held) -> None:
        """Say again what the instance of an attempt may have missed: the assignment, or that it is to stop, or not to
        begin."""
        run = self.runs.get(held.message.run)
        if run is None:
            return
        if run.state is State.CANCELLING:
            attempt, address = held.message.attempt, self.address(run)
            self.work.outgoing.append(Cancel(instance=held.instance, attempt=attempt, reason="cancelled", **address))
        elif held.accept_by is not None:
            step = run.steps.get(held.message.step)
            if run.state is State.PAUSED and step is not None and step.state is StepState.ASSIGNED:
                self.recall(run, held)
            else:
                self.work.outgoing.append(held.message)

    # -- runs ----------------------------------------------------------------------------------------------------------

    def admit(self, run: RunState) -> None:
        """A run that is new in memory."""
        self.runs[run.id] = run
        run.traced = self.is_traced(run.id)
        if run.deadline is not None:
            run.ends_at = self.wake(run.id, "", run.deadline)

    def enter(self, run: RunState) -> None:
        """A run to which nothing has happened yet begins, or stands in line."""
        at = self._runtime.wall()
        self.admit(run)
        if run.rerun is not None:
            self.happen(run, Recover(at, run.rerun))
        if run.permit is None:
            self.begin(run)
        else:
            self.happen(run, Queue(at, run.turn))

    def begin(self, run: RunState) -> None:
        """Let a queued run start."""
        known = run.deadline
        self.happen(run, Begin(self._runtime.wall()))
        if run.deadline is not None and run.deadline != known:
            run.ends_at = self.wake(run.id, "", run.deadline)

    def left_s(self, run: RunState) -> float | None:
        """What a run has left of its time; `None`: there is no end to it."""
        return None if run.ends_at is None else max(0.0, run.ends_at - self._runtime.now())

    def forget(self, run: RunState) -> None:
        """A run has ended or its shard was lost; its last changes are still committed."""
        self.runs.pop(run.id, None)
        self.on_left(run.id)
        self.parked.pop(run.id, None)
        self.queues.remove(run)

    def drop_shard(self, shard: int) -> None:
        """Forget all of a shard without writing anything."""
        gone = [run for run in self.runs.values() if run.shard == shard]
        for run in gone:
            self.forget(run)
        self.dirty = {run.id: run for run in self.dirty.values() if run.shard != shard}  # also those that have ended
        for attempt in self.leases.of_runs(run.id for run in gone):
            self.leases.end(attempt)
        self.work.commands = [one for one in self.work.commands if shard_of(one[1].run) != shard]
        self.terms.pop(shard, None)
        self.positions.pop(shard, None)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def line_up(self, run: RunState, step: Step) -> None:
        """Put a ready step in line for an instance."""
        self.unpark(run.id, step.id)
        line = Line(run.namespace, need_of(run, step), step.alone)
        node = run.plan.nodes[step.node]
        near = run.maker_of_inputs(node) if node.parents else None
        self.placement.add(line, run.id, step.id, priority=run.priority, depth=node.depth, near=near)

    def park(self, run: RunState, step: Step) -> None:
        """Note that a step waits for a module."""
        self.parked.setdefault(run.id, {})[step.id] = need_of(run, step)

    def unpark(self, run: str, step: str) -> None:
        """A step does not wait for a module any more."""
        steps = self.parked.get(run)
        if steps is not None and steps.pop(step, None) is not None and not steps:
            del self.parked[run]

    def wake(self, run: str, step: str, at: float) -> float:
        """Look at a step again at the Unix time `at` (an empty name stands for the run); returns the monotonic time."""
        when = self._runtime.now() + max(0.0, at - self._runtime.wall())
        self.timers.set(when, run, step, at)
        return when

    def is_ready(self, run_id: str, step_id: str) -> bool:
        """The step is still in line."""
        run = self.runs.get(run_id)
        if run is None or run.state is State.PAUSED:
            return False
        step = run.steps.get(step_id)
        return step is not None and step.state is StepState.READY


def _never(run: str) -> bool:
    return False


def _untold(run: str) -> None:
    """Nobody wants to know."""


def need_of(run: RunState, step: Step) -> Need:
    """What a step asks for; a module whose version the run has resolved stays at it."""
    planned = run.plan.nodes[step.node]
    module = planned.node.module
    return Need(module, run.pins.get(module), planned.labels, run.plan.flow.quarantine == "previous")

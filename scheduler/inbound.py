"""Messages from instances: what each does to the board."""

from __future__ import annotations

import logging
from collections.abc import Callable

from plugmesh.contracts.messages import (
    Accepted,
    Done,
    Failed,
    Progressed,
    Renew,
    Renewed,
    Returned,
    Started,
    decode_result,
    split_attempt_id,
)
from plugmesh.contracts.run import Progress
from plugmesh.errors import InvalidMessage, ProtocolMismatch
from plugmesh.runtime import Runtime
from scheduler.board import Board
from scheduler.events import AttemptDone, AttemptFailed, AttemptProgressed, AttemptReturned, AttemptStarted
from scheduler.runstate import RunState
from scheduler.unreadable import failure_of

_log = logging.getLogger(__name__)

REST_S = 0.2
"""How long an instance that said it was busy gets nothing new."""


class Inbound:
    """Applies `results` messages. An unreadable one is logged, and fails the attempt that it names, if it names one.

    `drains` is told of an instance that says that it drains, before it gets the answer.
    """

    def __init__(self, runtime: Runtime, board: Board, drains: Callable[[str], None]) -> None:
        self._runtime, self._board, self._drains = runtime, board, drains
        self.resting: dict[str, float] = {}

    def receive(self, payload: bytes, shard: int) -> None:
        """Take one message of a shard's partition."""
        try:
            message = decode_result(payload)
        except (InvalidMessage, ProtocolMismatch) as error:
            failed = failure_of(payload, error)
            _log.warning("%s: %s", "dropped a message" if failed is None else f"{failed.attempt} fails", error)
            if failed is None:
                return
            message = failed
        if isinstance(message, Renew):
            self._renew(message, shard)
            return
        run = self._board.runs.get(message.run)
        match message:
            case Accepted() | Started():
                self._alive(message, run, shard)
            case Progressed():
                self._progressed(message, run)
            case Done() | Failed() | Returned():
                held = self._board.leases.get(message.attempt)
                if held is not None and held.instance == message.instance:
                    self._board.leases.end(message.attempt)
                if run is not None and _known(run, message.step):
                    self._ended(message, run)

    def _alive(self, message: Accepted | Started, run: RunState | None, shard: int) -> None:
        step = None if run is None else run.steps.get(message.step)
        current = step is not None and step.live and step.epoch == message.epoch
        if not current or not self._board.leases.renew(message.instance, message.attempt, self._runtime.now()):
            self._board.supersede(message.instance, shard, (message.attempt,))
            return
        self._remind_of_cancel(message.attempt)
        if run is not None and isinstance(message, Started):
            at = self._runtime.wall()
            event = AttemptStarted(at, message.step, message.epoch, message.instance)
            self._board.happen(run, event, lazy=True)

    def _progressed(self, message: Progressed, run: RunState | None) -> None:
        if run is None or message.step not in run.steps:
            return
        at = self._runtime.wall()
        progress = Progress(done=message.done, total=message.total, message=message.message, at=at)
        event = AttemptProgressed(at, message.step, message.epoch, message.instance, progress)
        self._board.happen(run, event, lazy=True)

    def _ended(self, message: Done | Failed | Returned, run: RunState) -> None:
        at = self._runtime.wall()
        who = (message.step, message.epoch, message.instance)
        match message:
            case Done():
                module = run.node_of(message.step).module
                self._board.tally.saw(module, "done", message.stats)
                if message.stats is not None:
                    self._board.durations.saw(module, message.stats.wall_s)
                if self._board.suspects:
                    self._acquit(message, run)
                told = (message.stats, message.log, message.artifacts)
                self._board.happen(run, AttemptDone(at, *who, message.outputs, *told))
            case Failed():
                self._board.tally.saw(run.node_of(message.step).module, "failed", message.stats)
                jitter = self._runtime.random().random()
                told = (message.stats, message.log, message.artifacts)
                failed = AttemptFailed(at, *who, message.error, jitter, *told, message.convicting, message.rejected)
                self._board.happen(run, failed)
            case Returned():
                if message.reason == "busy":
                    self.resting[message.instance] = self._runtime.now() + REST_S
                self._board.happen(run, AttemptReturned(at, *who, message.reason))

    def _acquit(self, message: Done, run: RunState) -> None:
        """Whatever spoke against the version: it works."""
        step = run.steps.get(message.step)
        if step is not None and step.epoch == message.epoch and step.version is not None:
            version = (run.plan.nodes[step.node].module, step.version)
            if version in self._board.suspects:
                self._board.suspects.remove(version)
                self._board.work.acquitted.add(version)

    def _renew(self, message: Renew, shard: int) -> None:
        if message.draining:
            self._drains(message.instance)
        now = self._runtime.now()
        kept: list[str] = []
        superseded: list[str] = []
        for attempt in message.attempts:
            known = self._is_current(attempt) and self._board.leases.renew(message.instance, attempt, now)
            (kept if known else superseded).append(attempt)
        term = self._board.terms.get(shard, 0)
        reply = Renewed(
            instance=message.instance,
            shard=shard,
            term=term,
            attempts=tuple(kept),
            superseded=tuple(superseded),
            draining=message.draining,
        )
        self._board.work.outgoing.append(reply)
        for attempt in kept:
            self._remind_of_cancel(attempt)

    def _remind_of_cancel(self, attempt: str) -> None:
        """Whoever still works for a run that is being cancelled has not heard of it."""
        held = self._board.leases.get(attempt)
        if held is not None:
            self._board.remind(held)

    def _is_current(self, attempt: str) -> bool:
        try:
            run_id, step_id, epoch = split_attempt_id(attempt)
        except InvalidMessage:
            return False
        run = self._board.runs.get(run_id)
        step = None if run is None else run.steps.get(step_id)
        return step is not None and step.live and step.epoch == epoch


def _known(run: RunState, step: str) -> bool:
    return step.partition(".")[0] in run.plan.by_name

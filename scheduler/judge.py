"""What is over by now: timers, leases, departures, patience. A judge that was itself stopped, or deaf, is lenient."""

from __future__ import annotations

from collections.abc import Callable

from plugmesh.contracts.messages import split_attempt_id
from plugmesh.runtime import Runtime
from registry.registry import Registry
from scheduler.board import Board
from scheduler.events import AttemptLost, RunTimedOut, TimeCame
from scheduler.placing import Placing

TICK_S = 0.25
LATE_S = 1.0
"""A tick that comes this much too late means that this process was stopped: it must not judge at once."""


class Judge:
    """Looks at everything that has an end. `tick` is called every `TICK_S`, `look` once what came before has been heard.
    `is_deaf` says whether the bus is away."""

    def __init__(
        self, runtime: Runtime, board: Board, registry: Registry, placing: Placing, is_deaf: Callable[[], bool]
    ) -> None:
        self._runtime, self._board, self._registry, self._placing = runtime, board, registry, placing
        self._is_deaf = is_deaf
        self._ticked_at = runtime.now()
        self._late = self._was_deaf = False

    def tick(self) -> bool:
        """Note that this process is running; whether there is anything to look at."""
        now, board = self._runtime.now(), self._board
        self._late = self._late or self._was_stopped(now)
        self._listen(now - self._ticked_at)
        self._ticked_at = now
        held = (board.leases, board.dirty, board.placement, board.departures, board.timers)
        return any(len(one) for one in held)

    def stood_still(self, seconds: float) -> None:
        """While a slow commit was waited for nothing was heard and nothing sent: that is nobody's fault."""
        if seconds > LATE_S:
            self._board.leases.stand_still(seconds)

    def look(self) -> None:
        """End what is over. Whatever arrived before must have been taken in before."""
        board, now, wall = self._board, self._runtime.now(), self._runtime.wall()
        if self._late or self._was_stopped(now):
            self._late = False
            board.leases.grace(now)
        for timer in board.timers.due(now):
            run = board.runs.get(timer.run)
            if run is not None:
                board.happen(run, TimeCame(max(wall, timer.due), timer.step) if timer.step else RunTimedOut(wall))
        self._end_leases(now)
        board.departures.lost(now, self._lose_instance)
        self._placing.park_unserved()
        self._placing.wait_no_longer()

    def _listen(self, seconds: float) -> None:
        """Whoever could not be heard for these seconds is not judged for them; what may have been lost is said again."""
        board = self._board
        if self._is_deaf():
            board.leases.stand_still(seconds)
            self._was_deaf = True
        elif self._was_deaf:
            self._was_deaf, self._late = False, True
            for held in board.leases.unaccepted():
                board.remind(held)

    def _was_stopped(self, now: float) -> bool:
        return now - self._ticked_at > TICK_S + LATE_S

    def _end_leases(self, now: float) -> None:
        overdue = self._board.leases.overdue(now)
        for attempt, reason in overdue.items():
            held = self._board.leases.get(attempt)
            if held is not None and held.accept_by is not None:
                self._registry.suspect(held.instance, reason)
            self._lose(attempt, reason)
        if overdue:
            self._placing.refresh()  # at once: the suspect must not be the next one to be chosen

    def _lose_instance(self, instance: str) -> None:
        for held in self._board.leases.of_instance(instance):
            if not held.patient:
                reason = f"instance {instance} closed its connection and did not come back"
                self._lose(held.message.attempt, reason, gone=True)

    def _lose(self, attempt: str, reason: str, *, gone: bool = False) -> None:
        run_id, step, epoch = split_attempt_id(attempt)
        self._board.leases.end(attempt)
        self._board.lost += 1
        run = self._board.runs.get(run_id)
        if run is not None:
            self._board.happen(run, AttemptLost(self._runtime.wall(), step, epoch, reason, gone))

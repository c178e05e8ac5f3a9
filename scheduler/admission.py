"""Asking the database for permits, so that queued runs can begin when it is their turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from plugmesh.contracts.run import RunState as State
from plugmesh.runtime import Runtime
from plugmesh.state.permits import Given, take_permits
from plugmesh.state.store import State as Store
from scheduler.board import Board
from scheduler.events import CancelAsked
from scheduler.queues import LineName
from scheduler.runstate import RunState

_log = logging.getLogger(__name__)

MESH = "the mesh"
"""The actor of a cancel that a flow's concurrency limit asked for."""


class Admission:
    """Permits are rows, so that several schedulers can share a limit. What was given comes back through the engine's inbox
    (`give`), where it is carried out (`carry_out`): only the engine's cycle changes runs."""

    def __init__(
        self, runtime: Runtime, store: Store, board: Board, *, owner: str, give: Callable[[Given], None]
    ) -> None:
        self._runtime, self._store, self._board, self._owner, self._give = runtime, store, board, owner, give
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """A run may have come into a line, or a permit may be free again."""
        if len(self._board.queues):
            self._woken.set()

    async def run(self) -> None:
        """Ask whenever there may be an answer."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._ask()
            except Exception:  # noqa: BLE001  whatever it was: the runs stand in line, and are asked for again
                _log.warning("no permits could be asked for; trying again", exc_info=True)

    async def _ask(self) -> None:
        wanted = [one for one in self._board.queues.wanted() if one.shard in self._board.terms]
        if wanted:
            terms = dict(self._board.terms)
            self._give(await self._store.write(take_permits, self._owner, terms, wanted, self._runtime.wall()))

    def carry_out(self, given: Given) -> None:
        """Begin the runs that have a permit; where there was none, do as their flows say."""
        board = self._board
        holders = [name for names in given.holders.values() for name in names]
        for run in (board.runs.get(name) for name in (*given.runs, *holders)):
            # A holder that is in line got its permit before this scheduler, or the one before it, lost sight of it.
            if run is not None and run.state is State.QUEUED:
                board.begin(run)
                board.queues.remove(run)
        lines = board.queues.lines()
        for name, holders in given.holders.items():
            self._full(name, lines.get(name, []), holders)

    def _full(self, name: LineName, line: list[RunState], holders: list[str]) -> None:
        for run in _with(line, "cancel-new"):
            self._cancel(run, f"{run.turn.removeprefix('waits for its turn: ')}, and {', '.join(holders)} came first")
        replacing = list(_with(line, "cancel-running"))
        newest = replacing[-_limit(line) :]
        for run in replacing[: -len(newest)]:
            self._cancel(run, f"replaced by {newest[-1].id}")
        running = [run for run in (self._board.runs.get(holder) for holder in holders) if run is not None]
        for old, new in zip(running, newest, strict=False):
            self._cancel(old, f"replaced by {new.id}")

    def _cancel(self, run: RunState, reason: str) -> None:
        if not run.ended:
            self._board.happen(run, CancelAsked(self._runtime.wall(), MESH, reason))


def _with(line: list[RunState], when_full: str) -> Iterator[RunState]:
    """Those that want this to happen where there is no room, in the order in which they came."""
    wanting = (run for run in line if run.permit is not None and run.permit.when_full == when_full)
    return iter(sorted(wanting, key=lambda run: run.key))


def _limit(line: list[RunState]) -> int:
    return max((run.permit.limit for run in line if run.permit is not None), default=1)

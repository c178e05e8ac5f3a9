"""Asking the database for permits, so that queued runs can begin when it is their turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from plugmesh.contracts.run import Permit, shard_of
from plugmesh.contracts.run import RunState as State
from plugmesh.runtime import Runtime
from plugmesh.state.permits import Given, take_permits
from plugmesh.state.store import State as Store
from scheduler.board import Board
from scheduler.events import CancelAsked
from scheduler.runstate import RunState

_log = logging.getLogger(__name__)

LIMITER = "the mesh"
"""Who cancels a run because its flow limits how many are under way, in the words of the run's reason."""


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
        if self._board.queues.due:
            self._woken.set()

    def look_again(self) -> None:
        """Another scheduler may have given a permit back."""
        self._board.queues.ask_again()
        self.wake()

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
        queues, terms = self._board.queues, dict(self._board.terms)
        wanted = [one for one in queues.wanted() if one.shard in terms]
        if wanted:
            try:
                self._give(await self._store.write(take_permits, self._owner, terms, wanted, self._runtime.wall()))
            except BaseException:
                queues.ask_again((one.namespace, one.name) for one in wanted)
                raise
        self.wake()  # there may be more lines than are asked for at a time

    def carry_out(self, given: Given) -> None:
        """Begin the runs that have a permit; where there was none, do as their flows say."""
        board = self._board
        holders = [name for names in given.holders.values() for name in names]
        for run in (board.runs.get(name) for name in (*given.runs, *holders)):
            # A holder that is in line got its permit before this scheduler, or the one before it, lost sight of it.
            if run is not None and run.state is State.QUEUED:
                board.begin(run)
                board.queues.remove(run)
        for name, holding in given.holders.items():
            self._full(board.queues.hasty(name), holding)

    def _full(self, hasty: list[tuple[RunState, Permit]], holders: list[str]) -> None:
        """There is no room for those in line who do not want to wait: some leave, others take the holders' places. That of
        a holder which has ended meanwhile is as good as free: nobody has to go for it."""
        board = self._board
        holding = [board.runs.get(holder) for holder in holders if shard_of(holder) in board.terms]
        free = holding.count(None)
        for run, permit in [one for one in hasty if one[1].when_full == "cancel-new"][free:]:
            self._cancel(run, f"{permit.rule}, and {', '.join(holders)} came first")
        replacing = [(run, permit) for run, permit in hasty if permit.when_full == "cancel-running"]
        limit = max((permit.limit for _, permit in replacing), default=1)
        newest = [run for run, _ in replacing[-limit:]]
        for run, _ in replacing[:-limit]:
            self._cancel(run, f"replaced by {newest[-1].id}")
        going = sorted((run for run in holding if run is not None), key=lambda run: run.state is not State.CANCELLING)
        for old, new in zip(going, newest[free:], strict=False):
            self._cancel(old, f"replaced by {new.id}")

    def _cancel(self, run: RunState, reason: str) -> None:
        if not run.ended:
            self._board.happen(run, CancelAsked(self._runtime.wall(), LIMITER, reason))

"""What leaves the process after a commit: answers, messages to instances, event rows for watchers, deletions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from plugmesh.bus.port import Bus
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES, referenced_keys
from plugmesh.contracts.instance import dispatch_partition
from plugmesh.contracts.messages import DISPATCH, EVENTS, Assign, Cancel, Recall, Renewed
from plugmesh.contracts.run import StepError
from plugmesh.errors import LimitExceeded, PlugmeshError
from plugmesh.objects.keys import attempt_prefix
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime
from scheduler.assignment import failure, spilled
from scheduler.board import Board
from scheduler.effects import Discard
from scheduler.events import AttemptFailed
from scheduler.runstate import RunState
from scheduler.work import Work, event_message

_log = logging.getLogger(__name__)


class Outbound:
    """Sends what a cycle has collected. `wake` asks the engine for another cycle."""

    def __init__(
        self, runtime: Runtime, board: Board, bus: Bus, objects: ObjectStore, wake: Callable[[], None]
    ) -> None:
        self._runtime, self._board, self._bus, self._objects, self._wake = runtime, board, bus, objects, wake

    def prepare(self, work: Work) -> None:
        """Encode what will be sent, if the commit succeeds."""
        work.letters = [message.encode() for message in work.outgoing]
        work.announcements = [(run.shard, event_message(run, row, run.state)) for run, row in work.announced]

    async def send(self, work: Work) -> None:
        """Let the effects of a committed cycle happen: answers and messages first, then what watchers see."""
        if work.letters is None:
            self.prepare(work)
        assert work.letters is not None
        self._runtime.point("engine.effects.before")
        work.resolve()
        for message, payload in zip(work.outgoing, work.letters, strict=True):
            await self._dispatch(message, payload)
        if work.outgoing:
            await asyncio.sleep(0)  # they leave at the end of this round of the loop, before all that is less urgent
        self._runtime.point("engine.effects.between")
        work.acknowledge()
        for shard, announcement in work.announcements:
            await self._bus.publish(EVENTS, shard, announcement)
        if work.discards:
            await self._runtime.run_sync(self._discard, work.discards)
        self._runtime.point("engine.effects.after")

    async def _dispatch(self, message: Assign | Cancel | Recall | Renewed, payload: bytes) -> None:
        if len(payload) > MESSAGE_LIMIT_BYTES and isinstance(message, Assign):
            payload = await self._spilled(message)
        try:
            await self._bus.publish(DISPATCH, dispatch_partition(message.instance), payload)
        except PlugmeshError as error:
            if isinstance(message, Assign) and isinstance(error, LimitExceeded):
                self._refuse(message, failure(error))
                return
            _log.warning("a message to %s was not sent, leases will tell: %s", message.instance, error)

    async def _spilled(self, message: Assign) -> bytes:
        """A message with its references in the object store. Without room there it stays too large."""
        try:
            smaller = await self._runtime.run_sync(spilled, message, self._objects, self._runtime.new_id("in"))
        except PlugmeshError as error:
            _log.warning("the references for %s could not be spilled: %s", message.attempt, error)
            return message.encode()
        return smaller.encode()

    def _refuse(self, message: Assign, error: StepError) -> None:
        """Fail an attempt that cannot be sent to anyone."""
        run = self._board.runs.get(message.run)
        self._board.leases.end(message.attempt)
        if run is not None:
            jitter = self._runtime.random().random()
            who = (message.step, message.epoch, message.instance)
            self._board.happen(run, AttemptFailed(self._runtime.wall(), *who, error, jitter))
            self._wake()

    def _discard(self, discards: list[tuple[RunState, Discard]]) -> None:
        for run, discard in discards:
            own = attempt_prefix(run.namespace, run.id, discard.step, discard.epoch) + "/"
            for reference in discard.outputs.values():
                for key in referenced_keys(reference):
                    if key.startswith(own):
                        self._delete(key)

    def _delete(self, key: str) -> None:
        try:
            self._objects.delete(key)
        except (PlugmeshError, OSError) as error:
            _log.warning("the object %s of a stale attempt could not be deleted: %s", key, error)

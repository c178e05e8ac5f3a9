"""What leaves the process after a commit: answers, messages to instances, event rows for watchers, deletions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from plugmesh.bus.port import Bus
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES
from plugmesh.contracts.instance import dispatch_partition
from plugmesh.contracts.messages import DISPATCH, Assign, Cancel, Recall, Renewed
from plugmesh.errors import PlugmeshError
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime
from scheduler.announcing import Announcement, Announcing
from scheduler.board import Board
from scheduler.discarding import Discarding
from scheduler.spilling import Spilling
from scheduler.work import Work, event_message

_log = logging.getLogger(__name__)


class Outbound:
    """Sends what a cycle has collected. `wake` asks the engine for another cycle."""

    def __init__(
        self, runtime: Runtime, board: Board, bus: Bus, objects: ObjectStore, wake: Callable[[], None]
    ) -> None:
        self._runtime, self._bus = runtime, bus
        self._announcing = Announcing(runtime, bus)
        self._spilling = Spilling(runtime, board, objects, self._publish, wake)
        self._discarding = Discarding(runtime, objects)

    def prepare(self, work: Work) -> None:
        """Encode what will be sent, if the commit succeeds."""
        work.letters = [message.encode() for message in work.outgoing]
        work.announcements = [
            Announcement(run.shard, event_message(run, row, run.state), ended) for run, row, ended in work.announced
        ]

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
        await self._announcing.tell(work.announcements)
        self._discarding.add(work.discards)
        self._runtime.point("engine.effects.after")

    async def close(self) -> None:
        """Hold nothing back any more."""
        await self._announcing.close()
        await self._spilling.close()
        await self._discarding.close()

    async def _dispatch(self, message: Assign | Cancel | Recall | Renewed, payload: bytes) -> None:
        if len(payload) > MESSAGE_LIMIT_BYTES and isinstance(message, Assign):
            self._spilling.begin(message)
        else:
            await self._publish(message, payload)

    async def _publish(self, message: Assign | Cancel | Recall | Renewed, payload: bytes) -> None:
        try:
            await self._bus.publish(DISPATCH, dispatch_partition(message.instance), payload)
        except PlugmeshError as error:
            _log.warning("a message to %s was not sent, leases will tell: %s", message.instance, error)

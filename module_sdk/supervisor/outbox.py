"""What an instance says: to schedulers, sent at once and kept by the bus until it cannot be lost; to who asks, once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from plugmesh.bus.port import Bus
from plugmesh.contracts.messages import ANSWERS, EVENTS, RESULTS
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime

_log = logging.getLogger(__name__)


class Outbox:
    """Publishes to `results`; messages of one shard arrive in the order in which they were sent."""

    def __init__(self, runtime: Runtime, bus: Bus) -> None:
        self._runtime = runtime
        self._bus = bus

    def send(self, shard: int, payload: bytes, safe: Callable[[], None] | None = None) -> None:
        """Send, and call `safe` when the message can no longer be lost: the bus sends it again across reconnects."""
        self._runtime.spawn(self.publish(shard, payload, safe), "result")

    async def publish(self, shard: int, payload: bytes, safe: Callable[[], None] | None = None) -> None:
        """The same, to be awaited."""
        self._runtime.point("supervisor.before-publish")
        try:
            await self._bus.publish(RESULTS, shard, payload)
        except PlugmeshError as error:
            _log.warning("a result was not sent: %s", error)
            return
        self._runtime.point("supervisor.after-publish")
        if safe is not None:
            safe()

    def answer(self, payload: bytes) -> None:
        """Answer a question. It may be lost: who asked does not wait for ever."""
        self._runtime.spawn(self._answer(payload), "answer")

    async def _answer(self, payload: bytes) -> None:
        try:
            await self._bus.publish(EVENTS, ANSWERS, payload)
        except PlugmeshError as error:
            _log.warning("an answer was not sent: %s", error)

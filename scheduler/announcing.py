"""Telling watchers of runs, on the topic `events`: a hint that SQL has something new, which may come late or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import NamedTuple

from plugmesh.bus.port import Bus
from plugmesh.contracts.messages import EVENTS
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime

HOLD_S = 0.05
"""What does not end a run waits so long for more of it. On a broker a message costs its readers and writers a round trip
whatever is in it, and people do not look more often than this."""
_log = logging.getLogger(__name__)


class Announcement(NamedTuple):
    """A message for the watchers of a run. `ended`: the run is over."""

    shard: int
    message: bytes
    ended: bool


class Announcing:
    """Publishes at once when a run is over, since somebody may wait for that; the rest comes together.

    The messages of a shard stay in their order.
    """

    def __init__(self, runtime: Runtime, bus: Bus) -> None:
        self._runtime, self._bus = runtime, bus
        self._held: list[Announcement] = []
        self._holding: asyncio.Task[None] | None = None

    async def tell(self, announcements: Iterable[Announcement]) -> None:
        """Publish these now or soon."""
        fresh = tuple(announcements)
        self._held += fresh
        if any(announcement.ended for announcement in fresh):
            await self._flush()
        elif self._held and self._holding is None:
            self._holding = self._runtime.spawn(self._later(), "engine-announcing")

    async def close(self) -> None:
        """Publish what waits, and hold nothing back any more."""
        if self._holding is not None:
            self._holding.cancel()
        await self._flush()

    async def _flush(self) -> None:
        held, self._held = self._held, []
        for shard, message, _ in held:
            try:
                await self._bus.publish(EVENTS, shard, message)
            except PlugmeshError as error:
                _log.warning("watchers were not told of a change; they will find it in the database: %s", error)

    async def _later(self) -> None:
        try:
            await self._runtime.sleep(HOLD_S)
        finally:
            self._holding = None
        await self._flush()

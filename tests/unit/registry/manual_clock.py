"""A runtime whose clock a test moves by hand; threads and tasks are real."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from plugmesh.runtime import SystemRuntime


class ManualClock(SystemRuntime):
    def __init__(self) -> None:
        super().__init__(seed=1)
        self._now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass; whoever sleeps wakes at his moment."""
        end = self._now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            wakes_at, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, wakes_at)
            if not future.done():
                future.set_result(None)
            await self._settle()
        self._now = end

    def stall(self, seconds: float) -> None:
        """The process is stopped for a while: time passes, and nobody wakes meanwhile."""
        self._now += seconds

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

"""A line of spans that wait to be sent, and the thread that sends them, some at a time.

A collector that is down or slow fills the line, and what does not fit is dropped and counted: nobody ever waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from plugmesh.runtime import Runtime, Worker
from plugmesh.telemetry.span import Span

MOST_SPANS = 8192
"""So many wait; a span takes about a kilobyte."""
BATCH_SPANS = 512
GATHER_S = 0.5
"""The first span waits so long for others, unless a batch is full before."""
RETRY_S, SLOWEST_RETRY_S = 1.0, 30.0
KEEP_TRYING_S = 60.0
"""A batch that was not taken for so long is dropped: it may be what the collector chokes on."""
CLOSE_S = 3.0
"""A process that ends sends what is left for so long."""

_log = logging.getLogger(__name__)


class Sending:
    """`post` sends a batch, on a thread of its own, and says whether it was taken; `abort` makes it return soon. `place` is what
    people know the collector by."""

    def __init__(
        self,
        runtime: Runtime,
        post: Callable[[Sequence[Span]], bool],
        abort: Callable[[], None],
        *,
        place: str,
        most: int = MOST_SPANS,
    ) -> None:
        self._runtime, self._post, self._abort, self._place, self._most = runtime, post, abort, place, most
        self._waiting: deque[Span] = deque()
        self._task: asyncio.Task[None] | None = None
        self._worker: Worker | None = None
        self._wake = asyncio.Event()
        self._busy = self._closing = False
        self._failing_since: float | None = None
        self._lost_before = 0
        self.sent = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Spans in the line."""
        return len(self._waiting)

    def put(self, span: Span) -> None:
        """Add one, unless the line is full."""
        if self._closing or len(self._waiting) >= self._most:
            self.dropped += 1
            return
        self._waiting.append(span)
        if self._task is None:
            self._worker = self._runtime.worker("telemetry")
            self._task = self._runtime.spawn(self._run(), "telemetry")
        elif len(self._waiting) in {1, BATCH_SPANS}:
            self._wake.set()

    async def close(self) -> None:
        """Send what is left for `CLOSE_S`, and stop."""
        self._closing = True
        if self._task is None:
            return
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await asyncio.shield(self._task)
        self._abort()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._worker is not None and not self._busy:
            self._worker.close()  # a busy one may take long to end, and ends with the process
        if lost := len(self._waiting):
            self.dropped += lost
            self._waiting.clear()
        if self.dropped:
            _log.warning("%d spans of traces did not reach %s", self.dropped, self._place)

    async def _run(self) -> None:
        while True:
            if not self._waiting and not self._closing:
                self._wake.clear()
                await self._wake.wait()
            if not self._closing and len(self._waiting) < BATCH_SPANS:
                await self._pause(GATHER_S)
            if self._waiting:
                await self._send()
            elif self._closing:
                return

    async def _pause(self, seconds: float) -> None:
        """Until there is a full batch, or an end, or the time is over."""
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _send(self) -> None:
        batch = [self._waiting[number] for number in range(min(len(self._waiting), BATCH_SPANS))]
        assert self._worker is not None
        self._busy = True
        taken = await self._worker.call(self._posted, batch)
        self._busy = False
        if taken:
            self._taken(len(batch))
        else:
            await self._failed(len(batch))

    def _posted(self, batch: Sequence[Span]) -> bool:
        try:
            return self._post(batch)
        except Exception:  # noqa: BLE001  of a library that promises nothing: traces must not end the process
            _log.debug("spans could not be sent", exc_info=True)
            return False

    def _taken(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()
        self.sent += count
        if self._failing_since is not None:
            lost = self.dropped - self._lost_before
            _log.warning("traces reach %s again; %d spans were lost", self._place, lost)
            self._failing_since = None

    async def _failed(self, count: int) -> None:
        """The batch stays first in line, and the line may fill up behind it."""
        now = self._runtime.now()
        if self._failing_since is None:
            self._failing_since, self._lost_before = now, self.dropped
            _log.warning(
                "traces do not reach %s; it is tried on, and at most %d spans wait here", self._place, self._most
            )
        failing_s = now - self._failing_since
        if failing_s >= KEEP_TRYING_S:
            for _ in range(count):
                self._waiting.popleft()
            self.dropped += count
        if not self._closing:
            await self._runtime.sleep(min(max(RETRY_S, failing_s / 2), SLOWEST_RETRY_S))

"""The lines that wait for one link, and how they leave.

`put` never waits and never switches tasks: it is called in the path of a commit. All lines of one round of the event
loop leave in one frame, written at its end; only while the peer is slow, a task waits with them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from plugmesh.hub.transport import Transport
from plugmesh.hub.wire import FRAME_BYTES

ACK_DELAY_S = 0.002
"""Nobody waits for an acknowledgement to go on: most ride with the next dispatch instead of costing a frame."""


class Outbox:
    """A bounded queue of lines. `overflow` is called when more than `limit_bytes` wait: the peer reads too slowly."""

    def __init__(self, transport: Transport, limit_bytes: int, overflow: Callable[[], None]) -> None:
        self._transport = transport
        self._limit_bytes = limit_bytes
        self._overflow = overflow
        self._lines: deque[bytes] = deque()
        self._acks: list[int] = []
        self._acks_due: asyncio.TimerHandle | None = None
        self._waiting_bytes = 0
        self._slow: asyncio.Future[None] | None = None
        self._flush_due = False
        self._shut = False

    @property
    def waiting_bytes(self) -> int:
        """Bytes that no `send` has taken yet."""
        return self._waiting_bytes

    def put(self, line: bytes) -> None:
        """Queue one line (with its newline)."""
        if self._shut:
            return
        self._lines.append(line)
        self._waiting_bytes += len(line)
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)
        if self._waiting_bytes > self._limit_bytes:
            self._overflow()

    def ack(self, seq: int) -> None:
        """Queue an acknowledgement: it leaves with the next frame, or in one of its own after `ACK_DELAY_S`."""
        if self._shut:
            return
        self._acks.append(seq)
        if self._acks_due is None:
            self._acks_due = asyncio.get_running_loop().call_later(ACK_DELAY_S, self._put_acks)

    def shut(self) -> None:
        """Take nothing more: the link is gone."""
        self._shut = True
        if self._acks_due is not None:
            self._acks_due.cancel()

    async def run(self) -> None:
        """Send what a slow peer made wait, for ever. Raises `LinkLost`."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._lines:
                self._slow = loop.create_future()
                await self._slow
                self._slow = None
            while self._lines:
                await self._transport.send(self._frame())

    def _flush(self) -> None:
        self._flush_due = False
        if self._shut or (self._slow is None) or self._slow.done():
            return  # `run` is at it
        while self._lines:
            frame = self._frame()
            if not self._transport.send_soon(frame):
                self._lines.appendleft(frame)
                self._waiting_bytes += len(frame)
                self._slow.set_result(None)
                return

    def _put_acks(self) -> None:
        self._acks_due = None
        if self._acks:
            acks, self._acks = self._acks, []
            self.put(b"ack %s\n" % ",".join(map(str, acks)).encode())

    def _frame(self) -> bytes:
        if self._acks_due is not None:
            self._acks_due.cancel()
            self._put_acks()
        if self._waiting_bytes <= FRAME_BYTES:
            frame = b"".join(self._lines)
            self._lines.clear()
        else:
            frame = self._part()
        self._waiting_bytes -= len(frame)
        return frame

    def _part(self) -> bytes:
        taken = [self._lines.popleft()]
        size = len(taken[0])
        while self._lines and size + len(self._lines[0]) <= FRAME_BYTES:
            taken.append(self._lines.popleft())
            size += len(taken[-1])
        return b"".join(taken)

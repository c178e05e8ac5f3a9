"""A transport in memory: two ends of one connection, for tests and for a simulated mesh."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from plugmesh.errors import LinkLost
from plugmesh.hub.transport import receive_each


class PipeEnd:
    """One end. At most `capacity` frames wait at an end; a sender waits while the other end is full."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._frames: deque[bytes | str] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self.peer: PipeEnd = self

    async def receive(self) -> bytes | str:
        while not self._frames:
            if self._ended:
                raise LinkLost("the pipe was closed")
            await self._wait()
        frame = self._frames.popleft()
        self.peer.wake()
        return frame

    async def receive_each(self, take: Callable[[bytes | str], bool]) -> None:
        await receive_each(self, take)

    def send_soon(self, frame: bytes) -> bool:
        if self._ended or self.peer.is_full:
            return False
        self.peer.accept(frame)
        return True

    async def send(self, frame: bytes | str) -> None:
        while not self._ended and self.peer.is_full:
            await self._wait()
        if self._ended:
            raise LinkLost("the pipe was closed")
        self.peer.accept(frame)

    async def close(self) -> None:
        self._ended = True
        self.peer.finish()
        self.wake()

    def cut(self) -> None:
        """Lose the connection with all that is under way in it."""
        for end in (self, self.peer):
            end.drain()
            end.finish()

    @property
    def is_full(self) -> bool:
        return len(self._frames) >= self._capacity

    def accept(self, frame: bytes | str) -> None:
        self._frames.append(frame)
        self.wake()

    def drain(self) -> None:
        self._frames.clear()

    def finish(self) -> None:
        self._ended = True
        self.wake()

    def wake(self) -> None:
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def pipe(capacity: int = 64) -> tuple[PipeEnd, PipeEnd]:
    """The two ends of a new connection."""
    left, right = PipeEnd(capacity), PipeEnd(capacity)
    left.peer, right.peer = right, left
    return left, right

"""A link spoken by hand: what a process in any other language would send and get."""

from __future__ import annotations

import asyncio
from collections import deque

from plugmesh.hub.hub import Hub
from plugmesh.hub.pipe import pipe
from plugmesh.runtime import SystemRuntime


class RawLink:
    def __init__(self, hub: Hub, capacity: int = 64) -> None:
        self.end, far = pipe(capacity)
        self.task: asyncio.Task[None] = SystemRuntime().spawn(hub.serve(far), "serve")
        self._lines: deque[str] = deque()

    async def say(self, *lines: str) -> None:
        await self.end.send("".join(line + "\n" for line in lines))

    async def hear(self) -> str:
        """The next line. Raises `LinkLost`."""
        while not self._lines:
            frame = await self.end.receive()
            text = frame if isinstance(frame, str) else frame.decode()
            self._lines.extend(text.splitlines())
        return self._lines.popleft()

    async def hello(self, name: str = "link-1") -> str:
        await self.say(f'hello {{"v":"1.0","link":"{name}"}}')
        return await self.hear()


def new_hub(kept_limit_bytes: int = 1 << 20, slow_limit_bytes: int = 1 << 20) -> Hub:
    return Hub(
        SystemRuntime(),
        mesh="m-1",
        objects="file:///objects",
        kept_limit_bytes=kept_limit_bytes,
        slow_limit_bytes=slow_limit_bytes,
    )

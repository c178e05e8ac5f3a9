"""Hubs to run the suites against: links over pipes in memory, and over WebSockets on a real port."""

from __future__ import annotations

import asyncio
from functools import partial

from websockets.asyncio.server import Server, ServerConnection, serve

from plugmesh.hub.hub import Hub
from plugmesh.hub.link import HubLink
from plugmesh.hub.pipe import PipeEnd, pipe
from plugmesh.hub.transport import Transport
from plugmesh.hub.websocket import dial, take_over
from plugmesh.hub.wire import FRAME_LIMIT_BYTES
from plugmesh.runtime import SystemRuntime


def new_hub(runtime: SystemRuntime) -> Hub:
    return Hub(runtime, mesh="test", objects="file:///nowhere")


class PipeServer:
    """A hub that is reached over pipes. Its links are closed with it."""

    def __init__(self) -> None:
        self.runtime = SystemRuntime()
        self.hub = new_hub(self.runtime)
        self._ends: list[PipeEnd] = []
        self._links: list[HubLink] = []

    async def link(self) -> HubLink:
        link = HubLink(self.dial, self.runtime)
        link.start()
        await link.up()
        self._links.append(link)
        return link

    async def dial(self) -> Transport:
        near, far = pipe()
        self._ends.append(near)
        self.runtime.spawn(self.hub.serve(far), "serve")
        return near

    async def interrupt(self) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            end.cut()

    async def restart(self) -> None:
        await self.hub.close()
        self.hub = new_hub(self.runtime)
        await self.interrupt()

    async def close(self) -> None:
        for link in self._links:
            await link.close()
        await self.hub.close()
        await self.interrupt()


class WebSocketServer:
    """A hub behind a WebSocket server on a port that stays the same through restarts."""

    def __init__(self) -> None:
        self.runtime = SystemRuntime()
        self.hub = new_hub(self.runtime)
        self.port = 0
        self._server: Server | None = None
        self._links: list[HubLink] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, compression=None, max_size=FRAME_LIMIT_BYTES, close_timeout=1
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def link(self) -> HubLink:
        link = HubLink(partial(dial, self.url), self.runtime)
        link.start()
        await link.up()
        self._links.append(link)
        return link

    async def interrupt(self) -> None:
        assert self._server is not None
        for connection in tuple(self._server.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    async def restart(self) -> None:
        await self.stop()
        self.hub = new_hub(self.runtime)
        await self.start()

    async def stop(self) -> None:
        assert self._server is not None
        await self.hub.close()
        self._server.close()
        await self._server.wait_closed()

    async def close(self) -> None:
        for link in self._links:
            await link.close()
        await self.stop()

    async def _serve(self, connection: ServerConnection) -> None:
        await self.hub.serve(take_over(connection, is_client=False))

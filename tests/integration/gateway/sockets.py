"""A gateway on a real port, and sockets to it without any HTTP library in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.server import serve
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def served(house: House, settings: Settings) -> AsyncIterator[int]:
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = serve(house.app, "127.0.0.1", 0, house.runtime, stop=stop, on_started=port.set_result, settings=settings)
    task = asyncio.ensure_future(serving)
    yield await port
    await house.hub.close()
    stop.set()
    await task


@asynccontextmanager
async def raw(port: int, data: bytes = b"") -> AsyncIterator[Ends]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    yield reader, writer
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()

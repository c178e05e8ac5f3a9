"""Clients that are slow, silent or too many, on real sockets: they end, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from plugmesh.join import join
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House
from tests.integration.gateway.sockets import raw, served
from tests.waiting import wait_until


async def health(port: int) -> int:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        return (await client.get("/healthz")).status_code


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HT",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
async def test_a_request_that_never_becomes_whole_ends(house: House, data: bytes) -> None:
    settings = Settings(head_timeout_s=0.2, body_silent_s=0.2)
    async with served(house, settings) as port, raw(port, data) as (reader, _):
        answer = await reader.read()  # until the gateway closes
        assert answer.startswith(b"HTTP/1.1 408 ") == (data != b"")
        if data:
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "request-timeout"
        assert await health(port) == 200


async def test_a_body_that_drips_is_too_slow(house: House) -> None:
    settings = Settings(body_rate_over_s=0.2, body_rate_bytes=10**9)
    head = b"PUT /api/v1/files/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n"
    async with served(house, settings) as port, raw(port, head) as (reader, writer):

        async def drip() -> None:
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.005)

        dripping = asyncio.ensure_future(drip())
        with suppress(ConnectionError):
            assert b"came too slowly" in await reader.read()
        dripping.cancel()
    assert list(house.objects.list("files/")) == []


async def test_a_thousand_idle_connections_stop_nobody(house: House) -> None:
    settings = Settings(connections=1000, head_timeout_s=60)
    async with served(house, settings) as port, AsyncExitStack() as idle:
        ends = [await idle.enter_async_context(raw(port)) for _ in range(1000)]
        assert await health(port) == 200
        assert not ends[-1][0].at_eof()


async def test_where_all_connections_are_at_work_one_more_is_told_so_and_modules_still_join(house: House) -> None:
    settings = Settings(connections=3, connections_for_modules=2)
    head = b"PUT /api/v1/files/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1234"
    async with served(house, settings) as port, AsyncExitStack() as busy:
        ends = [await busy.enter_async_context(raw(port, head + b"x")) for _ in range(3)]
        temporary = house.folder / "objects" / "tmp"
        async with asyncio.timeout(30):
            while len(list(temporary.glob("*"))) < 3:
                await asyncio.sleep(0.01)
        assert await health(port) == 503
        joined = [await join(f"http://127.0.0.1:{port}", house.runtime, timeout_s=30) for _ in range(2)]
        with pytest.raises(InvalidStatus) as caught:
            async with connect(f"ws://127.0.0.1:{port}/api/v1/mesh", compression=None):
                pass
        assert caught.value.response.status_code == 503
        for _, writer in ends:
            writer.write(b"6789")
        for reader, _ in ends:
            assert (await reader.readline()).startswith(b"HTTP/1.1 201")
        assert await health(port) == 200
        for one in joined:
            await one.close()


async def test_a_reader_that_takes_nothing_of_its_answer_is_cut_off(house: House) -> None:
    size = 32 * 2**20
    async with served(house, Settings(stall_s=0.3)) as port:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            assert (await client.put("/api/v1/files/large", content=bytes(size))).status_code == 201
        async with raw(port, b"GET /api/v1/files/large HTTP/1.1\r\nHost: localhost\r\n\r\n") as (reader, _):
            await reader.readuntil(b"\r\n\r\n")  # and nothing more, until the server has had enough
            await wait_until(lambda: not answering(), 30)
            came = 0
            with suppress(ConnectionError):
                while piece := await reader.read(2**20):
                    came += len(piece)
        assert came < size
        assert await health(port) == 200


def answering() -> bool:
    """The server is at an answer."""
    return any("run_asgi" in repr(task.get_coro()) for task in asyncio.all_tasks())

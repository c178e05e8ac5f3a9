"""The gateway on a real port: links, streams, uploads and stopping."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pyarrow as pa
import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.server import bind, serve
from plugmesh.contracts.instance import Registration
from plugmesh.errors import ConfigurationError
from plugmesh.join import join
from tests.integration.gateway.house import House, contract_of
from tests.waiting import wait_until, wait_until_sync

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Served:
    """A house whose app is served."""

    house: House
    port: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, timeout=60)


@pytest.fixture
async def served(house: House) -> AsyncIterator[Served]:
    served = Served(house)
    started = asyncio.Event()

    def on_started(port: int) -> None:
        served.port = port
        started.set()

    task = asyncio.ensure_future(
        serve(
            house.app,
            "127.0.0.1",
            0,
            house.runtime,
            stop=served.stop,
            on_started=on_started,
            close_streams=house.gateway.close_streams,
        )
    )
    await started.wait()
    yield served
    await house.hub.close()
    served.stop.set()
    await task


async def test_an_instance_joins_over_the_gateways_port(served: Served) -> None:
    joined = await join(served.url, served.house.runtime)
    try:
        assert joined.objects_url == served.house.objects_url
        await joined.discovery.register(Registration(instance="i-9", host="there", partition=1, offers=()))
        await wait_until(lambda: "i-9" in served.house.registry.members())
        assert served.house.hub.links == 1
    finally:
        await joined.close()
    await wait_until(lambda: served.house.hub.links == 0)
    await wait_until(lambda: served.house.registry.members()["i-9"].connected is False)


async def test_a_page_from_elsewhere_cannot_join(served: Served) -> None:
    address = f"ws://127.0.0.1:{served.port}/api/v1/mesh"
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        with pytest.raises(InvalidStatus) as caught:
            async with connect(address, additional_headers=headers, compression=None):
                pass
        assert caught.value.response.status_code == 403
    assert served.house.hub.links == 0


async def test_no_compression_is_agreed_on(served: Served) -> None:
    async with connect(f"ws://127.0.0.1:{served.port}/api/v1/mesh") as socket:
        assert isinstance(socket, websockets.ClientConnection)
        assert socket.protocol.extensions == []


async def test_events_come_over_the_wire_as_they_happen(served: Served) -> None:
    run = await served.house.submit()
    async with (
        served.client() as client,
        client.stream("GET", f"/api/v1/runs/{run}/events") as answer,
    ):
        lines = answer.aiter_lines()
        await served.house.intake.advance(run, "running")
        assert await anext(lines) == "id: 1"
        assert await anext(lines) == "event: change"
        assert json.loads((await anext(lines)).removeprefix("data: "))["seq"] == 1
        await served.house.intake.advance(run, "succeeded")
        rest = [line async for line in lines]
    assert "event: end" in rest


async def test_a_reader_of_events_that_leaves_is_forgotten(served: Served) -> None:
    run = await served.house.submit()
    await served.house.intake.advance(run, "running")
    async with served.client() as client, client.stream("GET", f"/api/v1/runs/{run}/events") as answer:
        await anext(answer.aiter_lines())
        assert len(served.house.gateway.waiting) == 1
    await wait_until(lambda: len(served.house.gateway.waiting) == 0)


async def test_stopping_answers_those_who_wait_and_ends_streams(served: Served) -> None:
    run = await served.house.submit()
    async with served.client() as client:
        waiting = asyncio.ensure_future(client.get(f"/api/v1/runs/{run}?wait_s=60"))
        following = asyncio.ensure_future(client.get(f"/api/v1/runs/{run}/events"))
        await wait_until(lambda: len(served.house.gateway.waiting) == 2)
        served.stop.set()
        assert (await waiting).json()["state"] == "queued"
        assert (await following).status_code == 200


async def test_an_upload_whose_client_dies_leaves_nothing(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(
        b"PUT /api/v1/files/half HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 3_000_000
    )
    await writer.drain()
    temporary = served.house.folder / "objects" / "tmp"
    await wait_until(lambda: list(temporary.iterdir()), message="the upload has begun")
    writer.transport.abort()
    await wait_until(lambda: not list(temporary.iterdir()), message="nothing is left of it")
    assert list(served.house.objects.list("files/")) == []
    del reader


async def test_a_large_upload_and_download_arrive_whole(served: Served) -> None:
    data = bytes(range(256)) * 40_000
    async with served.client() as client:
        assert (await client.put("/api/v1/files/big.bin", content=data)).status_code == 201
        assert (await client.get("/api/v1/files/big.bin")).content == data


async def test_a_client_that_sends_no_body_and_waits_is_answered(served: Served) -> None:
    async with served.client() as client:
        for _ in range(3):  # on one kept connection
            assert (await client.get("/healthz")).status_code == 200


async def test_a_port_in_use_says_what_to_do(served: Served) -> None:
    with pytest.raises(ConfigurationError, match=f"port {served.port} .* in use.*--port"):
        bind("127.0.0.1", served.port)


def test_an_address_that_is_not_ours_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="--host") as refused:
        bind("192.0.2.1", 0)
    assert refused.value.code == "configuration"


async def test_the_default_is_this_machine_only(served: Served, free_port: Callable[[], int]) -> None:
    listener = bind("127.0.0.1", free_port())
    assert listener.family == socket.AF_INET
    assert listener.getsockname()[0] == "127.0.0.1"
    listener.close()


async def test_a_served_module_shows_up(served: Served) -> None:
    await served.house.plug_in(contract_of())
    async with served.client() as client:
        assert (await client.get("/api/v1/modules")).json()["modules"][0]["live"] == 1


async def test_a_download_whose_reader_dies_is_cut_off_so_that_the_client_knows(served: Served) -> None:
    table = pa.table({"text": ["x" * 10_000] * 3000})
    run = await served.house.finished(served.house.put_table("runs/t/1", table))
    async with served.client() as client:
        async with client.stream("GET", f"/api/v1/runs/{run}/steps/only/outputs/out/download") as answer:
            pieces = answer.aiter_raw(1024)
            await anext(pieces)
            for child in tuple(served.house.gateway.reader._children):
                os.kill(child.pid, signal.SIGKILL)
            with pytest.raises(httpx2.RemoteProtocolError):
                [piece async for piece in pieces]
        assert (await client.get("/healthz")).status_code == 200


def test_a_reader_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, time\n"
        "from gateway.reader.pool import Reader\nfrom plugmesh.settings.settings import Settings\n"
        "from plugmesh.runtime import SystemRuntime\n"
        "async def main():\n"
        f"    reader = Reader(SystemRuntime(), 'file://{tmp_path}', Settings())\n"
        "    child = await reader._child()\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until_sync(lambda: gone(child), message="the reader process has ended")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("head", [b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 500_000, b"GET /" + b"a" * 2_000_000])
async def test_a_head_without_end_is_cut_off(served: Served, head: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    with contextlib.suppress(ConnectionError):
        writer.write(head)
        await writer.drain()
        assert (await reader.read(65536)).startswith(b"HTTP/1.1 400")
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()
    async with served.client() as client:
        assert (await client.get("/healthz", headers={"x": "y" * 30_000})).status_code == 200

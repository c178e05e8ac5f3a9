"""A hub behind a real ASGI server, a process's links over real sockets, contracts in a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from gateway.links import LinkProtocol, taken_over
from plugmesh.bus.embedded import HubBus
from plugmesh.conformance.bus import Inbox
from plugmesh.conformance.waiting import wait_until
from plugmesh.contracts.instance import Offer, Registration
from plugmesh.contracts.module import ModuleContract, contract_key
from plugmesh.hub.hub import Hub
from plugmesh.join import join
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from registry.liveness import Liveness
from registry.registry import Registry
from tests.empty_book import EmptyBook


class Server:
    """One boot of a hub at a port."""

    def __init__(self, port: int) -> None:
        self.hub = Hub(SystemRuntime(), mesh="m", objects="file:///objects")
        app = Starlette(routes=[WebSocketRoute("/api/v1/mesh", self._endpoint)])
        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, ws=LinkProtocol, ws_per_message_deflate=False,
            lifespan="off", log_config=None,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.ensure_future(self._server.serve())
        await wait_until(lambda: self._server.started)

    async def stop(self) -> None:
        await self.hub.close()
        self._server.should_exit = True
        assert self._task is not None
        await self._task

    async def _endpoint(self, socket: WebSocket) -> None:
        await socket.accept()
        await self.hub.serve(taken_over(socket))


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    return free_port()


async def test_a_module_joins_gets_work_and_its_result_outlives_a_restart_of_the_server(
    port: int, tmp_path: Path
) -> None:
    server, runtime, store = Server(port), SystemRuntime(), LocalStore(tmp_path)
    await server.start()
    registry = Registry(runtime, server.hub.directory, store, HubBus(server.hub), EmptyBook())
    await registry.start()

    joined = await join(f"http://127.0.0.1:{port}", runtime)
    dispatched = Inbox()
    joined.bus.subscribe("dispatch", [7], dispatched)
    await joined.discovery.register(_registration(store))
    await wait_until(lambda: registry.live_versions("a.b") == ("1.0.0",))

    await HubBus(server.hub).publish("dispatch", 7, b'{"type": "assign"}')
    await wait_until(lambda: dispatched.messages == [b'{"type": "assign"}'])
    result = asyncio.ensure_future(joined.bus.publish("results", 3, b'{"type": "done"}'))
    await joined.bus.end("results", 3)

    await registry.stop()
    await server.stop()
    assert not result.done()
    again, results = Server(port), Inbox()
    HubBus(again.hub).subscribe("results", range(32), results, f"{server.hub.boot}:1")
    await again.start()
    await result
    assert results.distinct == [b'{"type": "done"}']

    registry = Registry(runtime, again.hub.directory, store, HubBus(again.hub), EmptyBook())
    await registry.start()
    await wait_until(lambda: registry.live_versions("a.b"))
    await joined.close()
    await wait_until(lambda: registry.members()["i-1"].liveness is Liveness.SUSPECT)
    await registry.stop()
    await again.stop()


def _registration(store: LocalStore) -> Registration:
    contract = ModuleContract(name="a.b", version="1.0.0")
    writer = store.create(contract_key(contract.digest))
    writer.write(contract.encode())
    writer.commit()
    offer = Offer(name="a.b", version="1.0.0", digest=contract.digest)
    return Registration(instance="i-1", host="h", partition=7, offers=(offer,))

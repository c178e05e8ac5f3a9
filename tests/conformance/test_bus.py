"""The bus suite over the embedded drivers: beside the hub, over links in memory, over WebSockets, and mixed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from plugmesh.bus.embedded import HubBus, LinkBus
from plugmesh.bus.port import Bus
from plugmesh.conformance.bus import BusConformance, BusMesh
from plugmesh.runtime import SystemRuntime
from tests.conformance.hub_servers import PipeServer, WebSocketServer, new_hub


class HubMesh:
    """Every process is the hub's own: it cannot lose its hub without ending itself."""

    log_keeps = False

    def __init__(self) -> None:
        self.hub = new_hub(SystemRuntime())

    async def open(self) -> Bus:
        return HubBus(self.hub)

    async def interrupt(self) -> None:
        return None

    async def restart(self) -> None:
        return None


class LinkMesh:
    """Every process has a link to the hub."""

    log_keeps = False

    def __init__(self, server: PipeServer | WebSocketServer) -> None:
        self.server = server

    async def open(self) -> Bus:
        return LinkBus(await self.server.link())

    async def interrupt(self) -> None:
        await self.server.interrupt()

    async def restart(self) -> None:
        await self.server.restart()


class MixedMesh(LinkMesh):
    """Every other process lives beside the hub, as the scheduler of a single machine does."""

    opened = 0

    async def open(self) -> Bus:
        self.opened += 1
        return HubBus(self.server.hub) if self.opened % 2 else await super().open()

    async def restart(self) -> None:
        await self.interrupt()


class TestHubBus(BusConformance):
    @pytest.fixture
    async def mesh(self) -> BusMesh:
        return HubMesh()


class TestLinkBusOverPipes(BusConformance):
    @pytest.fixture
    async def mesh(self) -> AsyncIterator[BusMesh]:
        server = PipeServer()
        yield LinkMesh(server)
        await server.close()


class TestLinkBusOverWebSockets(BusConformance):
    @pytest.fixture
    async def mesh(self) -> AsyncIterator[BusMesh]:
        server = WebSocketServer()
        await server.start()
        yield LinkMesh(server)
        await server.close()


class TestHubBusWithLinkBus(BusConformance):
    @pytest.fixture
    async def mesh(self) -> AsyncIterator[BusMesh]:
        server = WebSocketServer()
        await server.start()
        yield MixedMesh(server)
        await server.close()

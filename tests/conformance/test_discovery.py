"""The discovery suite over the embedded drivers: beside the hub, over links in memory, and over WebSockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from plugmesh.conformance.discovery import DiscoveryConformance, DiscoveryMesh
from plugmesh.discovery.embedded import LinkDiscovery
from plugmesh.discovery.port import Discovery
from plugmesh.hub.link import HubLink
from plugmesh.runtime import SystemRuntime
from tests.conformance.hub_servers import PipeServer, WebSocketServer, new_hub


class DirectoryMesh:
    """Every process is the hub's own."""

    connections = False

    def __init__(self) -> None:
        self.hub = new_hub(SystemRuntime())

    async def open(self) -> Discovery:
        return self.hub.directory

    async def vanish(self, discovery: Discovery) -> None:
        return None

    async def interrupt(self) -> None:
        return None

    async def restart(self) -> None:
        return None


class LinkMesh:
    """Every process has a link to the hub."""

    connections = True

    def __init__(self, server: PipeServer | WebSocketServer) -> None:
        self.server = server
        self.links: dict[Discovery, HubLink] = {}

    async def open(self) -> Discovery:
        link = await self.server.link()
        discovery = LinkDiscovery(link, self.server.runtime)
        self.links[discovery] = link
        return discovery

    async def vanish(self, discovery: Discovery) -> None:
        await self.links[discovery].close()

    async def interrupt(self) -> None:
        await self.server.interrupt()

    async def restart(self) -> None:
        await self.server.restart()


class TestDirectory(DiscoveryConformance):
    @pytest.fixture
    async def mesh(self) -> DiscoveryMesh:
        return DirectoryMesh()


class TestLinkDiscoveryOverPipes(DiscoveryConformance):
    @pytest.fixture
    async def mesh(self) -> AsyncIterator[DiscoveryMesh]:
        server = PipeServer()
        yield LinkMesh(server)
        await server.close()


class TestLinkDiscoveryOverWebSockets(DiscoveryConformance):
    @pytest.fixture
    async def mesh(self) -> AsyncIterator[DiscoveryMesh]:
        server = WebSocketServer()
        await server.start()
        yield LinkMesh(server)
        await server.close()

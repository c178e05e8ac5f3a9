"""The discovery suite over a real Consul, behind a proxy that can break connections and lead to an empty server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest

from plugmesh.conformance.discovery import DiscoveryConformance, DiscoveryMesh
from plugmesh.discovery.consul.discovery import ConsulDiscovery
from plugmesh.discovery.open import open_discovery
from plugmesh.discovery.port import Discovery
from plugmesh.runtime import SystemRuntime
from tests.faults.proxy import FaultProxy
from tests.servers import OwnServer


class ConsulMesh:
    """Every process asks the agent at the proxy's address."""

    connections = False

    def __init__(self, url: str, proxy: FaultProxy, own_server: Callable[[str], OwnServer]) -> None:
        self._url, self._proxy, self._own_server = url, proxy, own_server
        self.opened: list[ConsulDiscovery] = []

    async def open(self) -> Discovery:
        discovery = open_discovery(self._url, SystemRuntime())
        assert isinstance(discovery, ConsulDiscovery)
        self.opened.append(discovery)
        return discovery

    async def vanish(self, discovery: Discovery) -> None:
        assert isinstance(discovery, ConsulDiscovery)
        await discovery.close()

    async def interrupt(self) -> None:
        self._proxy.cut()

    async def restart(self) -> None:
        """At the same address there is a Consul that knows nobody."""
        self._proxy.target = ("127.0.0.1", self._own_server("consul").port)
        self._proxy.cut()


class TestConsulDiscovery(DiscoveryConformance):
    @pytest.fixture
    async def mesh(self, consul_url: str, own_server: Callable[[str], OwnServer]) -> AsyncIterator[DiscoveryMesh]:
        server = urlsplit(consul_url)
        assert server.hostname is not None
        assert server.port is not None
        proxy = FaultProxy((server.hostname, server.port))
        mesh = ConsulMesh(f"consul://127.0.0.1:{proxy.port}{server.path}", proxy, own_server)
        yield mesh
        for discovery in mesh.opened:
            await discovery.close()
        proxy.close()

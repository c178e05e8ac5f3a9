"""A Consul behind a proxy, and processes that register there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from plugmesh.conformance.discovery import Book
from plugmesh.discovery.consul.discovery import ConsulDiscovery
from plugmesh.runtime import SystemRuntime
from tests.faults.proxy import FaultProxy
from tests.servers import OwnServer


class Site:
    """One mesh in one Consul. `url` leads through the proxy."""

    def __init__(self, url: str) -> None:
        server = urlsplit(url)
        assert server.hostname is not None
        assert server.port is not None
        self.mesh = server.path.strip("/")
        self.proxy = FaultProxy((server.hostname, server.port))
        self._opened: list[ConsulDiscovery] = []
        self._direct = ConsulDiscovery(url, SystemRuntime())

    @property
    def url(self) -> str:
        return f"consul://127.0.0.1:{self.proxy.port}/{self.mesh}"

    @property
    def consul(self) -> Any:
        """A client of py-consul, past the proxy: what another tool sees."""
        return self._direct._writer._client

    def open(self, url: str = "") -> ConsulDiscovery:
        """The access of one more process."""
        discovery = ConsulDiscovery(url or self.url, SystemRuntime())
        self._opened.append(discovery)
        return discovery

    def watch(self) -> Book:
        """A process that watches and does nothing else."""
        book = Book()
        self.open().watch(book)
        return book

    async def close(self) -> None:
        for discovery in self._opened:
            await discovery.close()
        self.proxy.close()


@pytest.fixture
async def site(consul_url: str) -> AsyncIterator[Site]:
    site = Site(consul_url)
    yield site
    await site.close()


@pytest.fixture
async def own_site(own_server: Callable[[str], OwnServer]) -> AsyncIterator[tuple[Site, OwnServer]]:
    """A site on a server that the test may end."""
    server = own_server("consul")
    site = Site(f"consul://127.0.0.1:{server.port}/own")
    yield site, server
    await site.close()

"""How a process joins a mesh: it knows one address, and the mesh tells it the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from plugmesh.bus.open import open_bus
from plugmesh.bus.port import Bus
from plugmesh.discovery.open import open_discovery
from plugmesh.discovery.port import Discovery
from plugmesh.errors import NotReachable
from plugmesh.hub.link import HubLink
from plugmesh.hub.transport import Transport
from plugmesh.hub.websocket import dial, link_url
from plugmesh.hub.wire import Welcome
from plugmesh.runtime import Runtime

DEFAULT_URL = "http://127.0.0.1:8720"


@dataclass(frozen=True, slots=True)
class Joined:
    """A process's place in a mesh. The link behind it reconnects by itself until `close`."""

    mesh: str
    objects_url: str
    bus: Bus
    discovery: Discovery
    link: HubLink

    async def close(self) -> None:
        """Leave: end the subscriptions and the link."""
        await self.bus.close()
        await self.link.close()


async def join(
    url: str,
    runtime: Runtime,
    *,
    timeout_s: float | None = None,
    token: Callable[[], str] = str,
    connect: Callable[[], Awaitable[Transport]] | None = None,
) -> Joined:
    """Join the mesh at `url` (`http://host:port`); waits until it answers, at most `timeout_s` seconds.

    `token` is asked for the join token before each connection (empty: none). `connect` replaces the WebSocket
    connection (a simulated mesh). Raises `ConfigurationError` for another URL, `ProtocolMismatch` when the mesh speaks
    a newer major version, `Unauthorized` when it refuses the token, `NotReachable` when the time is up.
    """
    link_url(url)
    link = HubLink(connect or partial(dial, url, token), runtime)
    link.start()
    try:
        welcome = await _welcome(link, url, timeout_s)
        bus = open_bus(welcome.bus, runtime, link=link)
        discovery = open_discovery(welcome.discovery, runtime, link=link)
    except BaseException:
        await link.close()
        raise
    return Joined(welcome.mesh, welcome.objects, bus, discovery, link)


async def _welcome(link: HubLink, url: str, timeout_s: float | None) -> Welcome:
    try:
        async with asyncio.timeout(timeout_s):
            return await link.up()
    except TimeoutError as error:
        raise NotReachable(str(link.last_error or f"no mesh answers at {url} within {timeout_s:g} s")) from error

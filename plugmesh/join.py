"""How a process joins a mesh: it knows one address, and the mesh tells it the rest; or it knows where bus, discovery and
objects are, and needs no gateway."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from plugmesh.bus.open import open_bus
from plugmesh.bus.port import Bus
from plugmesh.discovery.open import open_discovery
from plugmesh.discovery.port import Discovery
from plugmesh.errors import ConfigurationError, NotReachable
from plugmesh.hub.link import HubLink
from plugmesh.hub.transport import Transport
from plugmesh.hub.websocket import dial, link_url
from plugmesh.hub.wire import Welcome
from plugmesh.objects.reach import reachable_objects
from plugmesh.runtime import Runtime
from plugmesh.urls import completed, hidden

DEFAULT_URL = "http://127.0.0.1:8720"


EMBEDDED = "embedded://"
"""The URL of a bus or discovery that lives in the gateway."""
BUS_VARIABLE, DISCOVERY_VARIABLE, OBJECTS_VARIABLE = "PLUGMESH_BUS", "PLUGMESH_DISCOVERY", "PLUGMESH_OBJECTS"


@dataclass(frozen=True, slots=True)
class Backends:
    """URLs of bus, discovery and objects, as settings have them: they may hold secrets. Empty: the gateway tells."""

    bus: str = field(default="", repr=False)
    discovery: str = field(default="", repr=False)
    objects: str = field(default="", repr=False)

    @classmethod
    def taken(cls, environment: Mapping[str, str]) -> Backends:
        """Those of the variables `PLUGMESH_BUS`, `PLUGMESH_DISCOVERY` and `PLUGMESH_OBJECTS`."""
        return cls(*(environment.get(name, "") for name in (BUS_VARIABLE, DISCOVERY_VARIABLE, OBJECTS_VARIABLE)))

    @property
    def apart(self) -> bool:
        """Bus and discovery are services of their own, so that there is no hub. Raises `ConfigurationError` for half of
        it, with which modules would register that no message can reach, or that nobody sees."""
        bus, discovery = (url not in ("", EMBEDDED) for url in (self.bus, self.discovery))
        if bus != discovery:
            raise ConfigurationError(
                f"bus is {hidden(self.bus or EMBEDDED)} and discovery is {hidden(self.discovery or EMBEDDED)}: both are services "
                f"of their own, or both are {EMBEDDED}; set {BUS_VARIABLE} and {DISCOVERY_VARIABLE} both, or neither"
            )
        return bus

    def completed(self, environment: Mapping[str, str] = os.environ) -> Backends:
        """With their variables and password files put in. Raises `ConfigurationError`."""
        return Backends(*(completed(url, environment) for url in (self.bus, self.discovery, self.objects)))


@dataclass(frozen=True, slots=True)
class Joined:
    """A process's place in a mesh. Behind it is a `link` that reconnects by itself until `close`, or none: then bus and
    discovery are services of their own."""

    mesh: str
    objects_url: str
    bus: Bus
    discovery: Discovery
    link: HubLink | None

    async def close(self) -> None:
        """Leave: end the subscriptions and the link."""
        await self.discovery.close()
        await self.bus.close()
        if self.link is not None:
            await self.link.close()


async def join(
    url: str,
    runtime: Runtime,
    *,
    timeout_s: float | None = None,
    token: Callable[[], str] = str,
    connect: Callable[[], Awaitable[Transport]] | None = None,
    backends: Backends = Backends(),
) -> Joined:
    """Join the mesh at `url` (`http://host:port`); waits until it answers, at most `timeout_s` seconds.

    With `backends` that are services of their own nobody is asked: `url` and `timeout_s` mean nothing then, and drivers wait
    for what they cannot reach. Objects that are given go before those that the gateway tells.

    `token` is asked for the join token before each connection (empty: none). `connect` replaces the WebSocket
    connection (a simulated mesh). Raises `ConfigurationError` for another URL, `ProtocolMismatch` when the mesh speaks
    a newer major version, `Unauthorized` when it refuses the token, `NotReachable` when the time is up.
    """
    if backends.apart:
        return _joined_apart(backends.completed(), runtime)
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
    told = backends.completed().objects
    objects = told or await runtime.run_sync(reachable_objects, welcome.objects, welcome.objects_marker, url)
    return Joined(welcome.mesh, objects, bus, discovery, link)


def _joined_apart(backends: Backends, runtime: Runtime) -> Joined:
    if not backends.objects:
        raise ConfigurationError(
            f"bus and discovery are given without the objects: set {OBJECTS_VARIABLE} as well, to what the gateways have"
        )
    return Joined(
        "", backends.objects, open_bus(backends.bus, runtime), open_discovery(backends.discovery, runtime), None
    )


async def _welcome(link: HubLink, url: str, timeout_s: float | None) -> Welcome:
    try:
        async with asyncio.timeout(timeout_s):
            return await link.up()
    except TimeoutError as error:
        raise NotReachable(str(link.last_error or f"no mesh answers at {url} within {timeout_s:g} s")) from error

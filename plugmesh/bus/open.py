"""From a URL to a bus driver.

Drivers of other packages are entry points of the group `plugmesh.bus`, named by their URL scheme: a callable that
takes the URL and the runtime and returns a `Bus`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from plugmesh.bus.embedded import HubBus, LinkBus
from plugmesh.bus.port import Bus
from plugmesh.drivers import driver_of
from plugmesh.errors import ConfigurationError
from plugmesh.hub.hub import Hub
from plugmesh.hub.link import HubLink
from plugmesh.runtime import Runtime
from plugmesh.urls import hidden

EMBEDDED = "embedded"
DRIVERS = {"kafka": "plugmesh.bus.kafka.bus:KafkaBus"}


def open_bus(url: str, runtime: Runtime, *, hub: Hub | None = None, link: HubLink | None = None) -> Bus:
    """The driver for `url`. `embedded://` needs the `hub` (in its own process) or a `link` to it.

    Raises `ConfigurationError`.
    """
    if urlsplit(url).scheme != EMBEDDED:
        bus: Bus = driver_of("bus", url, DRIVERS, besides=[EMBEDDED])(url, runtime)
        return bus
    if hub is not None:
        return HubBus(hub)
    if link is not None:
        return LinkBus(link)
    raise ConfigurationError(f"the bus {hidden(url)!r} lives in a gateway: join the mesh by its http address instead")

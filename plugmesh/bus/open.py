"""From a URL to a bus driver.

Drivers of other packages are entry points of the group `plugmesh.bus`, named by their URL scheme: a callable that
takes the URL and the runtime and returns a `Bus`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from urllib.parse import urlsplit

from plugmesh.bus.embedded import HubBus, LinkBus
from plugmesh.bus.port import Bus
from plugmesh.errors import ConfigurationError
from plugmesh.hub.hub import Hub
from plugmesh.hub.link import HubLink
from plugmesh.runtime import Runtime

GROUP = "plugmesh.bus"


def open_bus(url: str, runtime: Runtime, *, hub: Hub | None = None, link: HubLink | None = None) -> Bus:
    """The driver for `url`. `embedded://` needs the `hub` (in its own process) or a `link` to it.

    Raises `ConfigurationError`.
    """
    scheme = urlsplit(url).scheme
    if scheme == "embedded":
        if hub is not None:
            return HubBus(hub)
        if link is not None:
            return LinkBus(link)
        raise ConfigurationError(f"the bus {url!r} lives in a gateway: join the mesh by its http address instead")
    drivers = {driver.name: driver for driver in entry_points(group=GROUP)}
    if scheme not in drivers:
        known = ", ".join(sorted({"embedded", *drivers}))
        raise ConfigurationError(f"no bus driver for {url!r}: known schemes are {known}")
    bus: Bus = drivers[scheme].load()(url, runtime)
    return bus

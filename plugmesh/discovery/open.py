"""From a URL to a discovery driver.

Drivers of other packages are entry points of the group `plugmesh.discovery`, named by their URL scheme: a callable
that takes the URL and the runtime and returns a `Discovery`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from plugmesh.discovery.embedded import LinkDiscovery
from plugmesh.discovery.port import Discovery
from plugmesh.drivers import driver_of
from plugmesh.errors import ConfigurationError
from plugmesh.hub.hub import Hub
from plugmesh.hub.link import HubLink
from plugmesh.runtime import Runtime
from plugmesh.urls import hidden

EMBEDDED = "embedded"
DRIVERS = {"consul": "plugmesh.discovery.consul.discovery:ConsulDiscovery"}


def open_discovery(url: str, runtime: Runtime, *, hub: Hub | None = None, link: HubLink | None = None) -> Discovery:
    """The driver for `url`. `embedded://` needs the `hub` (in its own process) or a `link` to it.

    Raises `ConfigurationError`.
    """
    if urlsplit(url).scheme != EMBEDDED:
        discovery: Discovery = driver_of("discovery", url, DRIVERS, besides=[EMBEDDED])(url, runtime)
        return discovery
    if hub is not None:
        return hub.directory
    if link is not None:
        return LinkDiscovery(link, runtime)
    raise ConfigurationError(
        f"the discovery {hidden(url)!r} lives in a gateway: join the mesh by its http address instead"
    )

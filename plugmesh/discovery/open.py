"""From a URL to a discovery driver.

Drivers of other packages are entry points of the group `plugmesh.discovery`, named by their URL scheme: a callable
that takes the URL and the runtime and returns a `Discovery`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from urllib.parse import urlsplit

from plugmesh.discovery.embedded import LinkDiscovery
from plugmesh.discovery.port import Discovery
from plugmesh.errors import ConfigurationError
from plugmesh.hub.hub import Hub
from plugmesh.hub.link import HubLink
from plugmesh.runtime import Runtime

GROUP = "plugmesh.discovery"


def open_discovery(url: str, runtime: Runtime, *, hub: Hub | None = None, link: HubLink | None = None) -> Discovery:
    """The driver for `url`. `embedded://` needs the `hub` (in its own process) or a `link` to it.

    Raises `ConfigurationError`.
    """
    scheme = urlsplit(url).scheme
    if scheme == "embedded":
        if hub is not None:
            return hub.directory
        if link is not None:
            return LinkDiscovery(link, runtime)
        raise ConfigurationError(f"the discovery {url!r} lives in a gateway: join the mesh by its http address instead")
    drivers = {driver.name: driver for driver in entry_points(group=GROUP)}
    if scheme not in drivers:
        known = ", ".join(sorted({"embedded", *drivers}))
        raise ConfigurationError(f"no discovery driver for {url!r}: known schemes are {known}")
    discovery: Discovery = drivers[scheme].load()(url, runtime)
    return discovery

"""URLs of backends that lead through a fault proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.faults.proxy import FaultProxy
from tests.faults.wires import CommitWire, Wire


def place_of(url: str) -> tuple[str, int]:
    """The host and port that a URL names, or `host:port`."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    return str(parts.hostname), int(parts.port or 0)


def through(url: str, proxy: FaultProxy) -> str:
    """The URL with the proxy's address where its server's was, wherever that stands in it."""
    server = "{}:{}".format(*proxy.target)
    assert server in url, f"{url} does not lead to {server}"
    return url.replace(server, proxy.address)


@contextmanager
def proxied(url: str, wire: Callable[[FaultProxy], Wire] = Wire, *, seed: int = 0) -> Iterator[tuple[FaultProxy, str]]:
    """A proxy before the server of `url`, and the URL through it."""
    with FaultProxy(place_of(url), wire, seed=seed) as proxy:
        yield proxy, through(url, proxy)


@contextmanager
def proxied_database(url: str, *, timeout_s: float = 30.0, seed: int = 0) -> Iterator[tuple[FaultProxy, str]]:
    """The same before a database, unencrypted: its COMMITs can be lost."""
    options = f"timeout_s={timeout_s}" + ("&sslmode=disable" if url.startswith("postgresql:") else "")
    with proxied(url.partition("?")[0], CommitWire, seed=seed) as (proxy, led):
        yield proxy, f"{led}?{options}"

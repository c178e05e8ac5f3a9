"""`open_store(url)`: the driver is chosen by the URL's scheme.

Another package adds one by an entry point in the group `plugmesh.objects`: its name is the scheme, its value a
callable `(url, runtime) -> SweptStore`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from plugmesh.drivers import driver_of
from plugmesh.errors import ConfigurationError
from plugmesh.objects.local import DEFAULT_KEEP_FREE_BYTES, LocalStore
from plugmesh.objects.paths import GATEWAY_SCHEMES
from plugmesh.objects.pool import DEFAULT_POOL_BYTES
from plugmesh.objects.port import SweptStore
from plugmesh.runtime import Runtime

LOCAL = "file"
DRIVERS = {"s3": "plugmesh.objects.s3.store:open_s3"}


def open_store(url: str, runtime: Runtime, token: Callable[[], str] | None = None) -> SweptStore:
    """Open the object store at `url`; `token` is what is shown to a gateway, if it is one's.

    Raises `ConfigurationError` if the scheme is unknown or the URL is wrong.
    """
    scheme = urlsplit(url).scheme
    if scheme == LOCAL:
        return _open_local(url, runtime)
    if scheme in GATEWAY_SCHEMES:
        from plugmesh.objects.gateway import open_gateway  # an HTTP client: who needs none starts faster

        return open_gateway(url, runtime, token)
    store: SweptStore = driver_of("objects", url, DRIVERS, besides=[LOCAL, *GATEWAY_SCHEMES])(url, runtime)
    return store


def _open_local(url: str, runtime: Runtime) -> LocalStore:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ConfigurationError(f"object store {url!r}: write file:///absolute/folder")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    keep_free = options.pop("keep_free_bytes", str(DEFAULT_KEEP_FREE_BYTES))
    pool = options.pop("pool_bytes", str(DEFAULT_POOL_BYTES))
    durable = options.pop("durable", "false")
    if options:
        known = "keep_free_bytes, pool_bytes, durable"
        raise ConfigurationError(f"object store {url!r}: unknown option {min(options)!r}; known are {known}")
    if durable not in {"true", "false"}:
        raise ConfigurationError(f"object store {url!r}: durable={durable!r} must be true or false")
    for name, value in {"keep_free_bytes": keep_free, "pool_bytes": pool}.items():
        if not value.isdecimal():
            raise ConfigurationError(f"object store {url!r}: {name}={value!r} must be a whole number of bytes")
    return LocalStore(
        Path(unquote(parts.path)),
        runtime,
        keep_free_bytes=int(keep_free),
        pool_bytes=int(pool),
        durable=durable == "true",
    )

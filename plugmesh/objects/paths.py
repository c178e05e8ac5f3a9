"""Where objects are that come through a gateway: its paths, and the URLs of the driver. Loads nothing."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode, urlsplit

OBJECTS_PATH = "/api/v1/mesh/objects"
TICKETS_PATH = "/api/v1/mesh/object-tickets"
GATEWAY_SCHEMES = frozenset({"gateway+http", "gateway+https"})


def gateway_url(mesh_url: str) -> str:
    """The objects of the mesh at `http://host:port`, through its gateway."""
    return f"gateway+{mesh_url.rstrip('/')}"


def is_gateway_url(url: str) -> bool:
    """Whether objects at `url` come through a gateway."""
    return urlsplit(url).scheme in GATEWAY_SCHEMES


def with_token_file(url: str, path: Path) -> str:
    """The same objects for who shows what is in a file."""
    return f"{url.partition('?')[0]}?{urlencode({'token_file': str(path)})}"

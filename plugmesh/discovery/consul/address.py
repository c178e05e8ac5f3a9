"""`consul://[:token@]host[:port]/MESH?options`: where Consul is, and under which name this mesh stands there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from plugmesh.errors import ConfigurationError
from plugmesh.urls import completed, reading

DEFAULT_PORT = 8500
DEFAULT_MESH = "plugmesh"
_MESH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_OPTIONS = ("tls", "ca_file", "datacenter")
_FORM = "write consul://host:8500/MESH"


@dataclass(frozen=True, slots=True)
class ConsulPlace:
    """An agent of Consul and what this mesh needs to use it. `token` is empty where Consul asks for none."""

    host: str
    port: int = DEFAULT_PORT
    mesh: str = DEFAULT_MESH
    token: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""
    datacenter: str = ""

    def __str__(self) -> str:
        """For messages: never with the token."""
        return f"Consul at {self.host}:{self.port}"


def consul_place(url: str) -> ConsulPlace:
    """What `url` says. Raises `ConfigurationError`, which names the setting and no secret."""
    with reading(url, "discovery"):
        return _parsed(url)


def _parsed(url: str) -> ConsulPlace:
    try:
        parts = urlsplit(completed(url))
        port = parts.port
    except ValueError:
        raise _wrong(f"host and port cannot be read; {_FORM}") from None
    if not parts.hostname:
        raise _wrong(f"it names no host; {_FORM}")
    mesh = unquote(parts.path.strip("/")) or DEFAULT_MESH
    if _MESH.fullmatch(mesh) is None:
        raise _wrong(f"the mesh {mesh[:80]!r} must be letters, digits, - and _ (at most 63)")
    options = _options(parts)
    tls, ca_file = options.get("tls", "false"), options.get("ca_file", "")
    if tls not in {"true", "false"}:
        raise _wrong("tls must be true or false")
    if ca_file and tls == "false":
        raise _wrong("ca_file is of use with tls=true only")
    if ca_file and not Path(ca_file).is_file():
        raise _wrong(f"there is no file {ca_file}: ca_file names the certificates that are trusted")
    return ConsulPlace(
        host=parts.hostname,
        port=port or DEFAULT_PORT,
        mesh=mesh,
        token=_token(parts),
        tls=tls == "true",
        ca_file=ca_file,
        datacenter=options.get("datacenter", ""),
    )


def _options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown:
        raise _wrong(f"unknown option {unknown[0][:80]!r}; known are {', '.join(_OPTIONS)}")
    return options


def _token(parts: SplitResult) -> str:
    if parts.username and parts.password is None:
        raise _wrong("the token stands behind a colon: consul://:TOKEN@host:8500/MESH")
    token = unquote(parts.password or "")
    if not token.isascii() or not token.isprintable():
        raise _wrong("the token holds characters that no token has")
    return token


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(f"the setting `discovery` is no usable address of Consul: {what}")

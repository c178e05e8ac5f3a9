"""The names under which a gateway may be called, and the web pages that may call it."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from starlette.types import Scope

from gateway.errors import HostRefused
from plugmesh.settings.settings import Settings

_PORTS = {"http": ":80", "https": ":443"}
_WEB = {"ws": "http", "wss": "https"}
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Names:
    """The names and pages of the settings of now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own = _own_names(settings.host)
        self._hosts: frozenset[str]
        self._origins: frozenset[str]
        self._proxies: tuple[_Network, ...]
        self._read()
        for name in ("allowed_hosts", "allowed_origins", "trusted_proxies"):
            settings.on_change(name, self._read)

    def _read(self, _: Any = None) -> None:
        settings = self._settings
        self._hosts = frozenset((*settings.allowed_hosts, *self._own))
        self._origins = frozenset(settings.allowed_origins)
        self._proxies = tuple(ipaddress.ip_network(text) for text in settings.trusted_proxies)

    def scheme(self, scope: Scope, forwarded: bytes | None) -> str:
        """`http` or `https`, as the browser sees it: a reverse proxy that is trusted says so."""
        if forwarded is not None and self._proxies and self._is_proxy(scope):
            said = forwarded.rpartition(b",")[2].strip().lower()
            if said in (b"http", b"https"):
                return said.decode()
        scheme: str = scope.get("scheme", "http")
        return _WEB.get(scheme, scheme)

    def check(self, scope: Scope, scheme: str, host_header: bytes, origin_header: bytes | None) -> None:
        """Raises `HostRefused`."""
        host = host_header.decode("latin-1").lower()
        name = host_name(host)
        if name not in self._hosts and not _is_own_address(scope, name):
            raise HostRefused(
                f"this gateway does not answer to the name {host[:100]!r}: use one of {', '.join(sorted(self._hosts))}, "
                "or add the name to its setting allowed_hosts"
            )
        if origin_header is None:
            return
        origin = origin_header.decode("latin-1").lower()
        if origin not in self._origins and not _is_same(origin, scheme, host):
            raise HostRefused(
                f"a page of {origin[:100]!r} may not call this gateway, which it knows as {scheme}://{host}: add it to "
                "the setting allowed_origins (or, behind a proxy that speaks https, the proxy to trusted_proxies)"
            )

    def _is_proxy(self, scope: Scope) -> bool:
        client = scope.get("client")
        try:
            address = ipaddress.ip_address(client[0]) if client else None
        except ValueError:
            return False
        return address is not None and any(address in network for network in self._proxies)


def host_name(host: str) -> str:
    """The name in a `Host` header, without the port. What is no name and port comes back whole: it is nobody's name."""
    name, bracket, rest = host.partition("]") if host.startswith("[") else ("", "", "")
    if not bracket:
        name, colon, port = host.partition(":")
        rest = colon + port
    port = rest.removeprefix(":")
    return name + bracket if not rest or (rest[0] == ":" and (not port or port.isdecimal())) else host


def _is_same(origin: str, scheme: str, host: str) -> bool:
    """Whether a page of `origin` came from `scheme://host`; the usual port may be written or not."""
    if origin == f"{scheme}://{host}":
        return True
    port = _PORTS.get(scheme, "")
    return bool(port) and origin.removesuffix(port) == f"{scheme}://{host}".removesuffix(port)


def _is_own_address(scope: Scope, name: str) -> bool:
    """Whether it is the very address that the connection came in by: nobody needs a name to be led there."""
    server = scope.get("server")
    if not server or name.strip("[]") != server[0]:
        return False
    try:
        ipaddress.ip_address(server[0])
    except ValueError:
        return False
    return True


def _own_names(host: str) -> tuple[str, ...]:
    host = host.strip("[]").lower()
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104  only compared
        return (socket.gethostname().lower(),)
    return (f"[{host}]" if ":" in host else host,)

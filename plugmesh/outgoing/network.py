"""Connecting for `httpcore2`: the name is resolved here, every address checked, and the checked address connected to.

Between a check and a second look-up a name could change to a private address (DNS rebinding); there is no second
look-up. Connections of redirects come through here like any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from httpcore2 import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream, ConnectError, ConnectTimeout

from plugmesh.errors import NotReachable
from plugmesh.outgoing.addresses import Address, Allowed, embedded, parse_address
from plugmesh.outgoing.errors import AddressRefused

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""All addresses of a host's name, as text."""


class CheckedNetwork(AsyncNetworkBackend):
    """Connects to checked addresses only. `allowed` is asked at each connection."""

    def __init__(self, resolve: Resolve, allowed: Callable[[], Allowed]) -> None:
        self._resolve, self._allowed = resolve, allowed
        self._plain = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the first address that answers. Raises `AddressRefused`, `NotReachable`."""
        found = await self._checked(host, port)
        each = None if timeout is None else timeout / len(found)
        failure = ""
        for address in found:
            try:
                return await self._plain.connect_tcp(str(address), port, each, local_address, socket_options)
            except (ConnectError, ConnectTimeout) as error:
                failure = str(error) or "no answer"
        raise NotReachable(f"{host} port {port} cannot be connected to: {failure}")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> AsyncNetworkStream:
        raise AddressRefused("sockets of this machine are not called")

    async def sleep(self, seconds: float) -> None:
        await self._plain.sleep(seconds)

    async def _checked(self, host: str, port: int) -> list[Address]:
        try:
            texts = await self._resolve(host, port)
        except OSError as error:
            raise NotReachable(f"the name {host} cannot be resolved: {error.strerror or error}") from None
        if not texts:
            raise NotReachable(f"the name {host} has no address")
        allowed = self._allowed()
        found = [parse_address(text) for text in texts]
        for address in found:  # one bad address is enough: which one is connected to must not be left to chance
            reason = allowed.refusal(host, address)
            if reason is not None:
                raise AddressRefused(
                    f"{host} is not called: {reason}. If it is meant, add the host or its network to the setting "
                    "http_allow_private"
                )
        return list(dict.fromkeys(embedded(address) for address in found))

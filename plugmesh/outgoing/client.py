"""`Client.request`: one HTTP request of the server's own, with limits on time, size and where it may go.

It never uses a proxy (none is configured, and those of the environment are ignored), sends no cookies, decodes no
compressed answers, and follows redirects only where the caller asks for it, checking each address anew.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugmesh.errors import NotReachable
from plugmesh.outgoing.addresses import Allowed
from plugmesh.outgoing.errors import AnswerUnreadable
from plugmesh.outgoing.url import Url, join_url, parse_url

if TYPE_CHECKING:
    from httpcore2 import AsyncConnectionPool, Response

    from plugmesh.outgoing.network import Resolve

ANSWER_LIMIT_BYTES = 1024 * 1024
MOST_REDIRECTS = 5
_CONNECTIONS = 100
_KEPT_S = 5.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WITHOUT_BODY = frozenset({301, 302, 303})
_OWN_HEADERS = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding"})
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is sent in one hop."""

    method: str
    url: Url
    headers: Mapping[str, str]
    body: bytes

    def redirected(self, status: int, location: str) -> _Ask:
        """The next hop: no secret header reaches another origin, and https never becomes http."""
        to = join_url(self.url, location)
        if self.url.scheme == "https" and to.scheme == "http":
            raise AnswerUnreadable(f"{self.url.origin} redirects from https to http, which is not followed")
        dropped = frozenset() if self.url.origin == to.origin else _SECRET_HEADERS
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        if status not in _WITHOUT_BODY or self.method in {"GET", "HEAD"}:
            return _Ask(self.method, to, headers, self.body)
        headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
        return _Ask("GET", to, headers, b"")

    def wire_headers(self) -> list[tuple[str, str]]:
        """All headers that are sent."""
        sent = [(name, value) for name, value in self.headers.items() if name.lower() not in _OWN_HEADERS]
        sent += [("host", self.url.authority), ("accept-encoding", "identity")]
        if self.body or self.method not in {"GET", "HEAD"}:
            sent.append(("content-length", str(len(self.body))))
        return sent


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. `headers` have lower-case names; `body` holds the first bytes, all of them if `whole`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True


class Client:
    """The HTTP client of one server process; close it with `aclose`.

    `allow_private` gives the hosts and networks of the setting `http_allow_private`; it is asked at each connection.
    `resolve` and `tls` are for tests: all addresses of a name, and whom to trust.
    """

    def __init__(
        self,
        allow_private: Callable[[], Sequence[str]] = tuple,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or resolve_name
        self._tls = tls
        self._pool: AsyncConnectionPool | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float,
        answer_limit_bytes: int = ANSWER_LIMIT_BYTES,
        redirects: int = 0,
    ) -> Answer:
        """Send one request; `timeout_s` is for all of it, with redirects (at most `MOST_REDIRECTS`).

        Raises `ConfigurationError` (the URL), `AddressRefused`, `NotReachable`, `AnswerUnreadable`.
        """
        ask = _Ask(method, parse_url(url), dict(headers or {}), body)
        hops = min(redirects, MOST_REDIRECTS)
        try:
            async with asyncio.timeout(timeout_s):
                for _ in range(hops + 1):
                    answer = await self._once(ask, timeout_s, answer_limit_bytes)
                    location = answer.headers.get("location")
                    if not hops or answer.status not in _REDIRECTS or location is None:
                        return answer
                    ask = ask.redirected(answer.status, location)
        except TimeoutError:
            raise NotReachable(f"{ask.url.origin} did not answer within {timeout_s:g} s") from None
        raise AnswerUnreadable(f"{ask.url.origin}: redirected more than {hops} times")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    async def _once(self, ask: _Ask, timeout_s: float, limit_bytes: int) -> Answer:
        import httpcore2  # 20 ms that a server's start does not need

        url = ask.url
        target = httpcore2.URL(
            scheme=url.scheme.encode(), host=url.host.encode(), port=url.port, target=url.target.encode()
        )
        limits = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)}
        try:
            stream = self._connections().stream(
                ask.method, target, headers=ask.wire_headers(), content=ask.body, extensions=limits
            )
            async with stream as response:
                return await _read(response, limit_bytes)
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
            raise AnswerUnreadable(f"{url.origin} did not answer in HTTP: {error}") from None
        except (httpcore2.TimeoutException, httpcore2.NetworkError) as error:
            raise NotReachable(f"{url.origin} cannot be reached: {_said(error)}") from None

    def _connections(self) -> AsyncConnectionPool:
        from httpcore2 import AsyncConnectionPool  # see above

        from plugmesh.outgoing.network import CheckedNetwork  # it imports httpcore2

        if self._pool is None:
            network = CheckedNetwork(self._resolve, lambda: Allowed.of(self._allow_private()))
            self._pool = AsyncConnectionPool(
                self._tls, max_connections=_CONNECTIONS, keepalive_expiry=_KEPT_S, network_backend=network
            )
        return self._pool


async def resolve_name(host: str, port: int) -> list[str]:
    """All addresses of a name, from the system's resolver. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _read(response: Response, limit_bytes: int) -> Answer:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    body = bytearray()
    whole = True
    async for piece in response.aiter_stream():
        body += piece
        if len(body) > limit_bytes:
            whole = False
            break
    return Answer(response.status, headers, bytes(body[:limit_bytes]), whole)


def _said(error: Exception) -> str:
    cause = error.__cause__ or error
    text = str(error) or str(cause) or type(error).__name__
    return text[:300]

"""A fault proxy before an HTTP server: what goes wrong goes wrong with whole requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.faults.proxy import FaultProxy
from tests.faults.wires import Connection, Cut, Wire

_HEAD_END = b"\r\n\r\n"
_WITHOUT_BODY = {204, 304}
_OF_METHOD = {"GET": ("truncate",), "PUT": ("lost",)}
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_DONE = b'HTTP/1.1 200 OK\r\nETag: "0123456789abcdef0123456789abcdef"\r\nContent-Length: 0\r\n\r\n'


class HttpWire(Wire):
    """Of all requests a share of `shares[fault]` meets that fault. `503`: nothing is done; `truncate`: half of the answer's body
    comes; `close`: it is done, and no answer comes; `lost`: a write is confirmed and not done."""

    async def serve(self, connection: Connection) -> None:
        while True:
            head = await connection.client.readuntil(_HEAD_END)
            body = await _body(connection.client, _headers(head))
            if not await connection.passes("forth"):
                continue
            method, path, _ = head.split(b" ", 2)
            await self._request(connection, method.decode(), path.decode(), head + body)

    async def _request(self, connection: Connection, method: str, path: str, request: bytes) -> None:
        self.proxy.heard(method, path, _headers(request.partition(_HEAD_END)[0] + _HEAD_END))
        fault = self.proxy.draw(
            "503", "close", *(["truncate"] if method == "GET" else ["lost"] if method == "PUT" else [])
        )
        if fault in ("503", "lost"):
            connection.to_client.write(_BUSY if fault == "503" else _DONE)
            await connection.to_client.drain()
            return
        connection.to_server.write(request)
        await connection.to_server.drain()
        head, body = await _answer(connection.server, method)
        if fault == "close":
            raise Cut
        if not await connection.passes("back"):
            return
        sent = body[: len(body) // 2] if fault == "truncate" else body
        self.proxy.sent(method, len(sent))
        connection.to_client.write(head + sent)
        await connection.to_client.drain()
        if fault == "truncate":
            raise Cut


class HttpProxy(FaultProxy):
    """Keeps a list of what was asked (`requests`), and counts the bytes of what was read (`bytes_sent`)."""

    def __init__(self, target: tuple[str, int], **options: Any) -> None:
        self.requests: list[str] = []
        self.bytes_sent = 0
        super().__init__(target, HttpWire, **options)

    def heard(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """A request came."""
        self.requests.append(f"{method} {path} {headers.get('range', '')}".strip())

    def sent(self, method: str, size: int) -> None:
        """An answer's body was passed on."""
        self.bytes_sent += size if method == "GET" else 0

    def of(self, method: str) -> int:
        """How many requests of that method came."""
        return sum(request.startswith(f"{method} ") for request in self.requests)


@contextmanager
def faulty(upstream: str, seed: int, **shares: float) -> Iterator[tuple[HttpProxy, str]]:
    """A proxy before the server at the URL `upstream`, and the URL through it. `http503=0.3` is a share of `503`."""
    server = urlsplit(upstream)
    named = {fault.removeprefix("http"): share for fault, share in shares.items()}
    with HttpProxy((str(server.hostname), int(server.port or 80)), seed=seed, shares=named) as proxy:
        yield proxy, f"http://{proxy.address}"


def _headers(head: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """As it was sent, so that it can be passed on as it is."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    return await reader.readexactly(int(headers.get("content-length", 0)))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        found += line + await reader.readexactly(size + 2)
        if not size:
            return found


async def _answer(reader: asyncio.StreamReader, method: str) -> tuple[bytes, bytes]:
    head = await reader.readuntil(_HEAD_END)
    status, headers = int(head.split(b" ", 2)[1]), _headers(head)
    if status < 200:
        return await _answer(reader, method)
    if method == "HEAD" or status in _WITHOUT_BODY:
        return head, b""
    if (
        headers.get("connection", "").lower() == "close"
        and not {"content-length", "transfer-encoding"} & headers.keys()
    ):
        return head, await reader.read()
    return head, await _body(reader, headers)

"""What passes through a fault proxy, as the protocols see it: bytes, answers of a broker, transactions of a database."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

PIECE_BYTES = 65_536
_COMMIT = re.compile(rb"COMMIT(?!TED)")
_PREPARED = re.compile(rb"([\w]+)\0COMMIT\0")
"""A client of PostgreSQL that has sent a statement some times gives it a name, and sends only that from then on."""


class Cut(Exception):
    """The connection ends here."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One client and its server. `passes` waits until something may pass, and says whether it arrives."""

    client: asyncio.StreamReader
    to_client: asyncio.StreamWriter
    server: asyncio.StreamReader
    to_server: asyncio.StreamWriter
    passes: Callable[[Literal["forth", "back"]], Awaitable[bool]]


class Wire:
    """Any protocol: pieces of bytes. One for each connection; subclasses change `forth` and `back`. Of the share `truncate` of
    what comes from the server half arrives, and the connection ends."""

    def __init__(self, proxy: Any) -> None:
        self.proxy = proxy

    async def serve(self, connection: Connection) -> None:
        """Until one side ends the connection. Raises OSError, EOFError, Cut."""
        ways = [
            asyncio.ensure_future(self._copy("forth", connection.client, connection.to_server, connection)),
            asyncio.ensure_future(self._copy("back", connection.server, connection.to_client, connection)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def forth(self, data: bytes) -> bytes:
        """What arrives at the server of what a client has sent. Raises Cut."""
        return data

    def back(self, data: bytes) -> bytes:
        """What arrives at the client of what the server has sent. Raises Cut."""
        return data

    async def _copy(
        self,
        way: Literal["forth", "back"],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: Connection,
    ) -> None:
        change = self.forth if way == "forth" else self.back
        while data := await reader.read(PIECE_BYTES):
            if not await connection.passes(way) or not (changed := change(data)):
                continue
            is_truncated = way == "back" and self.proxy.draw("truncate")
            writer.write(changed[: len(changed) // 2] if is_truncated else changed)
            await writer.drain()
            if is_truncated:
                raise Cut


class KafkaWire(Wire):
    """A broker tells its clients its own address: in its answers that becomes the proxy's."""

    def __init__(self, proxy: Any) -> None:
        super().__init__(proxy)
        self._kept = b""

    def back(self, data: bytes) -> bytes:
        host, port = self.proxy.target
        was, now = _told(host, port), _told(self.proxy.host, self.proxy.port)
        self._kept += data
        found = []
        while len(self._kept) >= 4 and len(self._kept) >= (size := 4 + struct.unpack(">i", self._kept[:4])[0]):
            answer, self._kept = self._kept[4:size].replace(was, now), self._kept[size:]
            found.append(struct.pack(">i", len(answer)) + answer)
        return b"".join(found)


def _told(host: str, port: int) -> bytes:
    return struct.pack(">h", len(host)) + host.encode() + struct.pack(">i", port)


class CommitWire(Wire):
    """A database, unencrypted. `commit`: a COMMIT never arrives; `answer`: it does, and its answer is lost. Both end the
    connection."""

    def __init__(self, proxy: Any) -> None:
        super().__init__(proxy)
        self._answer_is_lost = False
        self._prepared = b""

    def forth(self, data: bytes) -> bytes:
        if named := _PREPARED.search(data):
            self._prepared = b"\0" + named[1] + b"\0"
        if _COMMIT.search(data) or (self._prepared and self._prepared in data):
            fault = self.proxy.draw("commit", "answer")
            if fault == "commit":
                raise Cut
            self._answer_is_lost = fault == "answer"
        return data

    def back(self, data: bytes) -> bytes:
        if self._answer_is_lost:
            raise Cut
        return data

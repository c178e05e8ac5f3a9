"""The same gateway on a real port, for bytes that no client library would send."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType

from gateway.server import serve
from tests.badinput.raw import RawRow
from tests.integration.gateway.house import House


class Served:
    """A house whose app is served while the context lasts."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stop = asyncio.Event()
        self._task: asyncio.Future[None]
        self.port = 0

    async def __aenter__(self) -> Served:
        started = asyncio.Event()

        def on_started(port: int) -> None:
            self.port = port
            started.set()

        gateway = self._house.gateway
        self._task = asyncio.ensure_future(
            serve(
                self._house.app, "127.0.0.1", 0, self._house.runtime,
                stop=self._stop, on_started=on_started, close_streams=gateway.close_streams,
            )
        )  # fmt: skip
        await started.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        await self._task

    async def send(self, row: RawRow) -> tuple[int, str]:
        """The status and text of the first answer; status 0 where the connection was closed without one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(row.sent.replace(b"%d", str(self.port).encode()))
            status, body = await asyncio.wait_for(_first_answer(reader), 20)
        finally:
            writer.close()
        try:
            said = json.loads(body)["detail"]
        except (ValueError, KeyError):
            said = body.decode(errors="replace")
        return status, said.replace(f":{self.port}", ":8720")


async def _first_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the answer that comes first; 0 and a remark where the connection is closed without one."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, b"the connection is closed"
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length.partition(b":")[2]))

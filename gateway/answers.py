"""Responses: JSON from bytes, and streams that let go of clients that stopped reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send


class Json(Response):
    """A document (or finished JSON text) as the answer."""

    media_type = "application/json"

    def __init__(self, document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        body = document if isinstance(document, bytes) else to_json(document, inf_nan_mode="null")
        super().__init__(body, status, headers=dict(headers or {}))


class Stream(StreamingResponse):
    """Pieces as they come. A client that takes none for `stall_s` is dropped; the source is closed in any case."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        media_type: str,
        stall_s: float,
        headers: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> None:
        super().__init__(pieces, status, headers=dict(headers or {}), media_type=media_type)
        self._pieces = pieces
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: Message) -> None:
            async with asyncio.timeout(self._stall_s):
                await send(message)

        try:
            await super().__call__(scope, receive, bounded)
        finally:
            if isinstance(self._pieces, AsyncGenerator):
                await self._pieces.aclose()


async def begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces; the first one is there already, so that errors before it still become a problem answer."""
    first = await anext(pieces, None)

    async def all_pieces() -> AsyncIterator[bytes]:
        try:
            if first is not None:
                yield first
            async for piece in pieces:
                yield piece
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    return all_pieces()


def attachment(name: str) -> dict[str, str]:
    """Headers that make a browser save the answer, never show or run it."""
    plain = "".join(character if character.isalnum() or character in "._-" else "_" for character in name)
    ascii_name = plain.encode("ascii", "replace").decode().replace("?", "_")
    return {
        "content-disposition": f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}",
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-store",
    }

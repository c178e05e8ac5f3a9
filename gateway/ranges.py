"""Bytes of an object as an answer, whole or a range of them (RFC 9110), piece by piece."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import Stream, attachment
from gateway.problems import ProblemResponse
from gateway.reading import Reading
from plugmesh.contracts.data import FileRef
from plugmesh.objects.keys import lender_of
from plugmesh.objects.port import ObjectStore, store_call
from plugmesh.runtime import Runtime

T = TypeVar("T")
_PIECE_BYTES = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d{0,1000})-(\d{0,1000})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ranged:
    """Answers with the bytes of objects."""

    runtime: Runtime
    objects: ObjectStore
    reading: Reading

    async def answer(self, request: Request, file: FileRef, stall_s: float) -> Response:
        """The bytes that `request` asks for. Raises `ObjectMissing`."""
        etag = f'"{file.hash}"'
        headers = {**attachment(file.name), "etag": etag, "accept-ranges": "bytes"}
        if _names(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers={"etag": etag})
        asked = request.headers.get("range")
        if request.method != "GET" or request.headers.get("if-range", etag) != etag:
            asked = None  # the client has a part of another version: it gets the whole of this one
        span = span_of(asked, file.bytes)
        start, end = span or (0, file.bytes)
        if span is not None and start >= end:
            detail = f"the range {asked!r} is not inside the {file.bytes:,} bytes of {file.name!r}"
            return ProblemResponse("bad-range", 416, detail, {"content-range": f"bytes */{file.bytes}"})
        headers["content-length"] = str(end - start)
        if span is not None:
            headers["content-range"] = f"bytes {start}-{end - 1}/{file.bytes}"
        await self._ask(self.objects.read, file.key, 0, 0)  # ObjectMissing, while it can be told
        return Stream(self._pieces(file.key, start, end), file.media_type, stall_s, headers, 206 if span else 200)

    async def _pieces(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        async with self.reading.holding(lender_of(key)):
            while start < end:
                size = min(_PIECE_BYTES, end - start)
                yield await self._ask(self._read, key, start, size)
                start += size

    async def _ask(self, function: Callable[..., T], *args: Any) -> T:
        return await store_call(self.objects, self.runtime, function, *args)

    def _read(self, key: str, start: int, size: int) -> bytes:
        return bytes(self.objects.read(key, start, size))  # copied here: a page fault must not stop the loop


def span_of(asked: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; the range is empty if there are no such bytes.

    `None` means the whole: no range, one of other units, a list, or the last bytes of nothing.
    """
    match = _RANGE.fullmatch(asked.replace(" ", "")) if asked else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first:
        return int(first), min(int(last) + 1, size) if last else size
    return (max(0, size - int(last)), size) if size or not int(last) else None


def _names(condition: str | None, etag: str) -> bool:
    """Whether `If-None-Match` names what is there."""
    if condition is None:
        return False
    return condition.strip() == "*" or etag in {one.strip().removeprefix("W/") for one in condition.split(",")}

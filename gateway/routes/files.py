"""`/files`: upload, list, download. A name points at its newest version; versions never change."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json, Stream, attachment
from gateway.core import Gateway
from gateway.inputs import newest
from gateway.problems import ProblemResponse
from gateway.routing import API, actor_of, responses
from gateway.uploads import UNKNOWN_TYPE, check_name, check_namespace
from gateway.views import file_document
from plugmesh.contracts.flow import DEFAULT_NAMESPACE
from plugmesh.errors import LimitExceeded
from plugmesh.state.records import StoredFile

_PIECE_BYTES = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

Namespace = Annotated[str, Query(description="Where the name is looked up")]


class FileRoutes:
    """Endpoints about files."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        many, one = f"{API}/files", f"{API}/files/{{name}}"
        body = {
            "requestBody": {
                "required": True,
                "content": {UNKNOWN_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        }
        app.add_api_route(
            one,
            self.put,
            methods=["PUT"],
            status_code=201,
            tags=["files"],
            openapi_extra=body,
            responses=responses(400, 413, 507),
        )
        app.add_api_route(many, self.list_files, methods=["GET"], tags=["files"], responses=responses(400))
        app.add_api_route(one, self.get, methods=["GET"], tags=["files"], responses=responses(404, 410, 416))

    @access(Action.WRITE, Kind.FILE)
    async def put(self, request: Request, name: str, namespace: Namespace = DEFAULT_NAMESPACE) -> Response:
        """Store the raw body as a new version of `name`; it is visible when it is whole, and not before."""
        limit = self._gateway.settings.file_limit_bytes
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise LimitExceeded(
                f"the file has {int(declared):,} bytes, {limit:,} are possible: split it, "
                "or raise file_limit_bytes in the gateway's settings"
            )
        kind = request.headers.get("content-type", UNKNOWN_TYPE)
        actor = actor_of(request).name
        stored = await self._gateway.uploads.put(namespace, name, request.stream(), kind, actor)
        return Json(file_document(stored), 201)

    @access(Action.LIST, Kind.FILE)
    async def list_files(
        self, namespace: Namespace = DEFAULT_NAMESPACE, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
    ) -> Response:
        """The newest version of each file, by name."""
        return Json({"files": await self._gateway.files(namespace, limit)})

    @access(Action.READ, Kind.FILE)
    async def get(self, request: Request, name: str, namespace: Namespace = DEFAULT_NAMESPACE) -> Response:
        """The bytes of the newest version, or a range of them."""
        gateway = self._gateway
        file = await newest(gateway.state, check_namespace(namespace), check_name(name))
        etag = f'"{file.hash}"'
        headers = {**attachment(file.name), "etag": etag, "accept-ranges": "bytes"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        asked = request.headers.get("range")
        if asked is not None and request.headers.get("if-range", etag) != etag:
            asked = None  # the client has a part of another version: it gets the whole of this one
        span = _span(asked, file.bytes)
        if span is None:
            detail = f"the range {asked!r} is not inside the {file.bytes:,} bytes of {name!r}"
            return ProblemResponse("bad-range", 416, detail, {"content-range": f"bytes */{file.bytes}"})
        start, end = span
        headers["content-length"] = str(end - start)
        whole = (start, end) == (0, file.bytes)
        if not whole:
            headers["content-range"] = f"bytes {start}-{end - 1}/{file.bytes}"
        await gateway.runtime.run_sync(gateway.objects.read, file.object, 0, 0)  # ObjectMissing, while it can be told
        pieces = self._pieces(file, start, end)
        return Stream(pieces, file.media_type, gateway.settings.stall_s, headers, 200 if whole else 206)

    async def _pieces(self, file: StoredFile, start: int, end: int) -> AsyncIterator[bytes]:
        while start < end:
            size = min(_PIECE_BYTES, end - start)
            yield await self._gateway.runtime.run_sync(self._read, file.object, start, size)
            start += size

    def _read(self, key: str, start: int, size: int) -> bytes:
        return bytes(self._gateway.objects.read(key, start, size))  # copied here: a page fault must not stop the loop


def _span(asked: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; `None` if the range has none. Other units and lists mean the whole."""
    match = _RANGE.fullmatch(asked.replace(" ", "")) if asked else None
    if match is None or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < end else None

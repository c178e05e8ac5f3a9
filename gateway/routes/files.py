"""`/files`: upload, list, download, delete. A name points at its newest version; versions never change."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.core import Gateway
from gateway.documents.document import answers, no_content, stream_of
from gateway.documents.files import FileList, StoredVersion, VersionList
from gateway.documents.problem import problems
from gateway.inputs import file_ref
from gateway.parameters import Cursor
from gateway.ranges import Ranged
from gateway.routing import API, actor_of
from gateway.uploads import UNKNOWN_TYPE
from plugmesh.contracts.flow import DEFAULT_NAMESPACE
from plugmesh.errors import LimitExceeded

Name = Annotated[
    str,
    Path(
        description="The file's name: 1 to 255 characters, with no /, \\ or control character",
        max_length=4000,
        examples=["orders.csv"],
    ),
]
Namespace = Annotated[str, Query(description="Where the name is looked up", max_length=1000)]
Version = Annotated[str | None, Query(description="This version; the newest otherwise", max_length=200)]
OneVersion = Annotated[str | None, Query(description="Only this version; all of them otherwise", max_length=200)]
Limit = Annotated[int, Query(ge=1, le=10_000, description="Entries of a page")]


class FileRoutes:
    """Endpoints about files."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._ranged = Ranged(gateway.runtime, gateway.objects, gateway.reading)

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        many, one = f"{API}/files", f"{API}/files/{{name:path}}"  # so that a / in a name is told to be the mistake
        body = {
            "requestBody": {
                "required": False,  # no body is an empty file
                "content": {
                    UNKNOWN_TYPE: {"schema": {"type": "string", "format": "binary"}, "example": "price,qty\n1.5,2\n"}
                },
            }
        }
        add = app.add_api_route
        add(
            one,
            self.put,
            methods=["PUT"],
            status_code=201,
            tags=["files"],
            openapi_extra=body,
            responses={**answers(StoredVersion, 201, "The new version"), **problems("store-full")},
        )
        add(many, self.list_files, methods=["GET"], tags=["files"], responses=answers(FileList))
        path = f"{API}/files/{{name}}/versions"
        add(path, self.versions, methods=["GET"], tags=["files"], responses=answers(VersionList))
        found = stream_of(["*/*"], "The bytes, of the type that was stored with them", 206, binary=True)
        add(
            one,
            self.get,
            methods=["GET"],
            tags=["files"],
            responses={
                **found,
                304: {"description": "It is what If-None-Match names"},
                **problems("object-missing", "bad-range"),
            },
        )
        gone = no_content("It is gone")
        add(one, self.delete, methods=["DELETE"], status_code=204, tags=["files"], responses=gone)

    @access(Action.WRITE, Kind.FILE)
    async def put(self, request: Request, name: Name, namespace: Namespace = DEFAULT_NAMESPACE) -> Response:
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
        return Json(await self._gateway.files.put(namespace, name, request.stream(), kind, actor), 201)

    @access(Action.LIST, Kind.FILE)
    async def list_files(
        self,
        namespace: Namespace = DEFAULT_NAMESPACE,
        prefix: Annotated[str, Query(description="Only names that begin so", max_length=255)] = "",
        cursor: Cursor = None,
        limit: Limit = 1000,
    ) -> Response:
        """Files by name, each with its newest version, page by page."""
        return Json(await self._gateway.files.list_files(namespace, prefix, cursor, limit))

    @access(Action.LIST, Kind.FILE)
    async def versions(
        self, name: Name, namespace: Namespace = DEFAULT_NAMESPACE, cursor: Cursor = None, limit: Limit = 1000
    ) -> Response:
        """The versions of a file, newest first, page by page."""
        return Json(await self._gateway.files.versions(namespace, name, cursor, limit))

    @access(Action.READ, Kind.FILE)
    async def get(
        self, request: Request, name: Name, namespace: Namespace = DEFAULT_NAMESPACE, version: Version = None
    ) -> Response:
        """The bytes of a file, or a range of them (`Range`, `If-Range`, `If-None-Match` are understood)."""
        file = await self._gateway.files.find(namespace, name, version)
        return await self._ranged.answer(request, file_ref(file), self._gateway.settings.stall_s)

    @access(Action.DELETE, Kind.FILE)
    async def delete(
        self, name: Name, namespace: Namespace = DEFAULT_NAMESPACE, version: OneVersion = None
    ) -> Response:
        """Delete a name with all its versions, or one version: the name then points at the one before.

        Runs that have not ended keep the versions that they were given; the bytes go when nobody needs them any more.
        """
        await self._gateway.files.delete(namespace, name, version)
        return Response(status_code=204)

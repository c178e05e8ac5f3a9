"""`/mesh/objects`: the object store for modules on other hosts, and the tickets that their executors use it with."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json, Stream, begun
from gateway.bodies import OCTETS, read_json, read_json_body, read_model
from gateway.core import Gateway
from gateway.documents.document import Document, Responses, answers, example, no_content, stream_of
from gateway.documents.problem import problems
from gateway.objects import READ_BYTES, RemoteObjects, document
from gateway.problems import ProblemResponse
from gateway.ranges import span_of
from gateway.routing import actor_of, json_body
from gateway.tokens import Tokens
from plugmesh.errors import ObjectMissing
from plugmesh.objects.paths import OBJECTS_PATH, TICKETS_PATH

Key = Annotated[
    str,
    Path(
        description="The object's key: words of A-Z a-z 0-9 . _ = -, separated by /",
        max_length=4000,
        examples=["data/default/run-06f3k8m2q9s1tbvx/clean/1/out"],
    ),
]
Prefix = Annotated[str, Query(description="Only keys below it: whole words ending in /, or empty", max_length=1000)]
_LINES = "application/x-ndjson"


class StoredObject(Document):
    """An object that is there."""

    model_config = example(key="data/default/run-06f3k8m2q9s1tbvx/clean/1/out", bytes=51200, modified=1795271167.2)

    key: str
    bytes: int
    modified: float = Field(description="Unix time in seconds")


class TicketWish(Document):
    """Who wants a ticket."""

    model_config = example(instance="inst-06f3k8m2q9s1tbvx")

    instance: str = Field(pattern=r"^[A-Za-z0-9_-]{1,100}$", description="The instance whose executors will show it")


class Ticket(Document):
    """What an executor shows instead of the join token."""

    model_config = example(ticket="ticket.inst-06f3k8m2q9s1tbvx.1795272067.3f0c…", valid_s=900.0)

    ticket: str = Field(description="Empty where the mesh asks for no token")
    valid_s: float = Field(description="Seconds until it is refused")


class ObjectRoutes:
    """Endpoints about objects."""

    def __init__(self, gateway: Gateway, tokens: Tokens | None) -> None:
        self._gateway = gateway
        self._tokens = tokens
        self._objects = RemoteObjects(gateway.runtime, gateway.state, gateway.objects, gateway.settings)

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        one, add = f"{OBJECTS_PATH}/{{key:path}}", app.add_api_route
        shown = '{"key": "data/default/run-06f3k8m2q9s1tbvx/clean/1/out", "bytes": 51200, "modified": 1795271167.2}\n'
        content = {_LINES: {"schema": {"type": "string"}, "example": shown}}
        lines: Responses = {200: {"description": "One object a line", "content": content}}
        add(OBJECTS_PATH, self.list_objects, methods=["GET"], tags=["mesh"], responses=lines)
        found = {
            **stream_of([OCTETS], "The bytes", 206, binary=True),
            **problems("object-missing", "bad-range"),
        }
        add(one, self.get, methods=["GET"], tags=["mesh"], responses=found)
        body = {
            "requestBody": {
                "required": False,  # no body is an empty object
                "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}, "example": "any bytes"}},
            }
        }
        made = {**answers(StoredObject, 201, "It is there"), **problems("store-full", "conflict")}
        add(one, self.put, methods=["PUT"], status_code=201, tags=["mesh"], openapi_extra=body, responses=made)
        gone = {**no_content("It is gone"), **problems("object-missing")}
        add(one, self.delete, methods=["DELETE"], status_code=204, tags=["mesh"], responses=gone)
        add(
            TICKETS_PATH,
            self.ticket,
            methods=["POST"],
            tags=["mesh"],
            openapi_extra=json_body(TicketWish),
            responses=answers(Ticket) | problems("request-invalid"),
        )

    @access(Action.READ, Kind.OBJECT)
    async def get(self, request: Request, key: Key) -> Response:
        """The bytes of an object, or a range of them (`Range` is understood)."""
        size = await self._objects.size(key)
        span = span_of(request.headers.get("range"), size) if request.method == "GET" else None
        start, end = span or (0, size)
        if span is not None and start >= end:
            detail = f"there is no such range in the {size:,} bytes of {key}"
            return ProblemResponse("bad-range", 416, detail, {"content-range": f"bytes */{size}"})
        headers = {"accept-ranges": "bytes", "x-content-type-options": "nosniff", "cache-control": "private, no-store"}
        if span is not None:
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        status = 206 if span else 200
        # Who found bytes damaged asks past the gateway's own copy.
        again = "no-cache" in request.headers.get("cache-control", "")
        if end - start <= READ_BYTES and request.method == "GET":
            return Response(await self._objects.piece(key, start, end, again=again), status, headers, OCTETS)
        headers["content-length"] = str(end - start)
        pieces = self._objects.pieces(key, start, end, again=again)
        return Stream(pieces, OCTETS, self._gateway.settings.stall_s, headers, status)

    @access(Action.WRITE, Kind.OBJECT)
    async def put(self, request: Request, key: Key) -> Response:
        """Store the raw body under a key that is never written twice; it is visible when it is whole, and not before.

        Keys begin with `data/` or `contracts/`; with a ticket, only those of attempts that its instance has at work.
        """
        declared = request.headers.get("content-length", "")
        length = int(declared) if declared.isdecimal() else None
        stored = await self._objects.put(actor_of(request), key, request.stream(), length)
        return Json(document(stored), 201)

    @access(Action.DELETE, Kind.OBJECT)
    async def delete(self, request: Request, key: Key) -> Response:
        """Delete an object. With the join token, only below attempts that are at work; with a ticket, only below those of its
        instance."""
        if not await self._objects.delete(actor_of(request), key):
            raise ObjectMissing(f"there is no object {key}")
        return Response(status_code=204)

    @access(Action.LIST, Kind.OBJECT)
    async def list_objects(self, prefix: Prefix = "") -> Response:
        """Every object below a prefix, a line each."""
        lines = await begun(self._objects.below(prefix))
        return Stream(lines, _LINES, self._gateway.settings.stall_s)

    @access(Action.JOIN, Kind.MESH)
    async def ticket(self, request: Request) -> Response:
        """A ticket for the executors of an instance: it reads objects, writes results of its attempts, and joins nothing."""
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        wish = read_model(TicketWish, read_json(body))
        ticket, valid_s = ("", 0.0) if self._tokens is None else self._tokens.ticket(wish.instance)
        return Json(Ticket(ticket=ticket, valid_s=valid_s).model_dump())

"""`/flows` and `/validate`: flows kept by name and revision, and everything that is wrong with one."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.bodies import read_body, read_json
from gateway.core import Gateway
from gateway.documents.document import answers, no_content
from gateway.documents.flows import FlowDiff, FlowList, FlowSaved, RevisionList, SavedFlow, Validation
from gateway.documents.problem import problems
from gateway.errors import BadRequest
from gateway.parameters import Cursor, OneNamespace, header
from gateway.requests import FlowBody
from gateway.routing import API, actor_of, json_body

YAML, JSON = "application/yaml", "application/json"
_MOST = 2**31 - 1

Namespace = Annotated[str, Path(description="The flow's namespace", max_length=1000, examples=["sales"])]
Name = Annotated[str, Path(description="The flow's name", max_length=1000, examples=["report"])]
Revision = Annotated[int | None, Query(ge=1, le=_MOST, description="The number of a revision; the newest otherwise")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Entries of a page")]

_CONDITION = re.compile(r'"(\d{1,9})"|(\d{1,9})')
_CONDITION_TEXT = 'Save only if this is the newest revision, like `"3"`; 409 otherwise. `"0"`: only if there is none'
_IF_MATCH = header("If-Match", _CONDITION_TEXT, '"3"', 100)
_TEXT = """\
flow: sales/report
nodes:
  load: {module: csv.read, in: ${inputs.orders}}  # comments are kept
inputs: {orders: {kind: file}}
"""


class FlowRoutes:
    """Endpoints about flows."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        many, one = f"{API}/flows", f"{API}/flows/{{namespace}}/{{name}}"
        add, tags = app.add_api_route, ["flows"]
        add(
            one,
            self.put,
            methods=["PUT"],
            tags=[*tags],
            openapi_extra={**_body(), "parameters": [_IF_MATCH]},
            responses=answers(FlowSaved, 200, "What is there now; 201: as a new revision", 201)
            | problems("conflict", "flow-invalid"),
        )
        add(many, self.list_flows, methods=["GET"], tags=[*tags], responses=answers(FlowList))
        found = answers(SavedFlow)
        found[200]["content"][YAML] = {"schema": {"type": "string"}, "example": _TEXT}
        add(one, self.get, methods=["GET"], tags=[*tags], responses=found)
        add(one, self.delete, methods=["DELETE"], status_code=204, tags=[*tags], responses=no_content("It is gone"))
        for path, endpoint, model in (
            (f"{one}/revisions", self.revisions, RevisionList),
            (f"{one}/diff", self.diff, FlowDiff),
        ):
            add(path, endpoint, methods=["GET"], tags=[*tags], responses=answers(model))
        add(
            f"{API}/validate",
            self.validate,
            methods=["POST"],
            tags=[*tags],
            openapi_extra=_body(),
            responses=answers(Validation),
        )

    @access(Action.WRITE, Kind.FLOW)
    async def put(
        self,
        request: Request,
        namespace: Namespace,
        name: Name,
        message: Annotated[str, Query(description="What changed, for the history", max_length=1000)] = "",
    ) -> Response:
        """Save a flow as the next revision of its name. The text is kept as it is, with its comments.

        The text of the newest revision again changes nothing (`unchanged`).
        """
        body, kind = await self._source(request)
        document, is_new = await self._gateway.saved.save(
            namespace,
            name,
            body,
            media_type=kind,
            message=message,
            actor=actor_of(request).name,
            expected=_expected(request.headers.get("if-match")),
        )
        return Json(document, 201 if is_new else 200, {"etag": f'"{document["revision"]}"'})

    @access(Action.LIST, Kind.FLOW)
    async def list_flows(
        self,
        namespace: OneNamespace = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Saved flows by namespace and name, each with its newest revision, page by page."""
        return Json(await self._gateway.saved.list_flows(namespace, cursor, limit))

    @access(Action.READ, Kind.FLOW)
    async def get(self, request: Request, namespace: Namespace, name: Name, revision: Revision = None) -> Response:
        """One revision: its text as it was put, and the canonical flow. `Accept: application/yaml` gives the text alone."""
        document = await self._gateway.saved.get(namespace, name, revision)
        headers = {"etag": f'"{document["revision"]}"', "vary": "accept"}
        if YAML in request.headers.get("accept", ""):
            headers["x-content-type-options"] = "nosniff"
            return Response(document["text"], media_type=YAML, headers=headers)
        return Json(document, headers=headers)

    @access(Action.DELETE, Kind.FLOW)
    async def delete(self, namespace: Namespace, name: Name) -> Response:
        """Delete a saved flow. Its runs stay, and its number goes on rising when the name is used again."""
        await self._gateway.saved.delete(namespace, name)
        return Response(status_code=204)

    @access(Action.LIST, Kind.FLOW)
    async def revisions(self, namespace: Namespace, name: Name, cursor: Cursor = None, limit: Limit = 100) -> Response:
        """The revisions of a saved flow, newest first, with who saved them and why, page by page."""
        return Json(await self._gateway.saved.revisions(namespace, name, cursor, limit))

    @access(Action.READ, Kind.FLOW)
    async def diff(
        self,
        namespace: Namespace,
        name: Name,
        old: Annotated[
            int | None,
            Query(alias="from", ge=1, le=_MOST, description="A revision; the one before the newest otherwise"),
        ] = None,
        new: Annotated[
            int | None, Query(alias="to", ge=1, le=_MOST, description="Another one; the newest otherwise")
        ] = None,
    ) -> Response:
        """What changed between two revisions, by the parts of the flow and line by line."""
        return Json(await self._gateway.saved.diff(namespace, name, old, new))

    @access(Action.VALIDATE, Kind.FLOW)
    async def validate(
        self, request: Request, strict: Annotated[bool, Query(description="Absent modules are errors")] = False
    ) -> Response:
        """Problems and warnings of a flow, all at once, with line and column where the body is YAML."""
        body, kind = await self._source(request)
        source: Any = body if kind == YAML else read_json(body)
        return Json(await self._gateway.explain.validate(source, strict=strict))

    async def _source(self, request: Request) -> tuple[bytes, str]:
        """The body and its type. Raises `BadRequest`, `LimitExceeded`."""
        body = await read_body(request, self._gateway.settings.json_limit_bytes)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in {YAML, JSON}:
            raise BadRequest(f"send the flow as {YAML} or {JSON}, not as {kind[:100] or 'nothing'}")
        return body, kind


def _body() -> dict[str, Any]:
    return json_body(FlowBody, {YAML: _TEXT})


def _expected(condition: str | None) -> int | None:
    """The revision in an `If-Match`. Raises `BadRequest`."""
    if condition is None or condition.strip() == "*":
        return None
    match = _CONDITION.fullmatch(condition.strip())
    if match is None:
        raise BadRequest(f'If-Match is the number of a revision, like "3", not {condition[:60]!r}')
    return int(match[1] or match[2])

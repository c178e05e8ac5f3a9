"""`/validate`: everything that is wrong with a flow, without running it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.bodies import read_body, read_json
from gateway.core import Gateway
from gateway.errors import BadRequest
from gateway.routing import API, json_body, responses

YAML = "application/yaml"


class FlowRoutes:
    """Endpoints about flows."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        docs = json_body({"type": "object", "description": "A flow as a JSON object"}, YAML)
        app.add_api_route(
            f"{API}/validate",
            self.validate,
            methods=["POST"],
            tags=["flows"],
            openapi_extra=docs,
            responses=responses(400, 413),
        )

    @access(Action.VALIDATE, Kind.FLOW)
    async def validate(
        self, request: Request, strict: Annotated[bool, Query(description="Absent modules are errors")] = False
    ) -> Response:
        """Problems and warnings of a flow, all at once, with line and column where the body is YAML."""
        body = await read_body(request, self._gateway.settings.json_limit_bytes)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        source: Any
        if kind == YAML:
            source = body
        elif kind == "application/json":
            source = read_json(body)
        else:
            raise BadRequest(f"send the flow as {YAML} or application/json, not as {kind or 'nothing'}")
        return Json(await self._gateway.validate(source, strict=strict))

"""`/data/usage`, `/data/gc`, `/runs/{run}/pin`: what is kept, and what makes room."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.bodies import read_json, read_json_body, read_model
from gateway.core import Gateway
from gateway.documents.document import answers, no_content
from gateway.documents.problem import problems
from gateway.documents.retention import Pin, Swept, Usage
from gateway.parameters import RunId
from gateway.retention import CollectRequest, PinRequest, Retention, Sweeping
from gateway.routing import API, actor_of, json_body


class RetentionRoutes:
    """Endpoints about what is kept."""

    def __init__(self, gateway: Gateway, sweeper: Sweeping | None) -> None:
        self._gateway = gateway
        self._retention = Retention(gateway.runtime, gateway.state, sweeper)

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        add = app.add_api_route
        usage = answers(Usage) | problems("not-reachable")
        add(f"{API}/data/usage", self.usage, methods=["GET"], tags=["data"], responses=usage)
        collect = json_body(CollectRequest, required=False)
        swept = answers(Swept) | problems("conflict", "not-reachable", "request-invalid")
        path = f"{API}/data/gc"
        add(path, self.collect, methods=["POST"], tags=["data"], openapi_extra=collect, responses=swept)
        pin = f"{API}/runs/{{run}}/pin"
        asked = json_body(PinRequest)
        kept = answers(Pin) | problems("conflict", "request-invalid")
        add(pin, self.pin, methods=["POST"], tags=["runs"], openapi_extra=asked, responses=kept)
        free = no_content("Retention decides again")
        add(pin, self.unpin, methods=["DELETE"], status_code=204, tags=["runs"], responses=free)

    @access(Action.READ, Kind.DATA)
    async def usage(self, request: Request) -> Response:
        """What is kept, by kind, flow and namespace; what holds it beyond its time; what is about to go."""
        return Json(await self._retention.sweeper.usage())

    @access(Action.DELETE, Kind.DATA)
    async def collect(self, request: Request) -> Response:
        """Sweep everything now. Data is gone for everybody at once; its objects are deleted some minutes later."""
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        asked = read_model(CollectRequest, read_json(body)) if body else CollectRequest()
        return Json(await self._retention.sweeper.collect(asked.dry_run))

    @access(Action.WRITE, Kind.RUN)
    async def pin(self, request: Request, run: RunId) -> Response:
        """Keep a run with all it has, whatever retention says. A second pin replaces the first."""
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        asked = read_model(PinRequest, read_json(body))
        return Json(await self._retention.pin(run, asked, actor_of(request).name))

    @access(Action.WRITE, Kind.RUN)
    async def unpin(self, request: Request, run: RunId) -> Response:
        """Let retention decide again."""
        await self._retention.unpin(run)
        return Response(status_code=204)

"""`/flows:explain` and `/runs/{run}/edges`: which columns a flow uses, and what a run saved by it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.bodies import read_json_body
from gateway.core import Gateway
from gateway.documents.document import answers
from gateway.documents.plan import Explanation, RunEdges
from gateway.documents.problem import problems
from gateway.edges import edges
from gateway.explain import ExplainRequest
from gateway.parameters import RunId
from gateway.routing import API, json_body


class PlanRoutes:
    """Endpoints about plans."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route(
            f"{API}/flows:explain",
            self.explain,
            methods=["POST"],
            tags=["flows"],
            openapi_extra=json_body(ExplainRequest),
            responses=answers(Explanation) | problems("not-found", "flow-invalid", "request-invalid"),
        )
        path = f"{API}/runs/{{run}}/edges"
        app.add_api_route(path, self.edges, methods=["GET"], tags=["runs"], responses=answers(RunEdges))

    @access(Action.VALIDATE, Kind.FLOW)
    async def explain(self, request: Request) -> Response:
        """The plan of a flow: by node, which columns come in, are read, come out and are used, and what is not known, and why.

        What is wrong with the flow is said too, columns and types included. Nothing runs. Modules that plan themselves are
        asked, for at most five seconds.
        """
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        return Json(await self._gateway.explain.explain(body))

    @access(Action.READ, Kind.RUN)
    async def edges(self, run: RunId) -> Response:
        """What went over the edges of a run: bytes handed over, saved, written and passed on."""
        gateway = self._gateway
        return Json(await gateway.state.read(edges, gateway.views, run))

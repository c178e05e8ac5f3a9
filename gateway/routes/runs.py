"""`/runs`: submit, look, wait, follow, cancel."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json, Stream
from gateway.bodies import read_json, read_json_body, read_model
from gateway.core import CancelRequest, Gateway, RunRequest
from gateway.errors import BadRequest
from gateway.events import is_over, read_page, stream
from gateway.routing import API, actor_of, json_body, query, responses

_KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 200},
    "description": "The same key again (in the flow's namespace) answers with the run that it made before",
}
_WAIT = query(("wait_s", "number", "Answer when the run has ended, or after so many seconds (at most 60)"))


class RunRoutes:
    """Endpoints about runs."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        path, one = f"{API}/runs", f"{API}/runs/{{run}}"
        add = app.add_api_route
        submit_docs = {**json_body(RunRequest.model_json_schema()), "parameters": [_KEY_HEADER]}
        cancel_docs = json_body(CancelRequest.model_json_schema(), required=False)
        tags: list[str] = ["runs"]
        add(
            path,
            self.submit,
            methods=["POST"],
            status_code=202,
            tags=[*tags],
            openapi_extra=submit_docs,
            responses=responses(400, 413, 422, 503),
        )
        add(path, self.list_runs, methods=["GET"], tags=[*tags], responses=responses(400, 422))
        docs = {"parameters": [_path("run"), *_WAIT]}
        add(one, self.get, methods=["GET"], tags=[*tags], openapi_extra=docs, responses=responses(404))
        add(
            f"{one}/cancel",
            self.cancel,
            methods=["POST"],
            status_code=202,
            tags=[*tags],
            openapi_extra={**cancel_docs, "parameters": [_path("run")]},
            responses=responses(404, 503),
        )
        add(f"{one}/events", self.events, methods=["GET"], tags=[*tags], responses=responses(404))

    @access(Action.SUBMIT, Kind.RUN)
    async def submit(self, request: Request) -> Response:
        """Submit a run. The answer (202) has `id`, `state` and `warnings`, such as modules that nobody serves now."""
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        key = request.headers.get("idempotency-key")
        accepted = await self._gateway.submit(body, key, actor_of(request).name)
        return Json(accepted, 202, {"location": f"{API}/runs/{accepted['id']}"})

    @access(Action.READ, Kind.RUN)
    async def get(self, request: Request) -> Response:
        """One run with its steps and outputs."""
        wait_s = _seconds(request.query_params.get("wait_s"))
        return Json(await self._gateway.run(request.path_params["run"], wait_s))

    @access(Action.LIST, Kind.RUN)
    async def list_runs(
        self,
        state: Annotated[list[str], Query(description="One or more states; commas separate them too")] = [],  # noqa: B006
        flow: Annotated[str | None, Query(description="A flow's name, or `NAMESPACE/NAME`")] = None,
        namespace: str | None = None,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> Response:
        """Runs, newest first, page by page."""
        states = [part for given in state for part in given.split(",") if part]
        return Json(await self._gateway.runs(namespace=namespace, flow=flow, states=states, cursor=cursor, limit=limit))

    @access(Action.CANCEL, Kind.RUN)
    async def cancel(self, request: Request) -> Response:
        """Ask for a run's end. Nothing new starts once this is answered; what runs gets ten seconds to stop."""
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        asked = read_model(CancelRequest, read_json(body)) if body else CancelRequest()
        run = request.path_params["run"]
        return Json(await self._gateway.cancel(run, asked.reason, actor_of(request).name), 202)

    @access(Action.READ, Kind.RUN)
    async def events(self, request: Request, run: str) -> Response:
        """What happens to a run, as server-sent events: `change` frames, then `end`.

        `Last-Event-ID` (or `?after=`) continues behind that number; 204 says that nothing will come any more.
        """
        last = request.headers.get("last-event-id")
        after = _number(last if last is not None else request.query_params.get("after"))
        gateway = self._gateway
        page = await gateway.state.read(read_page, run, after)
        if last is not None and is_over(page, after):
            return Response(status_code=204)  # tells a browser to stop asking
        pieces = stream(gateway.state, gateway.waiting, gateway.settings, run, after)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return Stream(pieces, "text/event-stream", gateway.settings.stall_s, headers)


def _path(name: str) -> dict[str, object]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _seconds(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise BadRequest(f"wait_s must be a number of seconds, not {text[:40]!r}")
    return seconds


def _number(text: str | None) -> int:
    if text is None or text == "":
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise BadRequest(f"the number of the last event must be a whole number, not {text[:40]!r}")
    return int(text)

"""`/runs`: submit one or many, run again, look, wait, follow, list, cancel, delete."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json, Stream
from gateway.batch import submit_batch
from gateway.bodies import read_json, read_json_body, read_model
from gateway.core import Gateway
from gateway.documents.document import answers, frames_of, no_content
from gateway.documents.frames import RunChange, RunEnd
from gateway.documents.problem import problems
from gateway.documents.runs import AcceptedRerun, AcceptedRun, BatchAnswer, ControlledRun, RunList, ShownRun
from gateway.errors import BadRequest
from gateway.events import is_over, read_page, stream
from gateway.parameters import RUN_PARAMETER, TRACE_HEADER, Cursor, OneNamespace, RunId, header, query
from gateway.requests import BatchRequest, ControlRequest, RerunRequest, RunRequest
from gateway.routing import API, actor_of, json_body

_KEY = "The same key again (in the flow's namespace) answers with the run that it made before"
_KEY_HEADER = header("Idempotency-Key", _KEY, "orders-2026-11-20", 200)
_WAIT_TEXT = "Answer when the run has ended, or after so many seconds (at most 60)"
_WAIT = query("wait_s", {"type": "number", "minimum": 0, "examples": [0]}, _WAIT_TEXT)
_MOST_EVENTS = 10**15 - 1
_NUMBER = {"type": "integer", "minimum": 0, "maximum": _MOST_EVENTS, "examples": [0]}
_AFTER = query("after", _NUMBER, "Continue behind this number, where `Last-Event-ID` cannot be sent")
_LAST_EVENT = header("Last-Event-ID", "Continue behind this number", "0", 15)
_FRAMES = """\
id: 1
event: change
data: {"run":"run-06f3k8m2q9s1tbvx","seq":1,"at":1795271167.2,"changes":[{"change":"run","state":"running"}]}

"""

Text = Annotated[str, Field(max_length=400)]
Time = Annotated[float | None, Field(ge=0, le=1e11, allow_inf_nan=False)]
States = Annotated[list[Text], Query(description="One or more states; commas separate them too", max_length=100)]


class RunRoutes:
    """Endpoints about runs."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        path, one = f"{API}/runs", f"{API}/runs/{{run}}"
        add, tags = app.add_api_route, ["runs"]
        add(
            path,
            self.submit,
            methods=["POST"],
            status_code=202,
            tags=[*tags],
            openapi_extra={**json_body(RunRequest), "parameters": [_KEY_HEADER, TRACE_HEADER]},
            responses=answers(AcceptedRun, 202, "The run is written down")
            | problems("not-found", "conflict", "request-invalid", "flow-invalid", "ownership-lost", "stopping"),
        )
        add(
            f"{path}:batch",
            self.submit_batch,
            methods=["POST"],
            tags=[*tags],
            openapi_extra={**json_body(BatchRequest), "parameters": [TRACE_HEADER]},
            responses=answers(BatchAnswer),
        )
        add(path, self.list_runs, methods=["GET"], tags=[*tags], responses=answers(RunList))
        add(
            one,
            self.get,
            methods=["GET"],
            tags=[*tags],
            openapi_extra={"parameters": [RUN_PARAMETER, _WAIT]},
            responses=answers(ShownRun),
        )
        gone = no_content("It is gone") | problems("conflict")
        add(one, self.delete, methods=["DELETE"], status_code=204, tags=[*tags], responses=gone)
        wishes = ((f"{one}/cancel", self.cancel), (f"{one}/pause", self.pause), (f"{one}/resume", self.resume))
        for wish, endpoint in wishes:
            refused = problems("request-invalid", "ownership-lost", *(() if endpoint == self.cancel else ("conflict",)))
            add(
                wish,
                endpoint,
                methods=["POST"],
                status_code=202,
                tags=[*tags],
                openapi_extra={**json_body(ControlRequest, required=False), "parameters": [RUN_PARAMETER]},
                responses=answers(ControlledRun, 202, "It is written down") | refused,
            )
        add(
            f"{one}/rerun",
            self.rerun,
            methods=["POST"],
            status_code=202,
            tags=[*tags],
            openapi_extra={
                **json_body(RerunRequest, required=False),
                "parameters": [RUN_PARAMETER, _KEY_HEADER, TRACE_HEADER],
            },
            responses=answers(AcceptedRerun, 202, "The run is written down")
            | problems("not-found", "conflict", "request-invalid", "flow-invalid", "ownership-lost", "stopping"),
        )
        add(
            f"{one}/events",
            self.events,
            methods=["GET"],
            tags=[*tags],
            openapi_extra={"parameters": [_LAST_EVENT, _AFTER]},
            responses={
                **frames_of(
                    {"change": RunChange, "end": RunEnd},
                    "Frames `change`, whose id is the number of the event row, and `end`",
                    _FRAMES,
                ),
                **no_content("Nothing will come any more"),
            },
        )

    @access(Action.SUBMIT, Kind.RUN)
    async def submit(self, request: Request) -> Response:
        """Submit a run. The answer (202) has `id`, `state` and `warnings`, such as modules that nobody serves now."""
        begun = self._gateway.tracing.begin()
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        key = request.headers.get("idempotency-key")
        accepted = await self._gateway.runs.submit(body, key, actor_of(request).name)
        self._gateway.tracing.end(request, begun, (accepted,))
        return Json(accepted, 202, {"location": f"{API}/runs/{accepted['id']}"})

    @access(Action.SUBMIT, Kind.RUN)
    async def submit_batch(self, request: Request) -> Response:
        """Submit up to 10,000 runs at once. Each stands alone: the answer says of each what came of it.

        With `idempotency_key`, the same batch can be sent again after a broken connection: no run is made twice.
        """
        begun = self._gateway.tracing.begin()
        body = await read_json_body(request, self._gateway.settings.batch_limit_bytes)
        answer = await submit_batch(self._gateway.runs, body, actor_of(request).name)
        self._gateway.tracing.end(request, begun, (one for one in answer["runs"] if "id" in one))
        return Json(answer)

    @access(Action.READ, Kind.RUN)
    async def get(self, request: Request) -> Response:
        """One run with its steps and outputs."""
        wait_s = _seconds(request.query_params.get("wait_s"))
        return Json(await self._gateway.runs.get(request.path_params["run"], wait_s, request.is_disconnected))

    @access(Action.LIST, Kind.RUN)
    async def list_runs(
        self,
        *,
        state: States = [],  # noqa: B006
        flow: Annotated[str | None, Query(description="A flow's name, or `NAMESPACE/NAME`", max_length=1000)] = None,
        namespace: OneNamespace = None,
        label: Annotated[list[Text], Query(description="`NAME:VALUE`; of several, a run has all", max_length=64)] = [],  # noqa: B006
        since: Annotated[Time, Query(description="Submitted then or later, in Unix seconds")] = None,
        until: Annotated[Time, Query(description="Submitted before, in Unix seconds")] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Runs of a page")] = 50,
    ) -> Response:
        """Runs, newest first, page by page. New runs do not move what is on a later page."""
        found = await self._gateway.runs.list_runs(
            states=[part for given in state for part in given.split(",") if part],
            flow=flow,
            namespace=namespace,
            labels=label,
            since=since,
            until=until,
            cursor=cursor,
            limit=limit,
        )
        return Json(found)

    @access(Action.DELETE, Kind.RUN)
    async def delete(self, run: RunId) -> Response:
        """Delete a run that has ended: its steps, events and logs, and the data that no other run uses."""
        await self._gateway.runs.delete(run)
        return Response(status_code=204)

    @access(Action.SUBMIT, Kind.RUN)
    async def rerun(self, request: Request) -> Response:
        """Run again a run that has ended: a new run of the very same revision of its flow, whose `origin` it is.

        Steps that were accepted are recovered: they are not executed, and their data is the same. Steps are executed that
        did not succeed, or are asked for, or would see another param or input than they did, and all below them.
        """
        begun = self._gateway.tracing.begin()
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        key = request.headers.get("idempotency-key")
        run = request.path_params["run"]
        accepted = await self._gateway.reruns.rerun(run, body, key, actor_of(request).name)
        self._gateway.tracing.end(request, begun, (accepted,))
        return Json(accepted, 202, {"location": f"{API}/runs/{accepted['id']}"})

    @access(Action.CANCEL, Kind.RUN)
    async def cancel(self, request: Request) -> Response:
        """Ask for a run's end. Nothing new starts once this is answered; what runs gets ten seconds to stop."""
        return Json(await self._gateway.runs.cancel(*await self._asked(request)), 202)

    @access(Action.WRITE, Kind.RUN)
    async def pause(self, request: Request) -> Response:
        """Let nothing new of a run begin. What is at work goes on to its end, and its result counts.

        A run that is paused already stays so. Its time goes on: `timeout_s` and `deadline` end it all the same.
        """
        return Json(await self._gateway.runs.pause(*await self._asked(request)), 202)

    @access(Action.WRITE, Kind.RUN)
    async def resume(self, request: Request) -> Response:
        """Let a paused run go on where it was."""
        return Json(await self._gateway.runs.resume(*await self._asked(request)), 202)

    async def _asked(self, request: Request) -> tuple[str, str, str]:
        """The run that a wish is about, the reason, and who asks."""
        body = await read_json_body(request, self._gateway.settings.json_limit_bytes)
        asked = read_model(ControlRequest, read_json(body)) if body else ControlRequest()
        return request.path_params["run"], asked.reason, actor_of(request).name

    @access(Action.READ, Kind.RUN)
    async def events(self, request: Request, run: RunId) -> Response:
        """What happens to a run, as server-sent events: `change` frames, then `end`.

        `Last-Event-ID` (or `?after=`) continues behind that number; 204 says that nothing will come any more.
        """
        last = request.headers.get("last-event-id") or None
        asked = _number(request.query_params.get("after"))
        after = asked if last is None else _number(last)
        gateway = self._gateway
        page = await gateway.state.read(read_page, run, after)
        if last is not None and is_over(page, after):
            return Response(status_code=204)  # tells a browser to stop asking
        pieces = stream(gateway.state, gateway.waiting, gateway.settings, run, after)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return Stream(pieces, "text/event-stream", gateway.settings.stall_s, headers)


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
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise BadRequest(f"the number of the last event must be a whole number, not {text[:40]!r}")
    return int(text)

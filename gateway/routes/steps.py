"""`/runs/{run}/steps`: a run's steps: what they did and used, when, what they printed and left, how to run one again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json, Stream, begun
from gateway.core import Gateway
from gateway.documents.document import Responses, answers, stream_of
from gateway.documents.problem import problems
from gateway.documents.runs import OneStep, ReplayDocument, StepList, Timeline
from gateway.logs import Wanted, as_json_line, as_text_line
from gateway.parameters import CURSOR_CHARACTERS, RunId, StepId
from gateway.ranges import Ranged
from gateway.routing import API

LogFormat = Literal["jsonl", "text"]
Level = Literal["debug", "info", "warning", "error", "critical"]
ArtifactName = Annotated[str, Path(description="The artifact's name", max_length=1000, examples=["report.html"])]
StateText = Annotated[str, Field(max_length=200)]

Cursor = Annotated[str, Query(description="`next_cursor` of the page before", max_length=CURSOR_CHARACTERS)]
States = Annotated[list[StateText], Query(description="One or more states; commas separate them too", max_length=100)]

_LINES = {
    "application/x-ndjson": '{"n":1,"at":1795271167.2,"level":"info","stream":"stdout","text":"read 12 rows","epoch":1}\n',
    "text/plain": "read 12 rows\n",
}
_LOG_TYPES = {"jsonl": "application/x-ndjson", "text": "text/plain; charset=utf-8"}


class StepRoutes:
    """Endpoints about steps."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._ranged = Ranged(gateway.runtime, gateway.objects, gateway.reading)

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        run = f"{API}/runs/{{run}}"
        one = f"{run}/steps/{{step}}"
        lines = stream_of(_LINES, "Lines: JSON with n, at, level, stream, text, epoch")
        file = stream_of(["*/*"], "The bytes, of the type that the step gave them", 206, binary=True)
        file[304] = {"description": "It is what If-None-Match names"}
        documents: tuple[tuple[str, Callable[..., Any], Responses], ...] = (
            (f"{run}/steps", self.list_steps, answers(StepList)),
            (f"{run}/timeline", self.timeline, answers(Timeline)),
            (one, self.get, answers(OneStep)),
            (
                f"{one}/replay",
                self.replay,
                {**answers(ReplayDocument), **problems("conflict", "object-missing", "flow-invalid")},
            ),
        )
        streams: tuple[tuple[str, Callable[..., Any], Responses], ...] = (
            (f"{one}/logs", self.logs, {**lines, **problems("object-missing")}),
            (f"{one}/artifacts/{{name:path}}", self.artifact, {**file, **problems("object-missing", "bad-range")}),
        )
        add = app.add_api_route
        for path, endpoint, found in (*documents, *streams):
            add(path, endpoint, methods=["GET"], tags=["steps"], responses=found)

    @access(Action.LIST, Kind.RUN)
    async def list_steps(
        self,
        run: RunId,
        state: States = [],  # noqa: B006
        cursor: Cursor = "",
        limit: Annotated[int, Query(ge=1, le=5000, description="Steps of a page")] = 1000,
    ) -> Response:
        """Steps that something happened to, by id, with what they used and left, and how many are in each state."""
        states = [part for given in state for part in given.split(",") if part]
        return Json(await self._gateway.steps.page(run, states, cursor, limit))

    @access(Action.READ, Kind.RUN)
    async def timeline(
        self,
        run: RunId,
        cursor: Cursor = "",
        limit: Annotated[int, Query(ge=1, le=10_000, description="Steps of a page")] = 1000,
    ) -> Response:
        """When each step was in which state, from what was written down about the run; steps by id, page by page."""
        return Json(await self._gateway.steps.timeline(run, cursor, limit))

    @access(Action.READ, Kind.RUN)
    async def get(self, run: RunId, step: StepId) -> Response:
        """One step with its attempts, error and what it used."""
        return Json(await self._gateway.steps.get(run, step))

    @access(Action.READ, Kind.RUN)
    async def replay(self, run: RunId, step: StepId) -> Response:
        """What is needed to run a step again, elsewhere: module, version, params, and the references it was handed."""
        return Json(await self._gateway.steps.replay(run, step))

    @access(Action.READ, Kind.LOG)
    async def logs(
        self,
        run: RunId,
        step: StepId,
        *,
        epoch: Annotated[int | None, Query(ge=1, le=2**31, description="Of this attempt; the newest otherwise")] = None,
        level: Annotated[Level | None, Query(description="Lines of this level and above")] = None,
        search: Annotated[str, Query(description="Lines with this text, in upper or lower case", max_length=1000)] = "",
        after: Annotated[int, Query(ge=0, le=2**53, description="Lines behind the one with this number")] = 0,
        follow: Annotated[bool, Query(description="Go on with what comes, until the step has ended")] = False,
        format: Annotated[LogFormat, Query(description="jsonl, or text: what was printed, alone")] = "jsonl",
    ) -> Response:
        """What a step printed and logged, while it runs (every few seconds) and afterwards."""
        gateway = self._gateway
        wanted = Wanted(after, level, search)
        write = as_json_line if format == "jsonl" else as_text_line
        place = await gateway.logs.find(run, step, epoch)  # NotFound, while it can be told
        if follow:
            pieces = gateway.logs.follow(run, step, epoch, wanted, write)
        else:
            pieces = await begun(gateway.logs.lines(place, wanted, write))
        headers = {"x-content-type-options": "nosniff", "cache-control": "no-store", "x-accel-buffering": "no"}
        return Stream(pieces, _LOG_TYPES[format], gateway.settings.stall_s, headers)

    @access(Action.READ, Kind.DATA)
    async def artifact(self, request: Request, run: RunId, step: StepId, name: ArtifactName) -> Response:
        """A file that a step left for people, to be saved; `Range`, `If-Range` and `If-None-Match` are understood."""
        file = await self._gateway.steps.artifact(run, step, name)
        return await self._ranged.answer(request, file, self._gateway.settings.stall_s)

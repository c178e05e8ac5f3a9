"""`/runs/{run}/steps`: a run's steps, their logs and their outputs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json, Stream, attachment, begun
from gateway.core import Gateway
from gateway.errors import BadRequest
from gateway.routing import API, responses

FORMATS = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
}
Format = Literal["csv", "jsonl", "parquet", "arrow"]
LogFormat = Literal["json", "jsonl", "text"]

RunId = Annotated[str, Path(description="The run's id")]
StepId = Annotated[str, Path(description="The step's id: the node's name, or `node.3` of a mapped node")]
Port = Annotated[str, Path(description="The output port")]
Columns = Annotated[str | None, Query(description="Only these columns, separated by commas")]


class StepRoutes:
    """Endpoints about steps."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        steps = f"{API}/runs/{{run}}/steps"
        one, port = f"{steps}/{{step}}", f"{steps}/{{step}}/outputs/{{port}}"
        routes = (
            (steps, self.list_steps),
            (one, self.get),
            (f"{one}/log", self.log),
            (port, self.rows),
            (f"{port}/download", self.download),
        )
        for path, endpoint in routes:
            app.add_api_route(
                path, endpoint, methods=["GET"], tags=["steps"], responses=responses(404, 410, 413, 422, 503)
            )

    @access(Action.LIST, Kind.RUN)
    async def list_steps(
        self,
        run: RunId,
        cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    ) -> Response:
        """Steps that something happened to, by id, and how many are in each state."""
        views = self._gateway.views
        return Json(await self._gateway.state.read(views.steps, run, cursor, limit))

    @access(Action.READ, Kind.RUN)
    async def get(self, run: RunId, step: StepId) -> Response:
        """One step with its attempts, error and what it used."""
        return Json(await self._gateway.state.read(self._gateway.views.step, run, step))

    @access(Action.READ, Kind.LOG)
    async def log(
        self,
        run: RunId,
        step: StepId,
        format: LogFormat = "json",
        epoch: Annotated[int | None, Query(description="Of this attempt; the newest that has a log otherwise")] = None,
    ) -> Response:
        """What the step printed and logged: lines of `at`, `level`, `stream`, `text`, once the attempt has ended."""
        gateway = self._gateway
        log = await gateway.log(run, step, epoch)
        if log is None:
            return Json({"lines": [], "truncated": False}) if format == "json" else Response(media_type="text/plain")
        request = {"op": "log", "key": log["key"], "format": format, "truncated": log.get("truncated", False)}
        if format == "json":
            return Json(await gateway.reader.ask(**request))
        kind = "text/plain; charset=utf-8" if format == "text" else FORMATS["jsonl"]
        headers = {"x-content-type-options": "nosniff"}
        return Stream(await begun(gateway.reader.stream(**request)), kind, gateway.settings.stall_s, headers)

    @access(Action.READ, Kind.DATA)
    async def rows(
        self,
        run: RunId,
        step: StepId,
        port: Port,
        *,
        offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int | None, Query(ge=0)] = None,
        columns: Columns = None,
    ) -> Response:
        """Rows of an output: `rows` (objects), `columns` (name and Arrow type), `total`, `truncated`.

        What JSON cannot hold is text: decimals, times (ISO 8601), binary (base64), NaN and infinities.
        """
        settings = self._gateway.settings
        wanted = settings.rows_default if limit is None else limit
        if wanted > settings.rows_limit:
            raise BadRequest(f"limit is at most {settings.rows_limit:,}: ask page by page, or download the table")
        return Json(await self._gateway.rows(run, step, port, offset=offset, limit=wanted, columns=_names(columns)))

    @access(Action.READ, Kind.DATA)
    async def download(
        self, run: RunId, step: StepId, port: Port, format: Format = "csv", columns: Columns = None
    ) -> Response:
        """A whole output: a table in the asked format, a file as it is, a value as JSON."""
        gateway = self._gateway
        reference = await gateway.output(run, step, port)
        kind = reference.get("of", reference["kind"])
        pieces = await begun(gateway.download(reference, format, _names(columns)))
        if kind == "table":
            name, media_type = f"{run}-{step}-{port}.{format}", FORMATS[format]
        elif kind == "value":
            name, media_type = f"{run}-{step}-{port}.json", "application/json"
        else:
            name, media_type = reference.get("name", f"{run}-{step}-{port}"), "application/octet-stream"
        return Stream(pieces, media_type, gateway.settings.stall_s, attachment(name))


def _names(columns: str | None) -> list[str] | None:
    return None if columns is None else [name for name in columns.split(",") if name]

"""`/runs/{run}/steps/{step}/outputs/{port}`: what a step made: schema, rows, figures, downloads."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json, Stream, attachment
from gateway.column_names import column_names, sort_keys
from gateway.core import Gateway
from gateway.data import Page
from gateway.errors import BadRequest
from gateway.routing import API, responses
from plugmesh.expressions.parse import MAX_LENGTH

FORMATS = {
    "csv": "text/csv; charset=utf-8; header=present",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
FORMULAS = "x-plugmesh-formulas"
"""Header of a download as CSV or Excel: `marked`, or `kept` when the protection was switched off."""
SORT_KEYS = 16
LIST_LIMIT = 100_000
"""Characters in a list of columns."""

Format = Literal["csv", "json", "jsonl", "parquet", "arrow", "xlsx"]
RunId = Annotated[str, Path(description="The run's id")]
StepId = Annotated[str, Path(description="The step's id: the node's name, or `node.3` of a mapped node")]
Port = Annotated[str, Path(description="The output port")]
Columns = Annotated[str | None, Query(description="Only these columns, separated by commas", max_length=LIST_LIMIT)]


class DataRoutes:
    """Endpoints about the data of steps."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        port = f"{API}/runs/{{run}}/steps/{{step}}/outputs/{{port}}"
        routes = (
            (port, self.rows, "output"),
            (f"{port}/rows", self.rows, "rows"),
            (f"{port}/schema", self.schema, "schema"),
            (f"{port}/stats", self.stats, "stats"),
            (f"{port}/download", self.download, "download"),
        )
        for path, endpoint, name in routes:
            app.add_api_route(
                path,
                endpoint,
                methods=["GET"],
                tags=["data"],
                name=name,
                responses=responses(404, 410, 413, 422, 503),
                include_in_schema=path != port,  # the same as its /rows, from before there was more to see
            )

    @access(Action.READ, Kind.DATA)
    async def schema(self, run: RunId, step: StepId, port: Port) -> Response:
        """What an output is: `rows`, `bytes`, and `columns` with `name`, Arrow `type` and `nullable`."""
        return Json(await self._gateway.data.schema(run, step, port))

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
        sort: Annotated[
            str | None, Query(description="Columns to sort by; a minus: downwards", max_length=LIST_LIMIT)
        ] = None,
        filter: Annotated[
            str | None, Query(description="Only rows for which this expression is true", max_length=MAX_LENGTH)
        ] = None,
    ) -> Response:
        """Rows of an output: `rows` (objects), `columns`, `offset`, `total`, `matched` (by the filter), `truncated`.

        What JSON cannot hold is text: decimals, times (ISO 8601), binary (base64), NaN and infinities. Nulls are
        sorted last, in both directions; rows that are equal keep their order.
        """
        settings = self._gateway.settings
        wanted = settings.rows_default if limit is None else limit
        if wanted > settings.rows_limit:
            raise BadRequest(f"limit is at most {settings.rows_limit:,}: ask page by page, or download the table")
        keys = () if sort is None else tuple(sort_keys(sort, SORT_KEYS))
        page = Page(offset, wanted, self._names(columns), keys, filter if filter and filter.strip() else None)
        return Json(await self._gateway.data.rows(run, step, port, page))

    @access(Action.READ, Kind.DATA)
    async def stats(self, run: RunId, step: StepId, port: Port, columns: Columns = None) -> Response:
        """Figures about each column.

        `nulls`, `distinct` (`distinct_exact`: or estimated), `min`, `max`, `mean`; `histogram` (`from`, `to`, `count`)
        of numbers and times, `top` (`value`, `count`) of text and booleans, `lengths` of lists and bytes; `nan` and
        `infinite` of floats, which nothing else counts in.
        """
        names = self._names(columns, self._gateway.settings.stats_columns_limit)
        return Json(await self._gateway.data.stats(run, step, port, names))

    @access(Action.READ, Kind.DATA)
    async def download(
        self,
        run: RunId,
        step: StepId,
        port: Port,
        *,
        format: Format = "csv",
        columns: Columns = None,
        formulas: Annotated[
            Literal["keep"] | None, Query(description="CSV, Excel: leave text that looks like a formula as it is")
        ] = None,
    ) -> Response:
        """A whole output: a table in the asked format, a file as it is, a value as JSON.

        In CSV and Excel, text that a program could take for a formula is marked as text (in CSV by an apostrophe).
        """
        gateway = self._gateway
        names = None if columns is None else column_names(columns, LIST_LIMIT)
        found = await gateway.data.download(run, step, port, format, names, keep_formulas=formulas == "keep")
        name, media_type = found.name or f"{run}-{step}-{port}", "application/octet-stream"
        if found.kind != "file":
            ending = format if found.kind == "table" else "json"
            name, media_type = f"{run}-{step}-{port}.{ending}", FORMATS[ending]
        headers = attachment(name)
        if found.kind == "table" and format in {"csv", "xlsx"}:
            headers[FORMULAS] = "kept" if formulas == "keep" else "marked"
        return Stream(found.pieces, media_type, gateway.settings.stall_s, headers)

    def _names(self, columns: str | None, limit: int | None = None) -> list[str] | None:
        most = self._gateway.settings.columns_limit if limit is None else limit
        return None if columns is None else column_names(columns, most)

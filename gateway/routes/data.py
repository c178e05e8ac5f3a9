"""`/runs/{run}/steps/{step}/outputs/{port}`: what a step made: schema, rows, figures, downloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json, Stream, attachment
from gateway.bodies import OCTETS
from gateway.column_names import column_names, sort_keys
from gateway.core import Gateway
from gateway.data import Page
from gateway.documents.data import FileOutput, TableRows, TableSchema, TableStats, ValueOutput
from gateway.documents.document import Responses, answers, stream_of
from gateway.documents.problem import problems
from gateway.errors import BadRequest
from gateway.parameters import Port, RunId, StepId
from gateway.routing import API
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
_MAY_FAIL = problems(
    "object-missing", "object-corrupt", "limit-exceeded", "data", "data-mismatch", "unreadable-data", "busy"
)

Offset = Annotated[int, Query(ge=0, le=2**53, description="Rows before the first one that is shown")]
Columns = Annotated[str | None, Query(description="Only these columns, separated by commas", max_length=LIST_LIMIT)]


class DataRoutes:
    """Endpoints about the data of steps."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        port = f"{API}/runs/{{run}}/steps/{{step}}/outputs/{{port}}"
        whole = stream_of([kind.partition(";")[0] for kind in (*FORMATS.values(), OCTETS)], "The output", binary=True)
        shown = {"schema": {"description": "Rows as objects, or the value"}, "example": [{"price": 1.5}]}
        lines = {"itemSchema": {"type": "object"}, "example": '{"price":1.5}\n'}
        whole[200]["content"] |= {FORMATS["json"]: shown, FORMATS["jsonl"]: lines}
        rows, schema = TableRows | FileOutput | ValueOutput, TableSchema | FileOutput | ValueOutput
        routes: tuple[tuple[str, Callable[..., Any], str, Responses], ...] = (
            (port, self.rows, "output", answers(rows)),
            (f"{port}/rows", self.rows, "rows", answers(rows)),
            (f"{port}/schema", self.schema, "schema", answers(schema)),
            (f"{port}/stats", self.stats, "stats", answers(TableStats | FileOutput | ValueOutput)),
            (f"{port}/download", self.download, "download", whole),
        )
        for path, endpoint, name, found in routes:
            app.add_api_route(
                path,
                endpoint,
                methods=["GET"],
                tags=["data"],
                name=name,
                responses={**found, **_MAY_FAIL},
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
        offset: Offset = 0,
        limit: Annotated[
            int | None, Query(ge=0, le=2**31, description="At most `rows_limit`, `rows_default` otherwise")
        ] = None,
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
        format: Annotated[Format, Query(description="Of a table; files come as they are, values as JSON")] = "csv",
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

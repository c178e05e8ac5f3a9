"""`/dlq`: dead letters: the rows that steps rejected."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json, Stream, attachment
from gateway.bodies import read_body, read_json, read_model
from gateway.core import Gateway
from gateway.data import Page
from gateway.dlq import FORMATS
from gateway.documents.data import TableRows
from gateway.documents.dlq import DeadLetter, DeadLetterList, DiscardRequest, OneDeadLetter, Redriven, RedriveRequest
from gateway.documents.document import answers, stream_of
from gateway.documents.problem import problems
from gateway.errors import BadRequest
from gateway.parameters import ID_CHARACTERS, TRACE_HEADER, Cursor
from gateway.routing import API, actor_of, json_body

_CHARACTERS = 320
LetterId = Annotated[
    str,
    Path(
        description="The letter's id: its run and step", max_length=_CHARACTERS, examples=["run-06qk3v9r2m8w0001.clean"]
    ),
]
Original = Annotated[bool, Query(description="As they were rejected, also if they were corrected since")]
_TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8; header=present"}
_READING = (
    "object-missing", "object-corrupt", "limit-exceeded", "data", "data-mismatch", "unreadable-data", "busy",
)  # fmt: skip
_SHOWN = {"application/x-ndjson": '{"order":7,"qty":1}\n', "text/csv": "order,qty\n7,1\n"}


class DeadLetterRoutes:
    """Endpoints about dead letters."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway, self._letters = gateway, gateway.dead_letters

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        many, one = f"{API}/dlq", f"{API}/dlq/{{letter}}"
        add, tags = app.add_api_route, ["dlq"]
        add(many, self.list_letters, methods=["GET"], tags=[*tags], responses=answers(DeadLetterList))
        add(one, self.get, methods=["GET"], tags=[*tags], responses=answers(OneDeadLetter))
        shown = {**answers(TableRows), **problems(*_READING)}
        add(f"{one}/rows", self.rows, methods=["GET"], tags=[*tags], responses=shown)
        whole = {**stream_of(_SHOWN, "The rows"), **problems(*_READING)}
        add(f"{one}/download", self.download, methods=["GET"], tags=[*tags], responses=whole)
        content = {kind: {"schema": {"type": "string"}, "example": text} for kind, text in _SHOWN.items()}
        add(
            f"{one}/rows",
            self.edit,
            methods=["PUT"],
            tags=[*tags],
            responses={**answers(DeadLetter), **problems("conflict", "request-invalid", "store-full", *_READING)},
            openapi_extra={"requestBody": {"required": True, "content": content}},
        )
        add(
            f"{one}/redrive",
            self.redrive,
            methods=["POST"],
            status_code=202,
            tags=[*tags],
            responses={
                **answers(Redriven, 202, "The run has them"),
                **problems("conflict", "flow-invalid", "store-full", *_READING),
            },
            openapi_extra={**json_body(RedriveRequest, required=False), "parameters": [TRACE_HEADER]},
        )
        add(
            f"{one}/discard",
            self.discard,
            methods=["POST"],
            tags=[*tags],
            responses={**answers(DeadLetter), **problems("conflict")},
            openapi_extra=json_body(DiscardRequest, required=False),
        )

    @access(Action.LIST, Kind.DATA)
    async def list_letters(
        self,
        *,
        run: Annotated[str | None, Query(description="Only of this run", max_length=ID_CHARACTERS)] = None,
        flow: Annotated[str | None, Query(description="Only of this flow", max_length=300)] = None,
        step: Annotated[
            str | None, Query(description="Only of this step, or of the elements of this mapped node", max_length=300)
        ] = None,
        state: Annotated[str | None, Query(description="Only open, redriven or discarded ones", max_length=40)] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Entries of a page")] = 100,
    ) -> Response:
        """Dead letters, newest first."""
        wanted = {"run": run, "flow": flow, "step": step, "state": state}
        return Json(await self._letters.list(**wanted, cursor=cursor, limit=limit))

    @access(Action.READ, Kind.DATA)
    async def get(self, letter: LetterId) -> Response:
        """One dead letter, and the inputs of its step that its rows can be given to."""
        return Json(await self._letters.get(letter))

    @access(Action.READ, Kind.DATA)
    async def rows(
        self,
        letter: LetterId,
        *,
        offset: Annotated[int, Query(ge=0, le=2**53, description="Rows before the first one that is shown")] = 0,
        limit: Annotated[
            int | None, Query(ge=0, le=2**31, description="At most `rows_limit`, `rows_default` otherwise")
        ] = None,
        original: Original = False,
    ) -> Response:
        """Rows of a dead letter with their reasons (`_reason`), as the rows of an output are shown."""
        settings = self._gateway.settings
        wanted = settings.rows_default if limit is None else limit
        if wanted > settings.rows_limit:
            raise BadRequest(f"limit is at most {settings.rows_limit:,}: ask page by page, or download the rows")
        return Json(await self._letters.rows(letter, Page(offset, wanted), original=original))

    @access(Action.READ, Kind.DATA)
    async def download(
        self,
        letter: LetterId,
        *,
        format: Annotated[Literal["jsonl", "csv"], Query(description="What `PUT …/rows` takes, too")] = "jsonl",
        original: Original = False,
    ) -> Response:
        """All rows of a dead letter, to be corrected and sent back."""
        found = await self._letters.download(letter, format, original=original)
        headers = attachment(f"{letter}.{format}")
        return Stream(found.pieces, _TYPES[format], self._gateway.settings.stall_s, headers)

    @access(Action.WRITE, Kind.DATA)
    async def edit(self, request: Request, letter: LetterId) -> Response:
        """Put corrected rows in the place of those of a dead letter; those that were rejected stay beside them.

        JSON lines, or CSV with a header (an empty cell is null). Rows may be fewer or more; a column that is left out is
        null. Every mistake is one of the `problems`: its `where` is `line:column`.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in FORMATS:
            raise BadRequest(f"send the rows as {' or '.join(FORMATS)}, and say so with Content-Type")
        body = await read_body(request, self._gateway.settings.json_limit_bytes)
        return Json(await self._letters.edit(letter, body, FORMATS[kind], actor_of(request).name))

    @access(Action.SUBMIT, Kind.RUN)
    async def redrive(self, request: Request, letter: LetterId) -> Response:
        """Give the rows of a dead letter to a new run of its flow: the step gets them in the place of the input that they
        came from, what is below it runs on what it makes of them, and the other steps are taken over from the first run.

        Once: asking again tells which run has them.
        """
        begun = self._gateway.tracing.begin()
        body = await read_body(request, self._gateway.settings.json_limit_bytes)
        asked = read_model(RedriveRequest, read_json(body)) if body else RedriveRequest()
        answer = await self._letters.redrive(letter, asked.port, actor_of(request).name)
        self._gateway.tracing.end(request, begun, ({"id": answer["run"], "repeated": answer["repeated"]},))
        return Json(answer, 202)

    @access(Action.WRITE, Kind.DATA)
    async def discard(self, request: Request, letter: LetterId) -> Response:
        """Give the rows of a dead letter up. They stay where they are, but no run gets them any more."""
        body = await read_body(request, self._gateway.settings.json_limit_bytes)
        asked = read_model(DiscardRequest, read_json(body)) if body else DiscardRequest()
        return Json(await self._letters.discard(letter, asked.reason, actor_of(request).name))

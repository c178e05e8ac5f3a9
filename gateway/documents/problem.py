"""Problems: what an answer that is an error looks like, and which of them a route may give."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Literal

from pydantic import Field, JsonValue

from gateway.documents.document import Document, Responses, example
from gateway.problems import MEDIA_TYPE
from plugmesh.codes.code import TYPE_PREFIX
from plugmesh.codes.examples import EXAMPLES, answer_to
from plugmesh.codes.table import CODES

CODES_OF = "x-plugmesh-codes"
"""Where the description of a problem's status says which codes it may come with."""


class FlowProblem(Document):
    """What is wrong with a flow at one place. Each `code` has a page in the reference of error codes."""

    level: int = Field(description="1: syntax, 2: form, 3: references, 4: columns, 5: what is live now")
    severity: Literal["error", "warning"]
    code: str
    message: str
    path: list[str | int]
    line: int | None = Field(default=None, description="From 1; null where the flow is no text")
    column: int | None = None
    file: str = "flow"
    hint: str


class FieldProblem(Document):
    """What is wrong with one field or parameter of a request."""

    where: str
    message: str
    hint: str = ""


class Problem(Document):
    """An answer that is an error (RFC 9457). `type` and `code` are stable: a code never changes its meaning."""

    model_config = example(
        type=TYPE_PREFIX + "not-found",
        title="Not found",
        status=404,
        detail="there is no module 'table.fliter' (did you mean 'table.filter'?)",
        code="not-found",
        args={"kind": "module", "name": "table.fliter"},
    )

    type: str = Field(description=f"`{TYPE_PREFIX}` and the code")
    title: str = Field(description="The same for each problem with this code")
    status: int
    detail: str = Field(description="For people: what happened, where, and what to do")
    code: str
    args: dict[str, JsonValue] = Field(default={}, description="What it is about, by name")
    problems: list[FlowProblem | FieldProblem] = Field(default=[], description="Everything that is wrong, if several")


def problems(*codes: str) -> Responses:
    """The problems that a route may answer with, by status, for `responses=`."""
    found: Responses = {}
    for code in codes:
        status = CODES[code].status
        assert status is not None, f"{code} is no code of answers"
        found.setdefault(status, _at(status))[CODES_OF].append(code)
        found[status]["content"][MEDIA_TYPE]["examples"][code] = _example(code, status)
    return found


def with_problems(given: Responses, *codes: str) -> Responses:
    """`given` and the problems with `codes`; a status may have codes of both."""
    known: Iterable[str] = (code for answer in given.values() for code in answer.get(CODES_OF, ()))
    return {**given, **problems(*dict.fromkeys((*codes, *known)))}


def _at(status: int) -> dict[str, Any]:
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
    return {"description": HTTPStatus(status).phrase, CODES_OF: [], "content": {MEDIA_TYPE: content}}


def _example(code: str, status: int) -> dict[str, Any]:
    declared = CODES[code]
    if code in EXAMPLES:
        return {"summary": declared.title, "value": answer_to(code, EXAMPLES[code])}
    value = {"type": TYPE_PREFIX + code, "title": declared.title, "status": status, "code": code}
    return {"summary": declared.title, "value": {**value, "detail": declared.happened}}

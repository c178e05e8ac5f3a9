"""Parameters that several routes take: their texts, limits and examples, in one place."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query

ID_CHARACTERS = 200
CURSOR_CHARACTERS = 2000
_NAME_CHARACTERS = 300
"""A little more than names may have, so that a longer one is told what is wrong with it."""

EXAMPLE_RUN = "run-06f3k8m2q9s1tbvx"
_RUN = "The run's id"

RunId = Annotated[str, Path(description=_RUN, max_length=ID_CHARACTERS, examples=[EXAMPLE_RUN])]
StepId = Annotated[
    str,
    Path(
        description="The step's id: the node's name, or `node.3` of a mapped node",
        max_length=_NAME_CHARACTERS,
        examples=["load"],
    ),
]
Port = Annotated[str, Path(description="The output port", max_length=_NAME_CHARACTERS, examples=["out"])]
ModuleName = Annotated[
    str,
    Path(description="The module's name, like `table.filter`", max_length=_NAME_CHARACTERS, examples=["table.filter"]),
]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before", max_length=CURSOR_CHARACTERS)]
OneNamespace = Annotated[str | None, Query(description="Only in this namespace", max_length=_NAME_CHARACTERS)]


def path_parameter(name: str, text: str, shown: str) -> dict[str, Any]:
    """The documentation of a part of the path that an endpoint reads by itself."""
    schema = {"type": "string", "maxLength": ID_CHARACTERS, "examples": [shown]}
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": text}


def header(name: str, text: str, shown: str, characters: int) -> dict[str, Any]:
    """The documentation of a header that an endpoint reads by itself."""
    schema = {"type": "string", "maxLength": characters, "examples": [shown]}
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": text}


def query(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    """The documentation of a query parameter that an endpoint reads by itself; others are refused."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


RUN_PARAMETER = path_parameter("run", _RUN, EXAMPLE_RUN)
TRACE_HEADER: dict[str, Any] = {
    "name": "traceparent",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "examples": ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]},
    "description": "The caller's trace (W3C Trace Context): the request is a span of it, with a link to the run's own trace. "
    "What cannot be read is ignored",
}

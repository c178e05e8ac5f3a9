"""The description of the API (OpenAPI 3.1), completed: every schema among the components, an example for every body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from gateway.documents.document import COMPONENTS, Described, schema_of
from gateway.documents.problem import Problem
from gateway.sessions import COOKIE
from plugmesh.errors import ConfigurationError

_TEXT = """Runs, flows, files, modules and data of a mesh of compute modules.

Errors are problems (RFC 9457) with a stable `code`. Lists come page by page: `limit` and `cursor` in, `next_cursor` out.
"""
_SECURITY: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "What `plugmesh token show` prints"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "Of a browser that showed the token (`POST /api/v1/session`)",
    },
}


def describe(app: FastAPI) -> None:
    """Let `app.openapi()` give the whole description."""
    made = app.openapi
    app.description = _TEXT

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            routes = [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
            for route in routes:
                route.responses = _with_schemas(route.responses)
                route.openapi_extra = _with_schemas(route.openapi_extra)
            _complete(made(), routes)
        return made()

    app.openapi = whole  # type: ignore[method-assign]


def _with_schemas(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _with_schemas(inner) for key, inner in part.items()}
    if isinstance(part, list):
        return [_with_schemas(inner) for inner in part]
    return part.schema() if isinstance(part, Described) else part


def _complete(document: dict[str, Any], routes: Iterable[APIRoute]) -> None:
    schemas: dict[str, Any] = {}
    document["components"] = {"schemas": schemas, "securitySchemes": _SECURITY}
    document["security"] = [{}, *({name: []} for name in _SECURITY)]
    _hoist(schema_of(Problem, "serialization"), schemas)
    for route in routes:
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            # FastAPI drops every null, those of examples too: bodies are taken from where they were declared.
            if "requestBody" in (declared := deepcopy(route.openapi_extra or {})):
                operation["requestBody"] = declared["requestBody"]
            for status, answer in deepcopy(route.responses).items():
                operation["responses"][str(status)] = answer
            for content in _contents(operation):
                if "schema" in content:
                    content["schema"] = _hoist(content["schema"], schemas)
                for frame in content.get("itemSchema", {}).get("anyOf", ()):
                    data = frame["properties"]["data"]
                    data["contentSchema"] = _hoist(data["contentSchema"], schemas)
                _show(content, schemas)
    document["components"]["schemas"] = dict(sorted(schemas.items()))


def _contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from part.get("content", {}).values()


def _hoist(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Move a named schema and those that it uses among the components; what refers to it there."""
    own = {key: value for key, value in schema.items() if key != "$defs"}
    named = {**schema.get("$defs", {}), **({own["title"]: own} if "title" in own else {})}
    for name, found in named.items():
        if schemas.setdefault(name, found) != found:
            raise ConfigurationError(f"the description of the API has two schemas called {name}: rename one")
    return {"$ref": COMPONENTS.format(model=own["title"])} if "title" in own else own


def _show(content: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give a body the example of its schema, unless it has one."""
    if "example" in content or "examples" in content:
        return
    first = content["schema"].get("anyOf", [content["schema"]])[0]
    named = schemas.get(first.get("$ref", "").rpartition("/")[2], first)
    if named.get("examples"):
        content["example"] = named["examples"][0]

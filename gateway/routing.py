"""How routes are made: each declares its access, and one that takes only the request is called without detours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from gateway.access import Actor, authorize, declared
from plugmesh.errors import ConfigurationError, Unauthorized

API = "/api/v1"
ACTOR = "plugmesh.actor"
"""Key of the actor in a request's scope; the guard puts it there."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DeclaredRoute(APIRoute):
    """A route that asks `authorize` first."""

    def get_route_handler(self) -> Handler:
        access = declared(self.endpoint)
        # Resolving FastAPI's dependencies costs about 90 µs; endpoints that want none of them are called directly.
        endpoint: Handler = self.endpoint if _takes_request_only(self.endpoint) else super().get_route_handler()

        async def handle(request: Request) -> Response:
            if access is None:
                raise Unauthorized(f"{self.path} does not say what it does; nobody may use it")
            authorize(actor_of(request), access.action, access.kind)
            return await endpoint(request)

        return handle


def actor_of(connection: HTTPConnection) -> Actor:
    """Who asks."""
    actor = connection.scope.get(ACTOR)
    return actor if isinstance(actor, Actor) else Actor("unknown", local=False)


def check_declared(app: FastAPI) -> None:
    """Raises `ConfigurationError` naming every route that declares no access."""
    bare = [getattr(route, "path", repr(route)) for route in app.routes if not _declares(route)]
    if bare:
        raise ConfigurationError(f"these routes declare no access: {', '.join(bare)}; use @access(action, kind)")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for its documentation."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "A problem (RFC 9457)", "content": content} for status in statuses}


def json_body(schema: dict[str, Any], *others: str, required: bool = True) -> dict[str, Any]:
    """The documentation of a body that an endpoint reads by itself."""
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    content |= {other: {"schema": {"type": "string"}} for other in others}
    return {"requestBody": {"required": required, "content": content}}


def query(*parameters: tuple[str, str, str]) -> list[dict[str, Any]]:
    """The documentation of query parameters (name, type, text) that an endpoint reads by itself."""
    return [
        {"name": name, "in": "query", "required": False, "schema": {"type": kind}, "description": text}
        for name, kind, text in parameters
    ]


def _declares(route: Any) -> bool:
    endpoint = getattr(route, "endpoint", None)
    return endpoint is not None and declared(endpoint) is not None


def _takes_request_only(endpoint: Callable[..., Any]) -> bool:
    parameters: Iterable[inspect.Parameter] = inspect.signature(endpoint).parameters.values()
    return [parameter.name for parameter in parameters] == ["request"]

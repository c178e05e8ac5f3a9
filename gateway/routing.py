"""How routes are made: each declares its access, and one that takes only the request is called without detours.

What holds for every route is here once: who may use it, which query keys and which kinds of body it takes, and that
whatever can be got can be asked for with HEAD.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access import NOBODY, Access, Actor, Kind, Resource, authorize, declared
from gateway.bodies import BodyKinds
from gateway.documents.document import JSON, Described
from gateway.documents.problem import with_problems
from gateway.queries import QueryKeys
from plugmesh.contracts.flow import DEFAULT_NAMESPACE
from plugmesh.errors import ConfigurationError, Unauthorized

API = "/api/v1"
ACTOR = "plugmesh.actor"
"""Key of the actor in a request's scope; the guard puts it there."""
SCHEME = "plugmesh.scheme"
"""Key of `http` or `https`, as the browser sees it."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

ALWAYS = ("bad-request", "unauthenticated", "unauthorized", "host-refused", "internal")
"""Codes that every route may answer with."""
_OF_BODIES = ("unsupported-media-type", "limit-exceeded", "request-timeout")
_CHANGES = {"POST", "PUT", "PATCH"}
_NAMESPACE = "namespace"


class DeclaredRoute(APIRoute):
    """A route that asks `authorize` first, and takes only what it declares.

    Finding out from a signature how a request is read takes FastAPI about 2 ms, and there are about 70 routes: that is
    done when a route is first used or described. Until then it has what a request is matched by.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path = path
        self.endpoint = endpoint
        self.methods = set(options.get("methods") or {"GET"})
        self.include_in_schema = options.get("include_in_schema", True)
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self._options = options

    def __getattr__(self, name: str) -> Any:
        options = self.__dict__.pop("_options", None)
        if options is None:
            raise AttributeError(f"a route has no {name}")
        self._complete(options)
        return getattr(self, name)

    def _complete(self, options: dict[str, Any]) -> None:
        codes, plain = list(ALWAYS), _takes_request_only(self.endpoint)
        if _CHANGES & (self.methods or set()) and (options.get("openapi_extra") or {}).get("requestBody"):
            codes += _OF_BODIES
        if "{" in self.path:
            codes.append("not-found")
        if not plain:
            codes.append("request-invalid")
        access = declared(self.endpoint)
        if access is not None and access.kind is not Kind.HEALTH:
            codes.append("state-unavailable")
        options["responses"] = with_problems(options.get("responses") or {}, *codes)
        options["response_class"] = Response
        options["summary"] = _first_sentence(self.endpoint.__doc__ or "")
        super().__init__(self.path, self.endpoint, **options)
        # Resolving FastAPI's dependencies costs about 90 µs; endpoints that want none of them are called directly.
        self.app = _direct(self._handler(self.endpoint)) if plain else AsyncExitStackMiddleware(self.app)

    def get_route_handler(self) -> Handler:
        return self._handler(super().get_route_handler())

    def _handler(self, endpoint: Handler) -> Handler:
        access = declared(self.endpoint)
        keys = QueryKeys.of(self)
        kinds = BodyKinds.of(self) if (self.methods or set()) & {*_CHANGES, "DELETE"} else None
        resource_of = _resource_maker(self, access)

        async def handle(request: Request) -> Response:
            if access is None:
                raise Unauthorized(f"{self.path} does not say what it does; nobody may use it")
            authorize(actor_of(request), access.action, resource_of(request))
            if request.scope["query_string"]:
                keys.check(request.scope["query_string"])
            if kinds is not None:
                kinds.check(request)
            answer = await endpoint(request)
            return await _head(answer) if request.scope["method"] == "HEAD" else answer

        return handle

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (Match.FULL, child) if match is Match.PARTIAL and self._answers_head(scope) else (match, child)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._answers_head(scope):
            await self.app(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    def _answers_head(self, scope: Scope) -> bool:
        return scope["method"] == "HEAD" and "GET" in (self.methods or ())


def actor_of(connection: HTTPConnection) -> Actor:
    """Who asks."""
    actor = connection.scope.get(ACTOR)
    return actor if isinstance(actor, Actor) else NOBODY


def check_declared(app: FastAPI) -> None:
    """Raises `ConfigurationError` naming every route that declares no access."""
    bare = [getattr(route, "path", repr(route)) for route in app.routes if not _declares(route)]
    if bare:
        raise ConfigurationError(f"these routes declare no access: {', '.join(bare)}; use @access(action, kind)")


def json_body(
    model: type[BaseModel], others: Mapping[str, str] | None = None, *, required: bool = True
) -> dict[str, Any]:
    """The documentation of a body that an endpoint reads by itself; other kinds of body are refused.

    `others` are further kinds, each with an example.
    """
    content: dict[str, Any] = {JSON: {"schema": Described(model, mode="validation")}}
    content |= {kind: {"schema": {"type": "string"}, "example": shown} for kind, shown in (others or {}).items()}
    return {"requestBody": {"required": required, "content": content}}


def operation_id(route: APIRoute) -> str:
    """The name of an operation for generated clients: `runs_list_runs`."""
    return "_".join(str(part) for part in (*route.tags[:1], route.name))


def _declares(route: Any) -> bool:
    endpoint = getattr(route, "endpoint", None)
    return endpoint is not None and declared(endpoint) is not None


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".").partition(": ")[0]


def _direct(handle: Handler) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await handle(Request(scope, receive, send))
        await answer(scope, receive, send)

    return app


def _takes_request_only(endpoint: Callable[..., Any]) -> bool:
    parameters: Iterable[inspect.Parameter] = inspect.signature(endpoint).parameters.values()
    return [parameter.name for parameter in parameters] == ["request"]


def _resource_maker(route: APIRoute, access: Access | None) -> Callable[[Request], Resource]:
    """What a request to this route acts on: the first name in its path, in the namespace of path or query."""
    kind = access.kind if access is not None else None
    names = [name for name in route.param_convertors if name != _NAMESPACE]
    in_path = _NAMESPACE in route.param_convertors
    fixed = Resource(kind) if kind is not None else None

    def resource_of(request: Request) -> Resource:
        assert kind is not None
        assert fixed is not None
        path = request.scope["path_params"]
        namespace = DEFAULT_NAMESPACE
        if in_path:
            namespace = path[_NAMESPACE]
        elif b"namespace=" in request.scope["query_string"]:
            namespace = request.query_params.get(_NAMESPACE, DEFAULT_NAMESPACE)
        if not names and namespace == DEFAULT_NAMESPACE:
            return fixed
        return Resource(kind, namespace, str(path[names[0]]) if names else "")

    return resource_of


async def _head(whole: Response) -> Response:
    """The same answer without its body, and without making it."""
    if isinstance(whole, StreamingResponse):
        close = getattr(whole.body_iterator, "aclose", None)
        if close is not None:
            await close()
    answer = Response(status_code=whole.status_code)
    answer.raw_headers = whole.raw_headers
    return answer

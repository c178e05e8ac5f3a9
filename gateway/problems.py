"""Errors as HTTP answers: RFC 9457 `application/problem+json` with a stable `type` for each kind of error."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from plugmesh.codes.code import TYPE_PREFIX
from plugmesh.codes.table import CODES
from plugmesh.errors import FlowInvalid, PlugmeshError, StoreFull

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("plugmesh.gateway")

STATUS: Mapping[str, int] = {name: code.status for name, code in CODES.items() if code.status is not None}
"""HTTP status of each error code that an answer may have; 500 for the rest."""

_HEADERS: Mapping[int, Mapping[str, str]] = {401: {"www-authenticate": "Bearer"}, 503: {"retry-after": "1"}}


class ProblemResponse(Response):
    """One problem; `extra` are further members, such as `problems` with every place that is wrong."""

    media_type = MEDIA_TYPE

    def __init__(
        self, code: str, status: int, detail: str, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        body = {
            "type": TYPE_PREFIX + code,
            "title": CODES[code].title if code in CODES else "The request failed",
            "status": status,
            "detail": detail,
            "code": code,
            **extra,
        }
        super().__init__(to_json(body, inf_nan_mode="null", fallback=str), status, headers=dict(headers or {}))


def of_error(error: PlugmeshError) -> ProblemResponse:
    """The answer for an error of Plugmesh."""
    status = STATUS.get(error.code, 500)
    extra: dict[str, Any] = {}
    if error.arguments:
        extra["args"] = error.arguments
    if isinstance(error, FlowInvalid):
        extra["problems"] = as_documents(error.problems)
    headers = _HEADERS.get(status)
    return ProblemResponse(error.code, status, str(error), headers, **extra)


def as_documents(problems: Iterable[object]) -> list[Any]:
    """Problems as JSON objects (dataclasses, models and dicts are all welcome)."""
    return [_document(problem) for problem in problems]


def _document(problem: object) -> Any:
    if is_dataclass(problem) and not isinstance(problem, type):
        return asdict(problem)
    if isinstance(problem, BaseModel):
        return problem.model_dump(mode="json")
    return problem if isinstance(problem, dict) else {"message": str(problem)}


async def on_plugmesh_error(request: Request, error: Exception) -> Response:
    """Handler for `PlugmeshError`."""
    assert isinstance(error, PlugmeshError)
    answer = of_error(error)
    if answer.status_code >= 500 and answer.status_code != 503:
        foreseen = isinstance(error, StoreFull)
        _log.error("%s %s: %s", request.method, request.url.path, error, exc_info=None if foreseen else error)
    return answer


async def on_http_error(request: Request, error: Exception) -> Response:
    """Handler for what the web framework refuses by itself: unknown paths, methods."""
    assert isinstance(error, HTTPException)
    code, headers = "bad-request", error.headers
    if error.status_code == 405:
        there = ", ".join(_methods(request))
        code, headers = "method-not-allowed", {"allow": there}
        detail = f"{request.method} is not possible at {request.url.path}: there are {there}"
    elif error.status_code == 404:
        code = "not-found"
        detail = f"there is nothing at {request.url.path}: the routes are listed at /api/v1/openapi.json"
    else:
        detail = f"{request.method} {request.url.path}: {error.detail}"
    return ProblemResponse(code, error.status_code, detail, headers)


def _methods(request: Request) -> list[str]:
    """The methods that the path takes, of all its routes: the framework names those of the first one."""
    path = request.scope["path"]
    routes = (route for route in request.app.routes if isinstance(route, APIRoute) and route.path_regex.match(path))
    methods = {method for route in routes for method in route.methods or ()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Handler for parameters that are not what the route takes."""
    assert isinstance(error, RequestValidationError)
    problems = [
        {"where": ".".join(str(part) for part in found["loc"]), "message": str(found["msg"])}
        for found in error.errors()
    ]
    detail = "; ".join(f"{problem['where']}: {problem['message']}" for problem in problems)
    return ProblemResponse("request-invalid", 422, detail, problems=problems)


async def on_crash(request: Request, error: Exception) -> Response:
    """Handler for everything else: the details go to the log, not to the client."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)  # nobody reads it
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = f"{request.method} {request.url.path} failed inside the gateway; its log has the details"
    return ProblemResponse("internal", 500, detail)

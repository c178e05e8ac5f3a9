"""Reading request bodies: bounded, and JSON that is too deep or not JSON is the client's mistake, never a crash."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from gateway.errors import BadRequest, RequestInvalid, UnsupportedMediaType
from plugmesh.errors import LimitExceeded
from plugmesh.flows.problem import did_you_mean

M = TypeVar("M", bound=BaseModel)

JSON, OCTETS = "application/json", "application/octet-stream"
_SIMPLE = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
"""What any web page can make a browser send without asking: never taken, for anything."""
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})


@dataclass(frozen=True, slots=True)
class BodyKinds:
    """The kinds of body that one route takes. Where bytes are taken, so is any other kind but the simple ones."""

    kinds: tuple[str, ...]

    @classmethod
    def of(cls, route: APIRoute) -> BodyKinds:
        """What the documentation of the route's body says."""
        content = (route.openapi_extra or {}).get("requestBody", {}).get("content", {})
        return cls(tuple(content) or ((JSON,) if route.body_field is not None else ()))

    def check(self, request: Request) -> None:
        """Raises `UnsupportedMediaType` for a body that is none of these; a request without a body is fine."""
        headers = request.headers
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            return
        given = headers.get("content-type", "")
        if given in self.kinds:
            return
        kind, _, rest = given.partition(";")
        kind = kind.strip().lower()
        if not self._takes(kind):
            raise UnsupportedMediaType(self._refusal(kind))
        charset = _CHARSET.search(rest)
        if charset is not None and kind != OCTETS and charset[1].lower() not in _UTF8:
            raise UnsupportedMediaType(f"the body is said to be {charset[1][:40]}: send it as UTF-8")

    def _takes(self, kind: str) -> bool:
        return kind in self.kinds or (OCTETS in self.kinds and kind not in _SIMPLE)

    def _refusal(self, kind: str) -> str:
        if not self.kinds:
            return "this route takes no body"
        said = f"not as {kind[:100]}" if kind else "and say so with Content-Type"
        return f"send the body as {' or '.join(self.kinds)}, {said}"


_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)


async def read_json_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body of a request that must be JSON; its route said so. Raises `LimitExceeded`."""
    return await read_body(request, limit_bytes)


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body. Raises `LimitExceeded` before more than `limit_bytes` are in memory."""
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdecimal() and int(declared) > limit_bytes:
        raise too_large(int(declared), limit_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            raise too_large(size, limit_bytes)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def too_large(size: int, limit_bytes: int) -> LimitExceeded:
    """What to raise for a body of (at least) `size` bytes."""
    return LimitExceeded(
        f"the body has at least {size:,} bytes, {limit_bytes:,} are possible here: "
        "hand data in as a file (PUT /api/v1/files/NAME), or raise json_limit_bytes in the gateway's settings"
    )


def read_json(body: bytes) -> Any:
    """Decode a body. Raises `BadRequest` with line and column; NaN and infinity are no JSON."""
    if not body:
        raise BadRequest("the body is empty: send a JSON object")
    try:
        document = from_json(body, allow_inf_nan=False)
        json.loads(body, object_pairs_hook=_once)
        return document
    except ValueError as error:
        said = str(error)
        if said.startswith("recursion limit exceeded"):
            raise BadRequest(f"the body is nested too deep{said.removeprefix('recursion limit exceeded')}") from None
        raise BadRequest(f"the body is not JSON: {said}") from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    """One of two values under one key would be lost without a word."""
    if len(dict(pairs)) == len(pairs):
        return
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    raise BadRequest(f"the body has the key {twice[:60]!r} twice in one object: remove one of them")


def read_model(model: type[M], document: Any) -> M:
    """`document` as `model`. Raises `RequestInvalid` with every field that is wrong, and what was probably meant."""
    if not isinstance(document, dict):
        raise BadRequest("the body must be a JSON object")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = tuple(_problem(model, found) for found in error.errors(include_url=False, include_input=False))
    texts = "; ".join(f"{problem['where']}: {problem['message']}" for problem in problems)
    raise RequestInvalid(f"the request is invalid: {texts}", problems)


def _problem(model: type[BaseModel], found: Any) -> dict[str, str]:
    place = ".".join(str(part) for part in found["loc"])
    if found["type"] != "extra_forbidden":
        return {"where": place, "message": str(found["msg"])}
    names = [field.alias or name for name, field in model.model_fields.items()]
    hint = did_you_mean(place, names) or f"there are {', '.join(names)}"
    return {"where": place, "message": f"there is no such field ({hint})", "hint": hint}

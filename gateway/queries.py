"""The query keys that a route takes; any other is a mistake that would be ignored silently."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_origin
from urllib.parse import unquote_to_bytes

from fastapi.routing import APIRoute
from pydantic import BaseModel

from gateway.errors import BadRequest
from plugmesh.flows.problem import did_you_mean


@dataclass(frozen=True, slots=True)
class QueryKeys:
    """The keys of one route."""

    known: frozenset[bytes]
    repeatable: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, route: APIRoute) -> QueryKeys:
        """What the endpoint's signature and its documentation declare."""
        lists = (field for field in route.dependant.query_params if get_origin(field.field_info.annotation) is list)
        known = frozenset(name.encode() for name in _declared(route))
        return cls(known, frozenset(field.alias.encode() for field in lists))

    def check(self, query: bytes) -> None:
        """Raises `BadRequest` with the nearest right key, or for one that is there twice and has one value."""
        seen: set[bytes] = set()
        for part in query.split(b"&"):
            key = part.partition(b"=")[0]
            if key in seen and key not in self.repeatable:
                raise BadRequest(
                    f"the query parameter {key.decode()} is there twice: send it once", parameter=key.decode()
                )
            if key in self.known:
                seen.add(key)
            elif key:
                plain = unquote_to_bytes(key.replace(b"+", b" "))
                if plain not in self.known:
                    raise BadRequest(self._refusal(plain.decode(errors="replace")[:100]))

    def _refusal(self, key: str) -> str:
        names = sorted(name.decode() for name in self.known)
        if not names:
            return f"there is no query parameter {key!r}: this route takes none"
        return f"there is no query parameter {key!r} ({did_you_mean(key, names) or 'there are ' + ', '.join(names)})"


def _declared(route: APIRoute) -> Iterator[str]:
    for field in route.dependant.query_params:
        kind: Any = field.field_info.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            yield from (inner.alias or name for name, inner in kind.model_fields.items())
        else:
            yield field.alias
    for parameter in (route.openapi_extra or {}).get("parameters", ()):
        if parameter["in"] == "query":
            yield parameter["name"]

"""A span that is over: a plain record, which crosses from an executor to its supervisor as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
Service: TypeAlias = Literal["gateway", "scheduler", "module"]
Attributes: TypeAlias = Mapping[str, Any]
SCOPE = "plugmesh"
MOST_TEXT = 500
"""So much of an error's text is in a span."""


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that has to do with this one, in whatever trace."""

    trace: str
    span: str
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened within a span, at a Unix time in nanoseconds."""

    name: str
    at_ns: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """Times are Unix time in nanoseconds, ids hexadecimal digits. `error` says what failed (`None`: nothing did). `scope` is who
    made it: Plugmesh, or the name that an author's tracer has. Attributes are texts, numbers, truth values, or lists of one of
    these."""

    service: Service
    name: str
    trace: str
    id: str
    start_ns: int
    end_ns: int
    parent: str | None = None
    kind: Kind = "internal"
    attributes: Attributes = field(default_factory=dict)
    error: str | None = None
    links: tuple[Link, ...] = ()
    events: tuple[Event, ...] = ()
    scope: str = SCOPE


def nanoseconds(at: float) -> int:
    """A Unix time in seconds, as spans have it."""
    return int(at * 1e9)


def encode_spans(spans: Sequence[Span]) -> bytes:
    """As JSON. Attributes that JSON does not know are texts."""
    return json.dumps([_document(span) for span in spans], default=str).encode(errors="replace")


def decode_spans(text: bytes) -> list[Span]:
    """What `encode_spans` made. Raises `ValueError` for anything else: it comes from a process that runs user code."""
    try:
        return [_span(document) for document in json.loads(text)]
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"these are no spans: {error!r}") from error


def _document(span: Span) -> dict[str, Any]:
    return {
        "service": span.service,
        "name": span.name,
        "trace": span.trace,
        "id": span.id,
        "start_ns": span.start_ns,
        "end_ns": span.end_ns,
        "parent": span.parent,
        "kind": span.kind,
        "attributes": dict(span.attributes),
        "error": span.error,
        "links": [[link.trace, link.span, dict(link.attributes)] for link in span.links],
        "events": [[event.name, event.at_ns, dict(event.attributes)] for event in span.events],
        "scope": span.scope,
    }


def _span(document: dict[str, Any]) -> Span:
    given = dict(document)
    links = tuple(Link(_hex(trace, 32), _hex(span, 16), dict(known)) for trace, span, known in given.pop("links"))
    events = tuple(Event(str(name), int(at), dict(known)) for name, at, known in given.pop("events"))
    span = Span(**given, links=links, events=events)
    _hex(span.trace, 32)
    _hex(span.id, 16)
    if span.parent is not None:
        _hex(span.parent, 16)
    return span


def _hex(text: str, digits: int) -> str:
    if len(text) != digits or int(text, 16) < 0:
        raise ValueError(f"{text[:40]!r} is no id of {digits} digits")
    return text

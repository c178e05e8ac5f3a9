"""The spans of an executor: one for each attempt, and below it those that an author makes with OpenTelemetry's API.

They go to the supervisor, which sends them on: user code sees neither the collector's address nor its key, and a process
that ends has nothing left to send.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextvars import Token
from typing import Any

from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.util.types import AnyValue

from plugmesh.contracts.messages import Assign, Done, Failed
from plugmesh.hidden_text import hidden_in
from plugmesh.telemetry.ids import read_traceparent
from plugmesh.telemetry.span import MOST_TEXT, SCOPE, Event, Kind, Link, Span, encode_spans

MOST_SPANS = 1000
"""So many spans of one attempt are kept; the author's others are dropped, and counted in that of the attempt."""


class Running:
    """An attempt's span, which is current until its end."""

    def __init__(self, span: trace.Span, token: Token[context.Context]) -> None:
        self.span, self.token = span, token


class Tracing:
    """Makes spans for traced attempts; what an author traces outside of one is dropped."""

    def __init__(self) -> None:
        self._kept = _Kept()
        provider = TracerProvider(
            sampler=ParentBased(ALWAYS_OFF), resource=Resource.get_empty(), shutdown_on_exit=False
        )
        provider.add_span_processor(self._kept)
        trace.set_tracer_provider(provider)
        self._tracer = provider.get_tracer(SCOPE)

    def begin(self, assign: Assign) -> Running | None:
        """An attempt begins: its span is the current one of this thread or task. `None`: it is not traced."""
        parent = read_traceparent((assign.trace or {}).get("traceparent"))
        if parent is None:
            return None
        above = trace.SpanContext(int(parent[0], 16), int(parent[1], 16), True, trace.TraceFlags(0x01))
        around = trace.set_span_in_context(trace.NonRecordingSpan(above), context.Context())
        attributes: dict[str, AnyValue] = {
            "plugmesh.run": assign.run,
            "plugmesh.step": assign.step,
            "plugmesh.attempt": assign.epoch,
            "plugmesh.namespace": assign.namespace,
            "plugmesh.module": assign.module,
            "plugmesh.module.version": assign.version,
            "plugmesh.instance": assign.instance,
        }
        span = self._tracer.start_span(f"execute {assign.module}", around, trace.SpanKind.SERVER, attributes)
        return Running(span, context.attach(trace.set_span_in_context(span, around)))

    def end(self, running: Running, result: Done | Failed) -> bytes:
        """It is over: all spans since, as JSON."""
        span = running.span
        context.detach(running.token)
        if result.stats is not None:
            span.set_attribute("plugmesh.rows.in", result.stats.rows_in)
            span.set_attribute("plugmesh.rows.out", result.stats.rows_out)
        if isinstance(result, Failed):
            error = result.error
            span.set_attribute("error.type", error.code)
            span.set_status(trace.StatusCode.ERROR, hidden_in(error.message)[:MOST_TEXT])
        if dropped := self._kept.take_dropped():
            span.set_attribute("plugmesh.spans.dropped", dropped)
        self._kept.end_last(span)
        return encode_spans(self._kept.take())


class _Kept(SpanProcessor):
    """Ended spans. Threads of user code may end theirs at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self._dropped = 0
        self._last = trace.INVALID_SPAN_ID

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            known = trace.INVALID_SPAN_ID if span.context is None else span.context.span_id
            if len(self._spans) < MOST_SPANS or known == self._last:
                self._spans.append(_plain(span))
            else:
                self._dropped += 1

    def end_last(self, span: trace.Span) -> None:
        """End the span of an attempt, for which there is always room."""
        self._last = span.get_span_context().span_id
        span.end()

    def take(self) -> Sequence[Span]:
        """What has ended since the last time."""
        with self._lock:
            spans, self._spans = self._spans, []
        return spans

    def take_dropped(self) -> int:
        """How many were too many since the last time."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        return dropped


def _plain(span: ReadableSpan) -> Span:
    assert span.context is not None
    scope = SCOPE if span.instrumentation_scope is None else span.instrumentation_scope.name
    kind: Kind = span.kind.name.lower()  # type: ignore[assignment]  # the names are the same
    failed = span.status.status_code is trace.StatusCode.ERROR
    return Span(
        "module",
        span.name,
        _hex(span.context.trace_id, 32),
        _hex(span.context.span_id, 16),
        span.start_time or 0,
        span.end_time or 0,
        parent=None if span.parent is None else _hex(span.parent.span_id, 16),
        kind=kind,
        attributes=_values(span.attributes),
        error=hidden_in(span.status.description or "failed")[:MOST_TEXT] if failed else None,
        links=tuple(
            Link(_hex(link.context.trace_id, 32), _hex(link.context.span_id, 16), _values(link.attributes))
            for link in span.links
        ),
        events=tuple(Event(event.name, event.timestamp, _hidden(event.attributes)) for event in span.events),
        scope=scope,
    )


def _values(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if attributes is None else dict(attributes)


def _hidden(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of an event, which may be an exception with its text."""
    return {key: hidden_in(value) if isinstance(value, str) else value for key, value in _values(attributes).items()}


def _hex(number: int, digits: int) -> str:
    return f"{number:0{digits}x}"

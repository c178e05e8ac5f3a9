"""Traces over OTLP (HTTP, protobuf), with OpenTelemetry's own exporter."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.re import parse_env_headers

from plugmesh import __version__
from plugmesh.figures import Figure, amount, counts
from plugmesh.runtime import Runtime
from plugmesh.telemetry.config import TelemetryConfig
from plugmesh.telemetry.ids import is_traced
from plugmesh.telemetry.sending import Sending
from plugmesh.telemetry.span import SCOPE, Service, Span

POST_S = 5.0
"""A collector that has not answered a batch after so long is slow; the batch is sent again."""
_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_FLAGS = TraceFlags(TraceFlags.SAMPLED)
_log = logging.getLogger(__name__)
_OWN = InstrumentationScope(SCOPE, __version__)


class OtlpTelemetry:
    """Sends spans to a collector. `share` of all runs is traced."""

    def __init__(self, config: TelemetryConfig, runtime: Runtime, share: Callable[[], float]) -> None:
        self._config, self._share = config, share
        self._resources: dict[Service, Resource] = {}
        self._exporter = OTLPSpanExporter(
            endpoint=config.url,
            headers=parse_env_headers(config.headers, liberal=True) if config.headers else None,
            timeout=POST_S,
        )
        for name in ("opentelemetry.exporter", "opentelemetry.exporter.otlp.proto.http.trace_exporter"):
            logging.getLogger(name).setLevel(logging.ERROR)  # that it tries again is said once, by `Sending`
        self._sending = Sending(runtime, self._post, self._exporter.shutdown, place=config.url)

    @property
    def on(self) -> bool:
        return True

    def wants(self, trace: str) -> bool:
        return is_traced(trace, self._share())

    def export(self, span: Span) -> None:
        self._sending.put(span)

    def figures(self) -> Iterator[Figure]:
        sending = self._sending
        outcomes = {"sent": sending.sent, "dropped": sending.dropped}
        yield counts("plugmesh_telemetry_spans", "Spans of traces that a collector took, or that were lost", "outcome",
                     outcomes)  # fmt: skip
        yield amount("plugmesh_telemetry_waiting", "Spans that wait to be sent", sending.waiting)

    async def close(self) -> None:
        await self._sending.close()

    def _post(self, spans: Sequence[Span]) -> bool:
        readable = [made for span in spans if (made := self._readable(span)) is not None]
        return not readable or self._exporter.export(readable) is SpanExportResult.SUCCESS

    def _readable(self, span: Span) -> ReadableSpan | None:
        """`None` for one that user code has made of something else than texts and numbers."""
        try:
            return self._made(span)
        except (TypeError, ValueError, AttributeError) as error:
            _log.debug("a span is left out: %r", error)
            return None

    def _made(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            str(span.name),
            context=_context(span.trace, span.id),
            parent=None if span.parent is None else _context(span.trace, span.parent, is_remote=True),
            resource=self._resource(span.service),
            attributes=dict(span.attributes),
            events=[Event(event.name, dict(event.attributes), event.at_ns) for event in span.events],
            links=[Link(_context(link.trace, link.span), dict(link.attributes)) for link in span.links],
            kind=_KINDS.get(span.kind, SpanKind.INTERNAL),
            status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, span.error),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=_OWN if span.scope == SCOPE else InstrumentationScope(span.scope),
        )

    def _resource(self, service: Service) -> Resource:
        """Who made it; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before what Plugmesh says."""
        if service not in self._resources:
            library = Resource.create({}).attributes
            self._resources[service] = Resource(
                {
                    **{key: value for key, value in library.items() if key.startswith("telemetry.")},
                    "service.name": f"{self._config.name}-{service}",
                    "service.version": __version__,
                    "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
                    "host.name": socket.gethostname(),
                    "process.pid": os.getpid(),
                    **OTELResourceDetector().detect().attributes,
                }
            )
        return self._resources[service]


def _context(trace: str, span: str, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote, _FLAGS)

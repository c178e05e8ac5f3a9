"""A collector of traces: a real HTTP server that reads OTLP as the protocol says, and can be slow, refuse, or be gone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

ERROR = 2


@dataclass(frozen=True)
class Seen:
    """One span as it arrived."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    start_ns: int
    end_ns: int
    kind: str
    attributes: dict[str, Any]
    is_error: bool
    message: str
    scope: str
    links: tuple[tuple[str, str], ...]
    events: tuple[str, ...]
    resource: dict[str, Any] = field(default_factory=dict)


class Collector:
    """`status` is what it answers; with `stalled`, nothing until that is set free."""

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.flowing = threading.Event()
        self.flowing.set()
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self._spans: list[Seen] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[Seen]:
        with self._lock:
            return list(self._spans)

    def of_trace(self, trace: str) -> list[Seen]:
        return [span for span in self.spans if span.trace == trace]

    def close(self) -> None:
        self.flowing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            for group in request.resource_spans:
                resource = _values(group.resource.attributes)
                for scoped in group.scope_spans:
                    self._spans += [_seen(span, scoped.scope.name, resource) for span in scoped.spans]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.requests += 1
                collector.headers.append({key.lower(): value for key, value in self.headers.items()})
                collector.flowing.wait()
                if collector.status == 200 and self.path == "/v1/traces":
                    collector.take(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(collector.status if self.path == "/v1/traces" else 404)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                return

        return Handler


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    """A collector for a while."""
    collector = Collector(port)
    try:
        yield collector
    finally:
        collector.close()


def _seen(span: Any, scope: str, resource: dict[str, Any]) -> Seen:
    return Seen(
        service=resource.get("service.name", ""),
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        kind=type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        attributes=_values(span.attributes),
        is_error=span.status.code == ERROR,
        message=span.status.message,
        scope=scope,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        events=tuple(event.name for event in span.events),
        resource=resource,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}

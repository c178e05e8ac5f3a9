"""One HTTP connection: uvicorn's protocol, with bounds on what a client can make the server keep and wait for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.connections import Connections, Phase
from gateway.problems import ProblemResponse
from plugmesh.hub.wire import LINK_PATH
from plugmesh.runtime import Runtime

HEAD_LIMIT_BYTES = 64 * 1024
"""Most bytes of a request's first line and headers (and up to one read from the socket more)."""
_AFTER_ANSWER = {Phase.ANSWER: Phase.IDLE, Phase.BODY: Phase.LINGER}
_LINK_PATH = LINK_PATH.encode()
_CODES = {400: "bad-request", 404: "not-found", 408: "request-timeout", 503: "busy"}
_OF_BODIES = frozenset({b"content-length", b"transfer-encoding"})
_NAME_IN_URL = re.compile(rb"[A-Za-z]+://([^/?#]*)")
_FULL = "there are too many connections: close some, or raise the setting connections"
_LINKS_FULL = "too many processes serve modules: raise the setting connections_for_modules"


class HttpConnection(HttpToolsProtocol):
    """See `Connection` in `connections`."""

    def __init__(self, connections: Connections, runtime: Runtime, **given: Any) -> None:
        super().__init__(**given)
        self._all = connections
        self._runtime = runtime
        self._head_bytes = 0
        self.address = ""
        self.phase = Phase.HEAD
        self.turn = 0
        self.received = 0
        self._closes = False

    @property
    def unread(self) -> bool:
        return bool(self.flow.read_paused)

    @property
    def unsent(self) -> bool:
        return bool(self.flow.write_paused)

    def drop(self, reason: str) -> None:
        cycle: Any = self.cycle  # none before the first request, whatever uvicorn's annotation says
        begun = cycle is not None and cycle.response_started and not cycle.response_complete
        if reason and self.received and not begun and self.phase not in {Phase.IDLE, Phase.LINGER}:
            self._answer(408, reason)
            self.transport.close()
        elif begun:
            self.transport.abort()
        else:
            self.transport.close()

    # -- what uvicorn's server and parser call -------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        if not self._all.opened(self, self._runtime.now()) and self._all.overrun:
            self._refuse(503, _FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.phase is Phase.IDLE:
            self.phase, self._head_bytes = Phase.HEAD, 0
        super().data_received(data)
        if self.phase is Phase.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
                self._refuse(400, f"the request line and the headers have more than {HEAD_LIMIT_BYTES} bytes")

    def on_message_begin(self) -> None:
        self.phase, self._head_bytes = Phase.HEAD, 0
        self.turn += 1
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase is Phase.HEAD:  # what comes behind a body in pieces must not pass for a header, nor be kept
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.phase = Phase.BODY
        if self.url[:1] != b"/":
            self._name_in_url()
        if self._all.crowded(self):
            self.app = _full
        super().on_headers_complete()
        cycle: Any = self.cycle  # none where the first request is an upgrade
        if cycle is not None:
            cycle.transport = Answering(self.transport, self.close_in_order)

    def on_message_complete(self) -> None:
        answered = self.phase is Phase.LINGER
        self.phase = Phase.IDLE if answered else Phase.ANSWER
        super().on_message_complete()
        if answered and self._closes:
            self.transport.close()

    def on_response_complete(self) -> None:
        if not self.pipeline and self.phase in _AFTER_ANSWER:
            self.phase = _AFTER_ANSWER[self.phase]
        super().on_response_complete()

    def close_in_order(self) -> None:
        """Close, after the rest of the request: a client that still sends would get a reset instead of its answer."""
        if self.phase in {Phase.BODY, Phase.LINGER}:
            self.phase, self._closes = Phase.LINGER, True
        else:
            self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        has_body = any(name in _OF_BODIES for name, _ in self.headers)
        if self.parser.get_method() != b"GET" or has_body:
            self._refuse(400, "a WebSocket is asked for with GET, and without a body")
        elif self.url.partition(b"?")[0] != _LINK_PATH:
            self._refuse(404, f"there is no WebSocket but {LINK_PATH}, by which modules join")
        elif not self._all.link_opened(self):
            self._refuse(503, _LINKS_FULL)
        else:
            super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is no HTTP/1.1 request: its first line, a header or its length cannot be read")

    def _name_in_url(self) -> None:
        """Of `GET http://name/path`, the name counts, not the `Host` (RFC 9112, section 3.2.2)."""
        name = _NAME_IN_URL.match(self.url)
        if name is not None:
            self.headers[:] = [(key, name[1] if key == b"host" else value) for key, value in self.headers]

    def _refuse(self, status: int, why: str) -> None:
        self._answer(status, why)
        self.transport.close()

    def _answer(self, status: int, text: str) -> None:
        body = bytes(ProblemResponse(_CODES[status], status, text).body)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {ProblemResponse.media_type}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)


class Writing(Protocol):
    """What an answer needs of a transport."""

    def write(self, data: bytes) -> None: ...

    def is_closing(self) -> bool: ...


class Answering:
    """The transport of one answer; `close` ends the connection in order.

    The head waits for the first piece of the body, at most until the event loop's next round: one system call instead
    of two, and the client wakes up once.
    """

    __slots__ = ("_begun", "_close", "_head", "_transport")

    def __init__(self, transport: Writing, close: Callable[[], None]) -> None:
        self._transport = transport
        self._close = close
        self._head = b""
        self._begun = False

    def write(self, data: bytes) -> None:
        if self._begun:
            self._transport.write(self._head + data if self._head else data)
            self._head = b""
        else:
            self._begun, self._head = True, data
            asyncio.get_running_loop().call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self._close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head and not self._transport.is_closing():
            self._transport.write(self._head)
        self._head = b""


def counted(kind: type[WebSocketsSansIOProtocol], connections: Connections) -> type[WebSocketsSansIOProtocol]:
    """The same kind of WebSocket, which gives its place back at its end."""

    class Counted(kind):  # type: ignore[misc, valid-type]
        _is_counted = True

        def connection_lost(self, exc: Exception | None) -> None:
            if self._is_counted:
                self._is_counted = False
                connections.link_closed()
            super().connection_lost(exc)

    return Counted


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"connection": "close", "retry-after": "1"}
    await ProblemResponse("busy", 503, _FULL, headers)(scope, receive, send)

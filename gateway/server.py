"""Running the application inside the caller's event loop: gateway and scheduler share one in single mode."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.links import LinkProtocol
from plugmesh.errors import ConfigurationError
from plugmesh.hub.wire import FRAME_LIMIT_BYTES
from plugmesh.runtime import Runtime

KEEP_ALIVE_S = 120
"""Idle connections of clients are kept so long."""
GRACE_S = 5
"""Requests get so long to finish when the server stops."""
HEAD_LIMIT_BYTES = 64 * 1024
"""Most bytes of a request's first line and headers (and up to one read from the socket more)."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `ConfigurationError` saying what to do when that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {port} of {host} is in use: another Plugmesh may be running there "
                f"(curl http://{host}:{port}/healthz tells); stop it, or choose another port with --port"
            ) from None
        raise ConfigurationError(
            f"{host}:{port} cannot be listened on ({error.strerror or error}): choose another --host or --port"
        ) from None
    listener.setblocking(False)
    return listener


async def serve(
    app: Any,
    host: str,
    port: int,
    runtime: Runtime,
    *,
    stop: asyncio.Event,
    listener: socket.socket | None = None,
    on_started: Callable[[int], None] | None = None,
    close_streams: Callable[[], None] | None = None,
) -> None:
    """Serve `app` until `stop` is set, then let go of everybody who waits (`close_streams`) and finish requests.

    `on_started` is called with the port (useful with port 0) when connections are accepted. Raises
    `ConfigurationError` when the port cannot be had. Signals stay with the caller.
    """
    listener = listener or bind(host, port)
    server = _Server(_config(app))
    bound_port = listener.getsockname()[1]
    running = runtime.spawn(server.serve(sockets=[listener]), "gateway-http")
    watching = runtime.spawn(_started(server, runtime, bound_port, on_started), "gateway-http-started")
    stopping = runtime.spawn(_wait(stop), "gateway-http-stop")
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if close_streams is not None:
            close_streams()
        server.should_exit = True
        watching.cancel()
        stopping.cancel()
        await running
        listener.close()


class _Server(uvicorn.Server):
    """Uvicorn without its own idea of signals: the process's owner decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol):
    """Uvicorn's protocol, with a bound on what a client can make the server keep before the application is asked."""

    _in_head = False
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
                self.send_400_response(f"the request line and the headers have more than {HEAD_LIMIT_BYTES} bytes")

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        lifespan="off",
        http=_Protocol,
        ws=LinkProtocol,
        ws_per_message_deflate=False,
        ws_max_size=FRAME_LIMIT_BYTES,
        ws_ping_interval=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


async def _started(
    server: uvicorn.Server, runtime: Runtime, port: int, on_started: Callable[[int], None] | None
) -> None:
    while not server.started:
        await runtime.sleep(0.005)
    if on_started is not None:
        on_started(port)

"""Running the application inside the caller's event loop: gateway and scheduler share one in single mode."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from gateway.connections import Connections
from gateway.http_connection import HttpConnection, counted
from gateway.links import LinkProtocol
from plugmesh.errors import ConfigurationError
from plugmesh.hub.wire import FRAME_LIMIT_BYTES
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings

KEEP_ALIVE_S = 120
"""Idle connections of clients are kept so long."""
GRACE_S = 5
"""Requests get so long to finish when the server stops."""


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


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach what listens there."""
    address = ipaddress.ip_address(listener.getsockname()[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def raise_open_files() -> int:
    """Let this process have as many files and connections open as it may; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


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
    settings: Settings | None = None,
) -> None:
    """Serve `app` until `stop` is set, then let go of everybody who waits (`close_streams`) and finish requests.

    `settings` say how many connections there may be, and how slow. `on_started` is called with the port (useful with
    port 0) when connections are accepted. Raises `ConfigurationError` when the port cannot be had. Signals stay with
    the caller.
    """
    listener = listener or bind(host, port)
    connections = Connections(settings or Settings())
    server = _Server(_config(app, connections, runtime))
    bound_port = listener.getsockname()[1]
    running = runtime.spawn(server.serve(sockets=[listener]), "gateway-http")
    watching = runtime.spawn(_started(server, runtime, bound_port, on_started), "gateway-http-started")
    stopping = runtime.spawn(_wait(stop), "gateway-http-stop")
    sweeping = runtime.spawn(_sweep(connections, runtime), "gateway-http-sweep")
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if close_streams is not None:
            close_streams()
        server.should_exit = True
        watching.cancel()
        sweeping.cancel()
        stopping.cancel()
        await running
        listener.close()


class _Server(uvicorn.Server):
    """Uvicorn without its own idea of signals: the process's owner decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Any, connections: Connections, runtime: Runtime) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        lifespan="off",
        http=partial(HttpConnection, connections, runtime),  # type: ignore[arg-type]
        ws=counted(LinkProtocol, connections),
        ws_per_message_deflate=False,
        ws_max_size=FRAME_LIMIT_BYTES,
        ws_ping_interval=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        log_config=None,
        log_level="error",  # anybody can make it warn, as often as they like
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


async def _sweep(connections: Connections, runtime: Runtime) -> None:
    while True:
        await runtime.sleep(connections.sweep_s)
        connections.sweep(runtime.now())


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


async def _started(
    server: uvicorn.Server, runtime: Runtime, port: int, on_started: Callable[[int], None] | None
) -> None:
    while not server.started:
        await runtime.sleep(0.005)
    if on_started is not None:
        on_started(port)

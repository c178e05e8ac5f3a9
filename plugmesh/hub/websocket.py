"""The link's transport over a `websockets` connection, and how a process dials the gateway."""

from __future__ import annotations

from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from plugmesh.errors import ConfigurationError, LinkLost, NotReachable
from plugmesh.hub.wire import FRAME_LIMIT_BYTES, LINK_PATH

OPEN_S = 10.0
PING_S = 20.0
PONG_S = 60.0
"""Far beyond the 15 s of liveness: a stopped process is judged by its beats, and finds its link again when it goes on."""
CLOSE_S = 1.0


class WebSocketTransport:
    """Either side of a `websockets` connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as error:
            raise LinkLost(f"the connection ended: {error}") from error

    async def send(self, frame: bytes | str) -> None:
        try:
            await self._connection.send(frame)
        except ConnectionClosed as error:
            raise LinkLost(f"the connection ended: {error}") from error

    async def close(self) -> None:
        await self._connection.close()


def link_url(url: str) -> str:
    """The WebSocket address of the mesh at `url` (`http://host:port`). Raises `ConfigurationError`."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ConfigurationError(
            f"{url!r} is not the address of a mesh: set PLUGMESH_URL to something like http://127.0.0.1:8720"
        )
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{LINK_PATH}"


async def dial(url: str) -> WebSocketTransport:
    """Connect to the hub of the mesh at `url`. Raises `NotReachable`, `ConfigurationError`."""
    address = link_url(url)
    try:
        connection = await connect(
            address,
            compression=None,
            max_size=FRAME_LIMIT_BYTES,
            open_timeout=OPEN_S,
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            close_timeout=CLOSE_S,
            proxy=None,  # a mesh is reached directly; an http_proxy of the environment is not meant for it
        )
    except InvalidURI as error:
        raise ConfigurationError(f"{url!r} is not the address of a mesh: {error}") from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise NotReachable(
            f"no mesh answers at {url}: {str(error) or type(error).__name__}; is `plugmesh up` running there?"
        ) from error
    return WebSocketTransport(connection)

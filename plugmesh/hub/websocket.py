"""How a process dials the gateway: the handshake is left to `websockets`, the frames after it are our own."""

from __future__ import annotations

from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.exceptions import InvalidHandshake, InvalidURI

from plugmesh.errors import ConfigurationError, NotReachable
from plugmesh.hub.connection import CLOSE_S, FrameConnection
from plugmesh.hub.wire import FRAME_LIMIT_BYTES, LINK_PATH

OPEN_S = 10.0


def take_over(connection: Connection, *, is_client: bool) -> FrameConnection:
    """Go on with our own frames on a connection whose handshake is done, and on which nothing was received yet."""
    frames = FrameConnection(is_client=is_client, ended=connection.connection_lost)
    connection.transport.set_protocol(frames)
    frames.connection_made(connection.transport)
    return frames


def link_url(url: str) -> str:
    """The WebSocket address of the mesh at `url` (`http://host:port`). Raises `ConfigurationError`."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ConfigurationError(
            f"{url!r} is not the address of a mesh: set PLUGMESH_URL to something like http://127.0.0.1:8720"
        )
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{LINK_PATH}"


async def dial(url: str) -> FrameConnection:
    """Connect to the hub of the mesh at `url`. Raises `NotReachable`, `ConfigurationError`."""
    address = link_url(url)
    try:
        connection = await connect(
            address,
            compression=None,
            max_size=FRAME_LIMIT_BYTES,
            open_timeout=OPEN_S,
            ping_interval=None,
            close_timeout=CLOSE_S,
            proxy=None,  # a mesh is reached directly; an http_proxy of the environment is not meant for it
        )
    except InvalidURI as error:
        raise ConfigurationError(f"{url!r} is not the address of a mesh: {error}") from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise NotReachable(
            f"no mesh answers at {url}: {str(error) or type(error).__name__}; is `plugmesh up` running there?"
        ) from error
    return take_over(connection, is_client=True)

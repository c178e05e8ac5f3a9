"""How a process dials the gateway: the handshake is left to `websockets`, the frames after it are our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.http11 import Response

from plugmesh.errors import ConfigurationError, NotReachable, PlugmeshError, Unauthorized
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


async def dial(url: str, token: Callable[[], str] = str) -> FrameConnection:
    """Connect to the hub of the mesh at `url`; `token` is asked each time, since it may be replaced.

    Raises `NotReachable`, `ConfigurationError`, `Unauthorized` when the mesh refuses the token.
    """
    address = link_url(url)
    shown = token()
    try:
        connection = await connect(
            address,
            additional_headers={"Authorization": f"Bearer {shown}"} if shown else None,
            compression=None,
            max_size=FRAME_LIMIT_BYTES,
            open_timeout=OPEN_S,
            ping_interval=None,
            close_timeout=CLOSE_S,
            proxy=None,  # a mesh is reached directly; an http_proxy of the environment is not meant for it
        )
    except InvalidURI as error:
        raise ConfigurationError(f"{url!r} is not the address of a mesh: {error}") from error
    except InvalidStatus as error:
        raise _refusal(url, error.response) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise NotReachable(
            f"no mesh answers at {url}: {str(error) or type(error).__name__}; is `plugmesh up` running there?"
        ) from error
    return take_over(connection, is_client=True)


_UNAUTHENTICATED = 401


def _refusal(url: str, answer: Response) -> PlugmeshError:
    """What the mesh said instead of a welcome."""
    try:
        said = str(json.loads(answer.body or b"")["detail"])
    except (ValueError, KeyError, TypeError):
        said = f"HTTP status {answer.status_code}; is `plugmesh up` running there?"
    if answer.status_code == _UNAUTHENTICATED:
        return Unauthorized(
            f"the mesh at {url} does not let this process join: {said}. Modules show the join token: `plugmesh token "
            "show --join` prints it; hand it over as PLUGMESH_TOKEN, or its file with --token-file"
        )
    return NotReachable(f"the mesh at {url} refuses the connection: {said}")

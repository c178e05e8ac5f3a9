"""From the web server to the hub: once a WebSocket is accepted, its frames go past the web framework.

The framework's part (names, origins, actors, permissions, the handshake) is done with each connection once; behind
it, queues and tasks for each message would cost more than all that the hub does with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from plugmesh.hub.connection import FrameConnection

_EXTENSION = "plugmesh.link"


class LinkProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's WebSocket, which an endpoint can take over."""

    _frames: FrameConnection | None = None

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:  # it was not refused
            self.scope["extensions"][_EXTENSION] = self._take_over  # type: ignore[assignment]

    def _take_over(self) -> FrameConnection:
        self.stop_keepalive()
        arrived = []
        while not self.queue.empty():
            message: Any = self.queue.get_nowait()
            if message["type"] == "websocket.receive":
                arrived.append(message.get("bytes") or message["text"].encode())
        frames = self._frames = FrameConnection(is_client=False, arrived=arrived, ended=self.connection_lost)
        self.transport.set_protocol(frames)
        frames.connection_made(self.transport)
        if self.read_paused:
            self.transport.resume_reading()
        return frames

    def shutdown(self) -> None:
        if self._frames is None:
            super().shutdown()
        else:
            self._frames.shutdown()


def taken_over(websocket: WebSocket) -> FrameConnection:
    """The connection under an accepted WebSocket; the WebSocket itself must not be used any more."""
    take_over: Callable[[], FrameConnection] = websocket.scope["extensions"][_EXTENSION]
    return take_over()

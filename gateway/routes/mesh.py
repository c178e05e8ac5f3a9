"""`/mesh`: the WebSocket by which instances join. The embedded hub does the talking; here is only its transport."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gateway.access import Action, Kind, Resource, access, authorize
from gateway.routing import actor_of
from plugmesh.errors import LinkLost, Unauthorized
from plugmesh.hub.hub import Hub
from plugmesh.hub.wire import LINK_PATH


class SocketTransport:
    """The hub's transport over a WebSocket of the web server."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> bytes | str:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise LinkLost(f"the other side closed the connection (code {message.get('code')})")
        data: bytes | str | None = message.get("bytes")
        return data if data is not None else str(message["text"])

    async def send(self, frame: bytes | str) -> None:
        kind = "bytes" if isinstance(frame, bytes) else "text"
        try:
            await self._socket.send({"type": "websocket.send", kind: frame})
        except (WebSocketDisconnect, OSError, RuntimeError) as error:
            raise LinkLost(f"the connection has ended: {error}") from error

    async def close(self) -> None:
        if self._socket.application_state is WebSocketState.DISCONNECTED:
            return
        try:
            await self._socket.close(1001)
        except (WebSocketDisconnect, OSError, RuntimeError):
            return  # it was closed from the other side meanwhile


class MeshRoutes:
    """The endpoint of links."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def declare(self, app: FastAPI) -> None:
        """Add the route."""
        app.add_api_websocket_route(LINK_PATH, self.join)

    @access(Action.JOIN, Kind.MESH)
    async def join(self, websocket: WebSocket) -> None:
        """Serve one link until it ends."""
        try:
            authorize(actor_of(websocket), Action.JOIN, Resource(Kind.MESH))
        except Unauthorized as error:
            await websocket.close(1008, str(error)[:120])
            return
        await websocket.accept()
        await self._hub.serve(SocketTransport(websocket))

"""`/mesh`: the WebSocket by which instances join. Here they are let in; then the embedded hub does the talking."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.websockets import WebSocket

from gateway.access import Action, Kind, Resource, access, authorize
from gateway.links import taken_over
from gateway.routing import actor_of
from plugmesh.errors import Unauthorized
from plugmesh.hub.hub import Hub
from plugmesh.hub.wire import LINK_PATH


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
        await self._hub.serve(taken_over(websocket))

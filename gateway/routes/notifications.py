"""`/notifications`: whom the mesh told that runs had ended, and trying again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, access
from gateway.answers import Json
from gateway.core import Gateway
from gateway.documents.document import answers
from gateway.documents.notifications import NotificationList, ShownNotification
from gateway.notifications import Notifications
from gateway.parameters import ID_CHARACTERS, Cursor
from gateway.routing import API

_SHOWN = "run-06qk3v9r2m8w0001.0"
NotificationId = Annotated[str, Path(description="The notification's id", max_length=ID_CHARACTERS, examples=[_SHOWN])]


class NotificationRoutes:
    """Endpoints about notifications."""

    def __init__(self, gateway: Gateway, wake: Callable[[], None]) -> None:
        self._notifications = Notifications(gateway.runtime, gateway.state, gateway.feed, wake)

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        add, tags = app.add_api_route, ["notifications"]
        many = f"{API}/notifications"
        listed = answers(NotificationList)
        add(many, self.list_notifications, methods=["GET"], tags=[*tags], responses=listed)
        tried = answers(ShownNotification, 202, "It is due now")
        path = f"{many}/{{notification}}/retry"
        add(path, self.retry, methods=["POST"], status_code=202, tags=[*tags], responses=tried)

    @access(Action.LIST, Kind.NOTIFICATION)
    async def list_notifications(
        self,
        run: Annotated[str | None, Query(description="Only of this run", max_length=ID_CHARACTERS)] = None,
        state: Annotated[str | None, Query(description="Only pending, delivered or failed ones", max_length=40)] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Entries of a page")] = 100,
    ) -> Response:
        """Notifications, newest first."""
        return Json(await self._notifications.list(run, state, cursor, limit))

    @access(Action.WRITE, Kind.NOTIFICATION)
    async def retry(self, request: Request, notification: NotificationId) -> Response:
        """Call a webhook again now, whatever became of it: with the same id, and all its tries before it."""
        return Json(await self._notifications.retry(notification), 202)

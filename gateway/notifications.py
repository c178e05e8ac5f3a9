"""Webhooks as answers, and asking for another try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gateway.errors import BadRequest
from gateway.feed import Feed
from plugmesh.errors import NotFound
from plugmesh.outgoing.url import masked
from plugmesh.runtime import Runtime
from plugmesh.state.notifications import (
    STATES,
    StoredNotification,
    notifications,
    retry_notification,
    stored_notification,
)
from plugmesh.state.store import State


class Notifications:
    """The notifications of a mesh. `wake` tells whoever calls webhooks that there is something to do."""

    def __init__(self, runtime: Runtime, state: State, feed: Feed, wake: Callable[[], None]) -> None:
        self._runtime, self._state, self._feed, self._wake = runtime, state, feed, wake

    async def list(self, run: str | None, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
        """A page, newest first. Raises `BadRequest`."""
        if state is not None and state not in STATES:
            raise BadRequest(f"{state[:40]!r} is no state of a notification: there are {', '.join(STATES)}")
        before = None if cursor is None else _place(cursor)
        found = await self._state.read(notifications, run=run, state=state, before=before, limit=limit)
        following = f"{found[-1].created_at!r}/{found[-1].id}" if len(found) == limit else None
        return {"notifications": [notification_document(row) for row in found], "next_cursor": following}

    async def retry(self, notification: str) -> dict[str, Any]:
        """Call it again now. Raises `NotFound`."""
        await self._state.write(retry_notification, notification, self._runtime.wall())
        self._wake()
        row = await self._state.read(stored_notification, notification)
        if row is None:
            raise NotFound(f"notification {notification!r} was deleted together with its run")
        document = notification_document(row)
        self._feed.tell("notification", row.id, document)
        return document


def notification_document(row: StoredNotification) -> dict[str, Any]:
    """What is shown of one: never the values in its address's query."""
    return {**asdict(row), "url": masked(row.url)}


def _place(cursor: str) -> tuple[float, str]:
    at, slash, last = cursor.partition("/")
    try:
        return float(at if slash else ""), last
    except ValueError:
        raise BadRequest("cursor must be the next_cursor of the page before") from None

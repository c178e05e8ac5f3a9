"""Answers about notifications."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.documents.document import Document, example

_NOTIFICATION = {
    "id": "run-06qk3v9r2m8w0001.0",
    "run": "run-06qk3v9r2m8w0001",
    "namespace": "default",
    "url": "https://hooks.example.com/plugmesh?***",
    "state": "pending",
    "attempts": 2,
    "next_at": 1795271190.0,
    "status": 503,
    "error": "answered with 503",
    "created_at": 1795271167.2,
    "ended_at": None,
}


class ShownNotification(Document):
    """A webhook that was, or is to be, called because a run has ended."""

    model_config = example(**_NOTIFICATION)

    id: str = Field(description="Also the header `webhook-id`; the same at each try")
    run: str
    namespace: str
    url: str = Field(description="Without the values of its query")
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    next_at: float | None = Field(description="When it is called next (Unix seconds)")
    status: int | None = Field(description="Of the last answer")
    error: str | None = Field(description="Why the last try failed")
    created_at: float
    ended_at: float | None


class NotificationList(Document):
    """A page of notifications, newest first."""

    model_config = example(notifications=[_NOTIFICATION], next_cursor=None)

    notifications: list[ShownNotification]
    next_cursor: str | None

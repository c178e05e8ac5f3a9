"""Webhooks to call: which are due, what became of a try, and what is shown of them.

A row is `pending` until it is `delivered` or `failed`. Only rows say what is still to be done: who calls keeps nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from plugmesh.errors import NotFound
from plugmesh.state.reads import Reader
from plugmesh.state.schema import notification
from plugmesh.state.writes import Writer

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
STATES = (PENDING, DELIVERED, FAILED)

FARTHEST_S = 2 * 86_400.0
"""No try is put off that long: a later one was planned by a clock that was wrong, and is due."""

_COLUMNS = list(notification.columns)


@dataclass(frozen=True, slots=True)
class StoredNotification:
    """One row. `next_at` is `None` once it is over; `status` is that of the last answer."""

    id: str
    run: str
    namespace: str
    url: str
    state: str
    attempts: int
    next_at: float | None
    status: int | None
    error: str | None
    created_at: float
    ended_at: float | None


def due_notifications(
    reader: Reader, now: float, after: tuple[float, str] | None, limit: int
) -> list[StoredNotification]:
    """Pending ones whose time has come, in the order of that time; `after` is the last one of the page before."""
    table = notification.c
    query = sa.select(*_COLUMNS).where(
        table.next_at.is_not(None), sa.or_(table.next_at <= now, table.next_at > now + FARTHEST_S)
    )
    if after is not None:
        at, last = after
        query = query.where(sa.or_(table.next_at > at, sa.and_(table.next_at == at, table.id > last)))
    rows = reader.rows(query.order_by(table.next_at, table.id).limit(limit))
    return [StoredNotification(*row) for row in rows]


def next_notification(reader: Reader, now: float) -> float | None:
    """When the next one that is not due yet will be (Unix seconds)."""
    later = notification.c.next_at > now
    found = reader.rows(sa.select(sa.func.min(notification.c.next_at)).where(later))[0][0]
    return None if found is None else float(found)


def notification_tried(writer: Writer, tried: StoredNotification) -> None:
    """Write down what a try led to. One that was asked to begin anew meanwhile stays as it is."""
    changes = {name: getattr(tried, name) for name in ("state", "attempts", "next_at", "status", "error", "ended_at")}
    table = notification.c
    current = sa.and_(table.id == tried.id, table.state == PENDING, table.attempts == tried.attempts - 1)
    writer.transaction(
        "notification",
        lambda: writer.connection.execute(sa.update(notification).where(current).values(**changes)),
        guarded=True,
    )


def retry_notification(writer: Writer, notification_id: str, at: float) -> None:
    """Begin anew, whatever it was: due at once, with all tries before it. Raises `NotFound`."""

    def body() -> None:
        fresh = {"state": PENDING, "attempts": 0, "next_at": at, "ended_at": None}
        update = sa.update(notification).where(notification.c.id == notification_id).values(**fresh)
        if writer.connection.execute(update).rowcount != 1:
            raise NotFound(f"there is no notification {notification_id[:80]!r}: GET /api/v1/notifications lists them")

    writer.transaction("notification_retry", body)


def stored_notification(reader: Reader, notification_id: str) -> StoredNotification | None:
    """One row."""
    rows = reader.rows(sa.select(*_COLUMNS).where(notification.c.id == notification_id))
    return StoredNotification(*rows[0]) if rows else None


def notifications(
    reader: Reader, *, run: str | None, state: str | None, before: tuple[float, str] | None, limit: int
) -> list[StoredNotification]:
    """Newest first; `before` is the last one of the page before."""
    table = notification.c
    query = sa.select(*_COLUMNS)
    if run is not None:
        query = query.where(table.run == run)
    if state is not None:
        query = query.where(table.state == state)
    if before is not None:
        at, last = before
        query = query.where(sa.or_(table.created_at < at, sa.and_(table.created_at == at, table.id < last)))
    rows = reader.rows(query.order_by(table.created_at.desc(), table.id.desc()).limit(limit))
    return [StoredNotification(*row) for row in rows]


def notifications_of(reader: Reader, run: str) -> Sequence[StoredNotification]:
    """All of one run, in their order."""
    query = sa.select(*_COLUMNS).where(notification.c.run == run).order_by(notification.c.id)
    return [StoredNotification(*row) for row in reader.rows(query)]

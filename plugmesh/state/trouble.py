"""What the database's own errors mean: no room, or no database to be had."""

from __future__ import annotations

from plugmesh.errors import PlugmeshError, StateUnavailable, StoreFull

_SQLITE_FULL = 13
_SQLITE_UNUSABLE = frozenset({5, 8, 10, 11, 14, 26})  # busy, read-only, I/O error, corrupt, cannot open, no database
_FULL_STATES = frozenset({"53100"})  # PostgreSQL: disk_full
_FULL_NUMBERS = frozenset({1021, 1114})  # MySQL: ER_DISK_FULL, ER_RECORD_FILE_FULL


def explained(error: BaseException) -> PlugmeshError | None:
    """`StoreFull` when a transaction failed for want of room: nothing of it is there. `StateUnavailable` when the
    file cannot be used. `None` when it is neither."""
    cause = getattr(error, "orig", None) or error  # what SQLAlchemy wraps
    code = getattr(cause, "sqlite_errorcode", -1) & 0xFF  # the rest is detail
    if code == _SQLITE_FULL or _is_full(cause):
        return StoreFull(
            f"the disk of the database is full ({cause}), so nothing was changed: make room on it. What was accepted "
            "before is kept, and goes on by itself once there is room"
        )
    if code in _SQLITE_UNUSABLE:
        return StateUnavailable(f"the database cannot be written ({cause}): look at its disk, then at /readyz")
    return None


def _is_full(cause: BaseException) -> bool:
    if getattr(cause, "sqlstate", None) in _FULL_STATES:
        return True
    return type(cause).__module__.startswith("pymysql") and bool(cause.args) and cause.args[0] in _FULL_NUMBERS

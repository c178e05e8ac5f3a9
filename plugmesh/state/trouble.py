"""What the database's own errors mean: no room, no database to be had, or nobody knows what became of a commit."""

from __future__ import annotations

from plugmesh.errors import PlugmeshError, StateUnavailable, StoreFull

_SQLITE_FULL = 13
_SQLITE_UNUSABLE = frozenset({5, 8, 10, 11, 14, 26})  # busy, read-only, I/O error, corrupt, cannot open, no database
_FULL_STATES = frozenset({"53100"})  # PostgreSQL: disk_full
_FULL_NUMBERS = frozenset({1021, 1114})  # MySQL: ER_DISK_FULL, ER_RECORD_FILE_FULL
_BUSY_STATES = frozenset(
    {"55P03", "40001", "40P01", "57014"}
)  # lock not available, in the way of each other, cancelled
_BUSY_NUMBERS = frozenset({1205, 1213, 1020, 1317, 3024, 1969})
_DENIED_STATES = frozenset({"42501", "25006"})  # PostgreSQL: insufficient privilege, read-only
_DENIED_NUMBERS = frozenset({1142, 1143, 1227, 1290, 1792, 1836})


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
    if _is(cause, _BUSY_STATES, _BUSY_NUMBERS):
        return StateUnavailable(
            f"other transactions of the database were in the way all the time ({_line(cause)}): nothing was changed, try again"
        )
    if _is(cause, _DENIED_STATES, _DENIED_NUMBERS):
        return StateUnavailable(
            f"the database (setting `state`) does not let this user write ({_line(cause)}): nothing was changed; give the user "
            "the right, or name the server that takes writes"
        )
    return None


def in_the_way(error: BaseException) -> bool:
    """Whether somebody else's transaction was, so that it is worth while to try again."""
    return _is(getattr(error, "orig", None) or error, _BUSY_STATES, _BUSY_NUMBERS)


def lost_in_commit(error: BaseException) -> StateUnavailable:
    """The server may have made the changes, or not: there was no answer."""
    return StateUnavailable(
        f"the connection to the database was lost while changes were being committed ({_line(error)}): nobody knows whether "
        "they are made, so look before you ask for them again"
    )


def lost_before_commit(error: BaseException) -> StateUnavailable:
    """The server undoes what it had heard of the transaction."""
    return StateUnavailable(f"the connection to the database was lost ({_line(error)}): nothing was changed, try again")


def _line(cause: BaseException) -> str:
    return " ".join(str(getattr(cause, "orig", None) or cause).split())[:300]


def _is_full(cause: BaseException) -> bool:
    return _is(cause, _FULL_STATES, _FULL_NUMBERS)


def _is(cause: BaseException, states: frozenset[str], numbers: frozenset[int]) -> bool:
    if getattr(cause, "sqlstate", None) in states:
        return True
    return type(cause).__module__.startswith("pymysql") and bool(cause.args) and cause.args[0] in numbers

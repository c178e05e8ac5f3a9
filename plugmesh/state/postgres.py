"""PostgreSQL by psycopg: the engine with the options that a mesh needs, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from plugmesh.state.driver import ENGINE, LOCK_WAIT_S, TRIES, TRIES_BEATEN, Execute, ExecuteMany

_OPTIONS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "plugmesh",
}
_SESSION = (
    f"SET lock_timeout = '{LOCK_WAIT_S}s'",
    f"SET idle_in_transaction_session_timeout = '{LOCK_WAIT_S}s'",
    "SET default_transaction_isolation = 'read committed'",
    "SET synchronous_commit = on",
    "SET client_min_messages = warning",
)
_TRIES = {"40001": TRIES, "40P01": TRIES, "23505": TRIES_BEATEN}  # serialization, deadlock, unique
_REFUSED = ("28", "3D", "3F", "42501", "0LP")  # who it is, which database or schema, what it may
_REFUSALS = (
    "authentication failed", "authentication method", "no password supplied", "not permitted to log in", "permission denied",
    "pg_hba.conf", "does not exist", "no such database", "no such user", "not currently accepting", "certificate",
    "does not support ssl", "wrong version number", "private key", "unknown ca", "handshake failure", "invalid", "unrecognized",
    "unsupported",
)  # fmt: skip
_NAMES = re.compile(r"\"[^\"]*\"|'[^']*'")
"""Of hosts, users and files in a text."""
_ACTIVE, _UNKNOWN = 1, 4
_FEW = 4


class Postgres:
    """See `Driver`."""

    guarded: tuple[str, ...] = ("BEGIN ISOLATION LEVEL READ COMMITTED",)
    isolated: tuple[str, ...] = ("BEGIN ISOLATION LEVEL SERIALIZABLE",)
    returns_keys = True

    def calls(self, raw: Any) -> tuple[Execute, ExecuteMany]:
        """`executemany` sends all rows before it waits for the answers, which pays from a handful of them on."""

        def many(text: str, rows: Sequence[Sequence[Any]]) -> None:
            if len(rows) > _FEW:
                raw.cursor().executemany(text, rows)
                return
            for row in rows:
                raw.execute(text, row)

        return raw.execute, many

    def lost(self, raw: Any, error: BaseException) -> bool:
        """Closed by either side, or nobody knows whether an answer is still to come; or a server that only reads."""
        if raw.closed or raw.pgconn.transaction_status in (_ACTIVE, _UNKNOWN):
            return True
        return _state(error) == "25006"

    def tries(self, error: BaseException) -> int:
        """See `Driver.tries`."""
        return _TRIES.get(_state(error) or "", 1)

    def refused(self, error: BaseException) -> bool:
        """While connecting, the library gives no code but a text. A server that is started again, and what stands before it, say
        many things; what they say of settings is known."""
        if (state := _state(error)) is not None:
            return state.startswith(_REFUSED)
        text = _NAMES.sub("", str(error)).lower()
        return any(words in text for words in _REFUSALS)


def postgres_engine(url: URL, answer_s: float | None) -> sa.Engine:
    """Connections that wait at most `answer_s` seconds for an answer (None: for ever)."""
    import psycopg  # only where it is installed

    class Bounded(psycopg.Connection[Any]):
        """Gives up when no answer comes: a server that stands still, or a network that swallows everything."""

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = answer_s) -> Any:
            return super().wait(gen, interval, timeout)

    def connect(*args: Any, **options: Any) -> Any:
        return Bounded.connect(*args, autocommit=True, **options)

    options = {name: value for name, value in _OPTIONS.items() if name not in url.query}
    engine = sa.create_engine(url, connect_args=options, **ENGINE)
    sa.event.listen(engine, "do_connect", lambda dialect, record, args, given: connect(*args, **given))
    sa.event.listen(engine, "connect", lambda raw, record: _prepare(raw))
    return engine


def _prepare(raw: Any) -> None:
    from psycopg.types.string import StrDumper  # an optional library, and only who asks for it pays

    class Text(StrDumper):
        """PostgreSQL has no text with a zero character in it; errors of modules may have one."""

        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in obj else obj)

    raw.adapters.register_dumper(str, Text)
    raw.execute("; ".join(_SESSION))


def _state(error: BaseException) -> str | None:
    state = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    return None if state is None else str(state)

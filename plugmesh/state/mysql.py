"""MySQL and MariaDB by pymysql: the engine with the options that a mesh needs, and what its errors mean."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from plugmesh.errors import ConfigurationError
from plugmesh.state.driver import ENGINE, LOCK_WAIT_S, TRIES, TRIES_BEATEN, Execute, ExecuteMany

PACKET_BYTES = 16 * 1024 * 1024
"""Both sides must take packets of that size: a run's rows may be some megabytes."""

_SESSION = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', "
    f"innodb_lock_wait_timeout = {LOCK_WAIT_S}, default_storage_engine = 'InnoDB'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
_IDLE = {True: f"SET SESSION idle_transaction_timeout = {LOCK_WAIT_S}", False: "SET SESSION wait_timeout = 60"}
"""MariaDB ends a transaction that says nothing; MySQL can only end a connection that says nothing."""
_TRIES = {1213: TRIES, 1020: TRIES, 1062: TRIES_BEATEN}  # deadlock, changed since it was read, duplicate
_LOST = frozenset({1053, 1927, 2006, 2013, 2014, 2045, 2055, 4031, 1290, 1792, 1836})  # the last three: it only reads
_REFUSED = frozenset({1044, 1045, 1046, 1049, 1130, 1142, 1227, 1251, 1524, 1698, 2061})


class Mysql:
    """See `Driver`."""

    guarded: tuple[str, ...] = ("BEGIN",)
    isolated: tuple[str, ...] = ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN")
    returns_keys = False

    def calls(self, raw: Any) -> tuple[Execute, ExecuteMany]:
        """`executemany` makes one statement of many rows."""

        def execute(text: str, values: Any = None) -> Any:
            cursor = raw.cursor()
            cursor.execute(text, values)
            return cursor

        return execute, lambda text, rows: raw.cursor().executemany(text, rows)

    def lost(self, raw: Any, error: BaseException) -> bool:
        """Closed by either side; or a server that only reads."""
        return not raw.open or _number(error) in _LOST

    def tries(self, error: BaseException) -> int:
        """See `Driver.tries`."""
        return _TRIES.get(_number(error), 1)

    def refused(self, error: BaseException) -> bool:
        """See `Driver.refused`."""
        return _number(error) in _REFUSED


def mysql_engine(url: URL, answer_s: float | None) -> sa.Engine:
    """Connections that wait at most `answer_s` seconds for an answer (None: for ever)."""
    limits = {} if answer_s is None else {"read_timeout": answer_s, "write_timeout": answer_s}
    options: dict[str, Any] = {"connect_timeout": 10, "charset": "utf8mb4", "max_allowed_packet": 4 * PACKET_BYTES}
    given = {name: value for name, value in {**options, **limits}.items() if name not in url.query}
    engine = sa.create_engine(url, connect_args={**given, "init_command": _SESSION[0]}, **ENGINE)
    sa.event.listen(engine, "connect", lambda raw, record: _prepare(raw))
    return engine


def _prepare(raw: Any) -> None:
    with raw.cursor() as cursor:
        cursor.execute(_SESSION[1])
        cursor.execute(_IDLE["MariaDB" in raw.get_server_info()])
        cursor.execute("SELECT @@max_allowed_packet")
        if (size := int(cursor.fetchone()[0])) < PACKET_BYTES:
            raise ConfigurationError(
                f"the database takes packets of {size:,} bytes at most: set max_allowed_packet to {PACKET_BYTES:,} or "
                "more on its server"
            )


def _number(error: BaseException) -> int:
    cause = getattr(error, "orig", None) or error
    first = cause.args[0] if type(cause).__module__.startswith("pymysql") and cause.args else -1
    return first if isinstance(first, int) else -1

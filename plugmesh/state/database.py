"""Opening a database by URL: SQLite in a file (or memory), later PostgreSQL and MySQL."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool, StaticPool

from plugmesh.errors import ConfigurationError, Conflict, StateUnavailable

_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_SYNCHRONOUS = {"full": "FULL", "normal": "NORMAL"}
_WALL = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
    "mysql": "SELECT CAST(unix_timestamp(now(6)) AS double)",
}


class Database:
    """An SQLAlchemy engine, and for SQLite the lock that keeps a second process out.

    SQLite before 3.51.3 can lose the end of its log when several processes write; one process writes, always.
    Raises `ConfigurationError` for a URL that cannot be served, `Conflict` when another process holds the file.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.in_memory = self.is_sqlite and self.url.database in (None, "", ":memory:")
        self._lock = self._lock_file() if self.is_sqlite and not self.in_memory else None
        self.engine = self._make_engine()
        self._file: tuple[int, int] | None = None

    @property
    def exclusive(self) -> bool:
        """No other process can have this database open: a lease found in it belongs to someone who is gone."""
        return self.is_sqlite

    def connect(self) -> sa.Connection:
        """A connection of its own, for one thread."""
        connection = self.engine.connect()
        if self._lock is not None and self._file is None:
            self._file = self._find_file()
        return connection

    def wall(self, connection: sa.Connection) -> float:
        """Unix time by the database's own clock: the one clock that all schedulers of a mesh have in common."""
        return float(connection.exec_driver_sql(_WALL[self.url.get_backend_name()]).scalar_one())

    def check_there(self) -> None:
        """Raises `StateUnavailable` if the file was removed or replaced since it was opened: what SQLite goes on to write
        would be gone with this process."""
        if self._file is not None and self._find_file() != self._file:
            raise StateUnavailable(
                f"the database {self.url.database} was removed or replaced while this server has it open, so nothing is "
                "accepted any more: put it back where it was, or stop the server and start it on another folder (--data)"
            )

    def _find_file(self) -> tuple[int, int]:
        try:
            status = os.stat(str(self.url.database))
        except OSError:
            return (0, 0)
        return (status.st_dev, status.st_ino)

    def close(self) -> None:
        """Close all connections and give the lock back."""
        self.engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _lock_file(self) -> int:
        path = Path(str(self.url.database))
        lock = path.with_name(path.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"the database {path} cannot be used: {error.strerror} ({lock}): give this user the folder and what is "
                "in it, or choose another one with --data"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise Conflict(
                f"the database {path} is in use by another Plugmesh server (process {owner}): "
                "stop that one, or choose another folder with --data"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return handle

    def _make_engine(self) -> sa.Engine:
        if not self.is_sqlite:
            return sa.create_engine(self.url, poolclass=NullPool)
        level = str(self.url.query.get("synchronous", "full")).lower()
        if level not in _SYNCHRONOUS:
            raise ConfigurationError(f"synchronous={level!r} in the state URL: use full or normal")
        engine = sa.create_engine(
            URL.create(_DRIVERS["sqlite"], database=self.url.database),
            poolclass=StaticPool if self.in_memory else NullPool,
            connect_args={"check_same_thread": False, "isolation_level": None, "timeout": 10.0},
        )
        sa.event.listen(engine, "connect", lambda raw, _: _prepare_sqlite(raw, _SYNCHRONOUS[level]))
        return engine


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigurationError(f"the state URL {url!r} cannot be read: {error}") from error
    backend = parsed.get_backend_name()
    if backend not in _DRIVERS:
        raise ConfigurationError(f"the state URL has the scheme {backend!r}; known are {', '.join(sorted(_DRIVERS))}")
    return parsed if backend == "sqlite" else parsed.set(drivername=_DRIVERS[backend])


def _prepare_sqlite(raw: Any, synchronous: str) -> None:
    cursor = raw.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA synchronous={synchronous}")  # a constant of this file, never input
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA wal_autocheckpoint=1000")  # never truncate: an overwritten log costs half an fsync
    cursor.close()

"""Opening a database by URL: SQLite in a file (or memory), PostgreSQL, MySQL or MariaDB."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool, StaticPool

from plugmesh.errors import ConfigurationError, Conflict, StateUnavailable
from plugmesh.state.driver import Driver, Sqlite
from plugmesh.state.mysql import Mysql, mysql_engine
from plugmesh.state.postgres import Postgres, postgres_engine
from plugmesh.urls import QUOTE_IT, completed, hidden

ANSWER_S = 30.0
"""A server that has not answered within that time is taken for one that will not; `?timeout_s=` in the URL changes it."""

_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_EXTRAS = {"sqlite": "server", "postgresql": "postgres", "mysql": "mysql"}
_LOGIN = re.compile(r"^[\w+]+://(?:[^:/]*(?::[^@]*)?@)?")
"""What SQLAlchemy takes for the scheme and the login of a URL."""
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

    driver: Driver

    def __init__(self, url: str) -> None:
        self.shown = hidden(url)
        """The URL for people."""
        parsed, self._answer_s = _parse(url)
        self.url = parsed
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
        """A connection of its own, for one thread. Raises `StateUnavailable` when there is no server, `ConfigurationError`
        when it turns this user away."""
        connection = self._connect(self.engine)
        if self._lock is not None and self._file is None:
            self._file = self._find_file()
        return connection

    def connect_patiently(self) -> sa.Connection:
        """The same for what may take hours, as changes of the schema do: an answer is waited for however long it takes."""
        if self.is_sqlite:
            return self.connect()
        return self._connect(self._server_engine(None))

    def _connect(self, engine: sa.Engine) -> sa.Connection:
        if self.is_sqlite:
            return engine.connect()
        try:
            return engine.connect()
        except sa.exc.DBAPIError as error:
            reason = " ".join(str(error.orig).split())
            if self.driver.refused(error):
                raise ConfigurationError(
                    f"the database {self.shown} (setting `state`) turns this user away: {reason}. Look at host, user, "
                    "password and name of the database in that setting"
                ) from error
            raise StateUnavailable(
                f"the database {self.shown} (setting `state`) cannot be reached: {reason}. Nothing was changed; see "
                "whether it runs, and whether the way to it is open"
            ) from error

    def wall(self, connection: sa.Connection) -> float:
        """Unix time by the database's own clock: the one clock that all schedulers of a mesh have in common."""
        return wall_clock(connection)

    @property
    def folder(self) -> Path | None:
        """Where the database's file lies; `None` if it has none here."""
        return None if self._file is None else Path(str(self.url.database)).parent

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
            self.driver = Postgres() if self.url.get_backend_name() == "postgresql" else Mysql()
            return self._server_engine(self._answer_s)
        self.driver = Sqlite()
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

    def _server_engine(self, answer_s: float | None) -> sa.Engine:
        backend = self.url.get_backend_name()
        try:
            return (postgres_engine if backend == "postgresql" else mysql_engine)(self.url, answer_s)
        except ImportError as error:
            raise ConfigurationError(
                f"the setting `state` ({self.shown}) needs a package that is not here ({error.name}): "
                f"pip install 'plugmesh[{_EXTRAS[backend]}]'"
            ) from error


def wall_clock(connection: sa.Connection) -> float:
    """Unix time by the clock of the database."""
    return float(connection.exec_driver_sql(_WALL[connection.dialect.name]).scalar_one())


def sqlite_file(url: str) -> Path | None:
    """The file of a URL of SQLite, which need not be there; `None` for a server. Raises `ConfigurationError`."""
    parsed, _ = _parse(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def _parse(url: str) -> tuple[URL, float]:
    """The URL without the options that are ours, and how long an answer may take (seconds)."""
    if not url.startswith("sqlite"):
        url = completed(url)
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            f"the setting `state` ({hidden(url)}) cannot be read as a URL: write postgresql://user@host/database"
        ) from None  # its text may have a part of the password
    backend = parsed.get_backend_name()
    if backend not in _DRIVERS:
        raise ConfigurationError(
            f"the setting `state` has the scheme {backend!r}; known are {', '.join(sorted(_DRIVERS))} (MariaDB is mysql)"
        )
    if backend == "sqlite":
        return parsed, ANSWER_S
    place, _, options = _LOGIN.sub("", url).partition("?")
    if any("@" in text for text in (place, *(option.partition("=")[0] for option in options.split("&")))):
        raise ConfigurationError(f"the setting `state` ({hidden(url)}) has an @ behind its host: {QUOTE_IT}")
    if not parsed.database:
        raise ConfigurationError(f"the setting `state` ({hidden(url)}) names no database: write {backend}://…/NAME")
    limit = parsed.query.get("timeout_s", str(ANSWER_S))
    try:
        answer_s = float(str(limit))
    except ValueError:
        answer_s = 0.0
    if not 0.0 < answer_s < 86_400.0:
        raise ConfigurationError(f"timeout_s={limit!r} in the setting `state`: write seconds, as 30")
    return parsed.difference_update_query(["timeout_s"]).set(drivername=_DRIVERS[backend]), answer_s


def _prepare_sqlite(raw: Any, synchronous: str) -> None:
    cursor = raw.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA synchronous={synchronous}")  # a constant of this file, never input
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA wal_autocheckpoint=1000")  # never truncate: an overwritten log costs half an fsync
    cursor.close()

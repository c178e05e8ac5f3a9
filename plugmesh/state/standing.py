"""What a database is like, for somebody who is about to upgrade it. Nothing is changed by looking."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from plugmesh.errors import ConfigurationError
from plugmesh.state.database import Database, sqlite_file
from plugmesh.state.migrate import HEAD, Migration, missing
from plugmesh.state.processes import Process, processes
from plugmesh.state.schema_version import SchemaVersion
from plugmesh.urls import hidden


@dataclass(frozen=True, slots=True)
class Standing:
    """The schema of a database, the migrations that it lacks, and the processes that work with it now."""

    version: SchemaVersion
    missing: tuple[Migration, ...] = ()
    processes: tuple[Process, ...] = ()

    @property
    def works(self) -> bool:
        """This Plugmesh can work with the database as it is."""
        return self.version.lets(HEAD)

    @property
    def is_newer(self) -> bool:
        """A newer Plugmesh has upgraded the database."""
        return (self.version.revision or "") > HEAD

    @property
    def oldest_after(self) -> str:
        """What a process must know at least when the missing migrations have run."""
        return max([self.version.oldest or "", *(one.beside for one in self.missing)])

    @property
    def in_the_way(self) -> list[Process]:
        """The processes that could not go on after an upgrade: it is refused as long as they are there."""
        return [one for one in self.processes if one.knows < self.oldest_after]


def standing(url: str) -> Standing:
    """Of the database at a URL. Raises `ConfigurationError`, `StateUnavailable`."""
    with _looking(url) as connection:
        if connection is None:
            return Standing(SchemaVersion(None, None), tuple(missing(SchemaVersion(None, None))))
        version = SchemaVersion.of(connection)
        return Standing(version, tuple(missing(version)), tuple(processes(connection)))


@contextmanager
def _looking(url: str) -> Iterator[sa.Connection | None]:
    """A connection to look; `None` where there is no file yet. One of SQLite reads beside the process that writes."""
    if (file := sqlite_file(url)) is None:
        database = Database(url)
        try:
            with database.connect() as connection:
                yield connection
        finally:
            database.close()
    elif not file.exists():
        yield None
    else:
        engine = sa.create_engine("sqlite+pysqlite://", creator=lambda: _reader(file), poolclass=NullPool)
        try:
            with engine.connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise ConfigurationError(
                f"the database {hidden(url)} cannot be read: {error.orig}. `plugmesh doctor` says whether it is whole"
            ) from error
        finally:
            engine.dispose()


def _reader(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10.0)

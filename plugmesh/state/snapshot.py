"""All rows of a database as they are at one moment, for whoever takes them somewhere else.

A snapshot may be open for hours. On a server nothing waits for it; SQLite's log grows for as long as it is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from plugmesh.errors import ConfigurationError, Conflict, NotFound, StateUnavailable
from plugmesh.state.database import Database, sqlite_file, wall_clock
from plugmesh.state.migrate import HEAD
from plugmesh.state.processes import processes
from plugmesh.state.schema import process, scheduler, shard
from plugmesh.state.schema_version import SchemaVersion
from plugmesh.urls import hidden

ROWS = 500
"""So many are held at a time."""
LEFT_OUT = frozenset({process.name, scheduler.name})
"""Tables about processes that are there now: they mean nothing anywhere else."""
_PATIENT = {
    "sqlite": (),
    "postgresql": ("SET idle_in_transaction_session_timeout = 0", "SET lock_timeout = 0"),
    "mysql": ("SET SESSION wait_timeout = 86400", "SET SESSION net_write_timeout = 3600"),
}
_PATIENT_MARIADB = ("SET SESSION idle_transaction_timeout = 0",)
_BEGIN = {
    "sqlite": ("BEGIN",),
    "postgresql": ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",),
    "mysql": (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ),
}


@contextmanager
def snapshot(url: str) -> Iterator[sa.Connection]:
    """A snapshot of a database, whoever works with it. Raises `NotFound` for a file that is not there, `ConfigurationError`
    for a database of another schema, `StateUnavailable`."""
    with reading(url) as connection:
        for statement in _BEGIN[connection.dialect.name]:
            connection.exec_driver_sql(statement)
        check_schema(connection, url)
        try:
            yield connection
        finally:
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")


@contextmanager
def unused(url: str) -> Iterator[None]:
    """While this goes on nobody works with the database. Raises `Conflict` at the beginning, or at the end, if somebody
    does; `NotFound`, `StateUnavailable`."""
    if sqlite_file(url) is None:
        _check_unused(url)
        yield
        _check_unused(url)
        return
    _there(url)
    database = Database(url)  # takes the lock of the file
    try:
        yield
    finally:
        database.close()


def rows_of(connection: sa.Connection, table: sa.Table) -> Iterator[Sequence[tuple[Any, ...]]]:
    """All rows of a table, some at a time. Raises `StateUnavailable`."""
    return _parts(connection, sa.select(table))


def rows_in(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[tuple[Any, ...]]:
    """All rows of a question, however many. Raises `StateUnavailable`."""
    for part in _parts(connection, query):
        yield from part


def _parts(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Sequence[tuple[Any, ...]]]:
    options = {"stream_results": True, "max_row_buffer": ROWS}
    try:
        with closing(connection.execute(query, execution_options=options)) as result:
            for part in result.partitions(ROWS):
                yield [tuple(row) for row in part]
    except sa.exc.DBAPIError as error:
        raise StateUnavailable(f"the rows could not be read to their end: {line_of(error)}") from error


def be_patient(connection: sa.Connection) -> None:
    """A transaction on this connection may take its time."""
    name = connection.dialect.name
    statements: tuple[str, ...] = _PATIENT[name]
    if name == "mysql" and getattr(connection.dialect, "is_mariadb", False):
        statements += _PATIENT_MARIADB
    for statement in statements:
        connection.exec_driver_sql(statement)


def check_schema(connection: sa.Connection, url: str) -> None:
    """Raises `ConfigurationError` unless the database has the schema of this version."""
    found = SchemaVersion.of(connection)
    if found.revision == HEAD and not found.is_empty:
        return
    there = f"schema {found.revision}" if found.revision else "no tables of a mesh"
    raise ConfigurationError(
        f"the database {hidden(url)} has {there}, and this Plugmesh works with {HEAD}: name another database, or upgrade it "
        "(`plugmesh db upgrade`; one of SQLite by starting `plugmesh up`)"
    )


@contextmanager
def reading(url: str) -> Iterator[sa.Connection]:
    """A connection to read with, beside whoever works with the database; its transactions may be long. Raises `NotFound` for
    a file that is not there, `StateUnavailable`, also while it is read, `ConfigurationError`."""
    if sqlite_file(url) is not None:
        path = _there(url)
        engine = sa.create_engine("sqlite+pysqlite://", creator=lambda: _read_only(path), poolclass=NullPool)
        try:
            with engine.connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise StateUnavailable(f"the database {path} cannot be read: {line_of(error)}") from error
        finally:
            engine.dispose()
        return
    database = Database(url)
    try:
        with database.connect_patiently() as connection:
            be_patient(connection)
            yield connection
    except sa.exc.DBAPIError as error:
        raise StateUnavailable(f"the database {hidden(url)} cannot be read: {line_of(error)}") from error
    finally:
        database.close()


def line_of(error: sa.exc.DBAPIError) -> str:
    """What the database itself has said."""
    return " ".join(str(error.orig).split())[:300]


def _there(url: str) -> Path:
    path = sqlite_file(url)
    assert path is not None
    if not path.is_file():
        raise NotFound(f"there is no database {path}: the path of SQLite stands behind three slashes (sqlite:///FILE)")
    return path


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10.0)


def _check_unused(url: str) -> None:
    database = Database(url)
    try:
        with database.connect() as connection:
            check_schema(connection, url)
            at_work = [f"{one.role} on {one.host} (process {one.pid})" for one in processes(connection)]
            held = sa.and_(shard.c.owner.is_not(None), shard.c.lease_until >= wall_clock(connection))
            at_work += connection.execute(sa.select(shard.c.owner).where(held).distinct()).scalars()
    finally:
        database.close()
    if at_work:
        raise Conflict(
            f"{', '.join(at_work)} works with the database {hidden(url)}: stop all servers of this mesh first (one that was "
            "killed counts for some seconds more), so that nothing is changed that would not be taken along"
        )

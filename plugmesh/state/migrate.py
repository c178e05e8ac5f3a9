"""Bringing a database to the newest schema with Alembic, without an ini file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from plugmesh.errors import ConfigurationError, Conflict
from plugmesh.state.processes import Process, processes
from plugmesh.state.schema_version import SchemaVersion, put_oldest, put_revision

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0005"
"""The newest revision; checked by a test against the folder of revisions."""

TABLE_WAIT_S = 4
"""Of a change of a table for whoever reads it. All who come later wait behind the change, so it must give up first."""
_LOCK = 5_076_837_129
"""Of PostgreSQL: any number that other programs do not use in the same database."""
_LOCKS = {
    # All or nothing: a process that is killed halfway must not leave tables that the next one stumbles over. The driver
    # begins nothing by itself, and Alembic leaves a transaction that it finds to its caller.
    "sqlite": (("BEGIN IMMEDIATE",), "COMMIT"),
    "postgresql": (
        (
            "SET lock_timeout = 0",
            "SET idle_in_transaction_session_timeout = 0",
            "BEGIN",
            f"SELECT pg_advisory_xact_lock({_LOCK})",
            f"SET LOCAL lock_timeout = '{TABLE_WAIT_S}s'",
        ),
        "COMMIT",
    ),
    "mysql": (
        (
            f"SET SESSION lock_wait_timeout = {TABLE_WAIT_S}",
            "SELECT GET_LOCK(CONCAT('plugmesh.', LEFT(DATABASE(), 50)), 86400)",
        ),
        "SELECT RELEASE_LOCK(CONCAT('plugmesh.', LEFT(DATABASE(), 50)))",
    ),
}
"""What begins the change of a schema, and keeps others from it; what ends it."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. Processes that know the schema `beside`, or a newer one, may go on while it runs and after it."""

    revision: str
    says: str
    beside: str


def prepare(connection: sa.Connection, *, exclusive: bool) -> None:
    """What a process does before it works with a database: make the schema where there is none. One of an older version is
    brought up to date if nobody else can have the database open; on a server somebody must say so.

    Raises `ConfigurationError` when this process cannot work with the database as it is, else as `upgrade`.
    """
    if is_late(connection, exclusive=exclusive):
        upgrade(connection)


def is_late(connection: sa.Connection, *, exclusive: bool) -> bool:
    """Whether `prepare` has something to do, which may take hours. Raises `ConfigurationError` as it does."""
    found = SchemaVersion.of(connection)
    check_known(found)
    if found.lets(HEAD):
        return False
    if not (found.is_empty or exclusive):
        raise ConfigurationError(
            f"the database has schema {found.revision}, this Plugmesh needs {HEAD}: run `plugmesh db upgrade` with this version; "
            "processes of the version before go on meanwhile"
        )
    return True


def check_known(found: SchemaVersion) -> None:
    """Raises `ConfigurationError` for a database that only newer processes may work with."""
    if found.oldest is not None and found.oldest > HEAD:
        raise ConfigurationError(
            f"the database has schema {found.revision}, for processes that know {found.oldest} or more; this Plugmesh knows "
            f"{HEAD}: start it with a newer version"
        )


def upgrade(connection: sa.Connection) -> list[Migration]:
    """Run the migrations that are missing, and return them; who comes second waits. Raises `ConfigurationError` for a database
    of a newer Plugmesh, `Conflict` while processes are there that could not go on, `StateUnavailable` when the database does
    not let its user make tables.

    SQLite and PostgreSQL make the schema whole or not at all. MySQL cannot undo it: there, what a process that was killed
    halfway has left is taken as it is, and the next one goes on behind it.
    """
    if _is_done(SchemaVersion.of(connection)):
        return []
    begin, end = _LOCKS[connection.dialect.name]
    for statement in begin:
        connection.exec_driver_sql(statement)
    try:
        found = SchemaVersion.of(connection)
        done = [] if _is_done(found) else _run(connection, found)  # somebody else may have been at it until now
        connection.exec_driver_sql(end)
    except BaseException:
        if connection.dialect.name == "sqlite":  # the others end with the connection
            connection.rollback()
        else:
            connection.invalidate()
        raise
    connection.commit()
    return done


def missing(found: SchemaVersion) -> list[Migration]:
    """The migrations that the database lacks, oldest first."""
    return [one for one in _migrations(_config()) if one.revision > (found.revision or "")]


def _is_done(found: SchemaVersion) -> bool:
    check_known(found)
    return not found.is_empty and found.revision is not None and found.revision >= HEAD


def _run(connection: sa.Connection, found: SchemaVersion) -> list[Migration]:
    from alembic import command  # slow to import, and only needed when something changes

    config = _config()
    config.attributes["connection"] = connection
    known = _migrations(config)
    oldest = max(one.beside for one in known)
    if found.revision is not None:
        put_revision(connection, found.revision)
    with _closed_to_older(connection, found, oldest):
        command.upgrade(config, "head")
    if found.is_empty:
        put_oldest(connection, oldest)  # last: until then the tables are not finished
    return [one for one in known if one.revision > (found.revision or "")]


@contextmanager
def _closed_to_older(connection: sa.Connection, found: SchemaVersion, oldest: str) -> Iterator[None]:
    """Let nobody begin who could not work with what is to come, and see that nobody such is there. In this order: who comes
    in between is seen, or sees."""
    if found.oldest is None or oldest <= found.oldest:
        yield
        return
    put_oldest(connection, oldest)
    if too_old := [one for one in processes(connection) if one.knows < oldest]:
        put_oldest(connection, found.oldest)
        raise Conflict(
            f"schema {HEAD} is for processes that know {oldest}, and older ones are at work: {_names(too_old)}. Nothing was "
            "changed: replace them by newer ones first, or stop them"
        )
    yield


def _names(found: list[Process]) -> str:
    return ", ".join(
        f"{one.role} {one.id} on {one.host} (process {one.pid}, version {one.version}, schema {one.knows})"
        for one in found
    )


def _config() -> Config:
    from alembic.config import Config  # as above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _migrations(config: Config) -> list[Migration]:
    from alembic.script import ScriptDirectory  # as above

    scripts = ScriptDirectory.from_config(config).walk_revisions()
    found = [Migration(one.revision, one.doc, getattr(one.module, "beside", one.revision)) for one in scripts]
    return sorted(found, key=lambda one: one.revision)

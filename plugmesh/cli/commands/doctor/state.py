"""The database, tried: its schema, its clock, and a row that is written, read back over another connection and deleted."""

from __future__ import annotations

import sqlalchemy as sa

from plugmesh.cli.commands.doctor.mesh import MOST_SKEW_S
from plugmesh.cli.commands.doctor.trial import Doubt
from plugmesh.errors import ConfigurationError, NotReachable
from plugmesh.runtime import Runtime
from plugmesh.state import schema
from plugmesh.state.database import Database
from plugmesh.state.migrate import HEAD
from plugmesh.state.schema_version import SchemaVersion
from plugmesh.state.writes import Writer


async def try_url(url: str, runtime: Runtime) -> str:
    """Try the database at `url`. Raises `Doubt`, `ConfigurationError`, `StateUnavailable`, `Conflict`, `NotReachable`."""
    worker = runtime.worker("state trial")
    asked = worker.begin(_try, url, runtime)
    asked.add_done_callback(lambda _: worker.close())  # also if nobody waits for it any more
    return await asked


def _try(url: str, runtime: Runtime) -> str:
    database = Database(url)
    try:
        with database.connect() as connection:
            version = SchemaVersion.of(connection)
            _check_schema(version)
            ahead = database.wall(connection) - runtime.wall()
        _write_and_read(database, runtime)
    finally:
        database.close()
    if abs(ahead) > MOST_SKEW_S:
        word = "ahead of" if ahead > 0 else "behind"
        raise Doubt(f"it works, and its clock is {abs(ahead):.0f} s {word} ours", "let both use a time server (NTP)")
    return f"schema {version.revision}; a row was written, read over another connection, and deleted"


def _check_schema(version: SchemaVersion) -> None:
    if version.is_empty:
        raise Doubt(
            "it answers, and no mesh has used it",
            "the first server makes its tables; if one has run, the name of the database in the setting `state` is wrong",
        )
    if not version.lets(HEAD):
        raise ConfigurationError(
            f"it has schema {version.revision}, for processes that know {version.oldest} or more, and this Plugmesh knows "
            f"{HEAD}: run `plugmesh db upgrade` with the newer version, and install that here"
        )


def _write_and_read(database: Database, runtime: Runtime) -> None:
    name, table = runtime.new_id("doctor"), schema.mesh
    writer = Writer(database, runtime)
    writer.transaction(
        "trial", lambda: writer.connection.execute(sa.insert(table).values(name=name, value="a trial of the doctor"))
    )
    try:
        with database.connect() as connection:
            if connection.execute(sa.select(table.c.value).where(table.c.name == name)).scalar() is None:
                raise NotReachable("a row was committed, and another connection does not see it: is this a replica?")
    finally:
        writer.transaction("trial", lambda: writer.connection.execute(sa.delete(table).where(table.c.name == name)))

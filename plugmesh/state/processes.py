"""The processes that have a database open, which others have open as well: what each of them is, and which schema it knows."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from plugmesh.state.database import wall_clock
from plugmesh.state.schema import process
from plugmesh.state.schema_version import SchemaVersion
from plugmesh.state.writes import Writer


@dataclass(frozen=True, slots=True)
class Process:
    """One of them. `knows` is the newest schema that it knows; `started_at` is Unix time by its own clock."""

    id: str
    role: str
    host: str
    pid: int
    version: str
    knows: str
    started_at: float


def attend_process(writer: Writer, one: Process, lease_s: float) -> SchemaVersion:
    """Say that a process is there for `lease_s` seconds more; what the database says of its schema. Those whose time is long
    over are forgotten."""

    def body() -> SchemaVersion:
        until, run = writer.lease_clock() + lease_s, writer.connection.execute
        if run(sa.update(process).where(process.c.id == one.id).values(lease_until=until)).rowcount == 0:
            run(sa.delete(process).where(process.c.lease_until < until - 2 * lease_s))
            run(sa.insert(process).values(**asdict(one), lease_until=until))
        return SchemaVersion.of(writer.connection)

    return writer.transaction("attend-process", body, guarded=True)


def leave_process(writer: Writer, id: str) -> None:
    """A process is gone for good."""
    writer.transaction(
        "leave-process", lambda: writer.connection.execute(sa.delete(process).where(process.c.id == id)), guarded=True
    )


def processes(connection: sa.Connection) -> list[Process]:
    """Who is there now, by role; nobody in a database whose schema knows of none."""
    if not sa.inspect(connection).has_table(process.name):
        return []
    now = wall_clock(connection)
    columns = [column for column in process.columns if column.name != "lease_until"]
    query = sa.select(*columns).where(process.c.lease_until >= now).order_by(process.c.role, process.c.started_at)
    return [Process(**row) for row in connection.execute(query).mappings()]

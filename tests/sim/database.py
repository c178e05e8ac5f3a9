"""The SQL database of a simulation: SQLite in memory, which outlives the simulated server that writes to it."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from plugmesh.runtime import Runtime
from plugmesh.state.migrate import upgrade
from plugmesh.state.reads import Reader
from plugmesh.state.store import State


class SimDatabase:
    """Stands for the file: what a `Database` is to the processes that open it one after another."""

    is_sqlite = True
    in_memory = True

    def __init__(self, wall: Callable[[], float], *, exclusive: bool = True) -> None:
        self._wall, self.exclusive = wall, exclusive
        raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        raw.deserialize(_migrated())
        raw.execute("PRAGMA foreign_keys=ON")
        self.raw = raw
        self.engine = sa.create_engine("sqlite+pysqlite://", poolclass=StaticPool, creator=lambda: raw)

    def connect(self) -> sa.Connection:
        return self.engine.connect()

    def wall(self, connection: sa.Connection) -> float:
        """The database's own clock, which nobody sets."""
        return self._wall()

    def check_there(self) -> None:
        """It always is."""

    def close(self) -> None:
        """The process leaves; the data stays."""

    def dispose(self) -> None:
        """The simulation is over."""
        self.engine.dispose()
        self.raw.close()


async def open_state(database: SimDatabase, runtime: Runtime) -> State:
    """What `State.open` does, over a database that is already there."""
    if database.raw.in_transaction:
        database.raw.execute("ROLLBACK")  # of a process that died inside it
    worker = runtime.worker("state")
    state = State(runtime, database, worker, worker)  # type: ignore[arg-type]
    await worker.call(state._prepare)
    state._reader = await worker.call(Reader, database)
    return state


@functools.cache
def _migrated() -> bytes:
    """An empty database with the newest schema: migrating takes longer than a simulated run."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    engine = sa.create_engine("sqlite+pysqlite://", poolclass=StaticPool, creator=lambda: raw)
    with engine.connect() as connection:
        upgrade(connection)
        connection.commit()
    image = raw.serialize()
    engine.dispose()
    return image

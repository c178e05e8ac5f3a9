"""The SQL database of a simulation: SQLite in memory, which outlives the simulated servers that write to it.

What other databases do to those who share them is added: a lock that somebody else holds, a clock of its own, and (by
the points of `Writer.transaction`) commits whose outcome is unknown.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from plugmesh.contracts.run import SHARDS
from plugmesh.errors import OwnershipLost
from plugmesh.state.driver import Sqlite
from plugmesh.state.migrate import upgrade
from plugmesh.state.reads import Reader
from plugmesh.state.records import Commit
from plugmesh.state.store import State
from plugmesh.state.trouble import explained
from plugmesh.state.writes import Writer
from tests.sim.process import SimProcess, SimWorker

BUSY_S = 10.0
"""How long a transaction waits for the lock of another one before it fails."""
_SQLITE_BUSY = 5
_SQLITE_IO = 10


class SimDatabase:
    """Stands for the file or the database server. `exclusive`: only one server can have it open at a time."""

    is_sqlite = True
    in_memory = True
    driver = Sqlite()

    def __init__(self, wall: Callable[[], float], violated: Callable[[str, str], None], *, exclusive: bool) -> None:
        self._wall, self.violated, self.exclusive = wall, violated, exclusive
        self.locked_until = 0.0
        """By the database's clock: somebody's transaction holds the write lock until then."""
        self.locked_by = ""
        raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        raw.deserialize(_migrated())
        raw.execute("PRAGMA foreign_keys=ON")
        self.raw = raw
        self.engine = sa.create_engine(
            "sqlite+pysqlite://",
            poolclass=StaticPool,
            creator=lambda: raw,
            pool_reset_on_return=None,  # the garbage of a dead server must not roll back what another one is at
        )

    def connect(self) -> sa.Connection:
        return self.engine.connect()

    def wall(self, connection: sa.Connection) -> float:
        """The database's own clock, which nobody sets."""
        return self._wall()

    def check_there(self) -> None:
        """It always is."""

    def close(self) -> None:
        """The process leaves; the data stays."""

    def lock(self, seconds: float, holder: str) -> None:
        """Let everybody but `holder` wait."""
        if seconds > 0:
            self.locked_until, self.locked_by = max(self.locked_until, self._wall() + seconds), holder

    def waits_s(self, process: str) -> float:
        """How long this process has to wait for the lock; 0: not at all."""
        return 0.0 if process == self.locked_by else max(0.0, self.locked_until - self._wall())

    def leave_leases(self, dice: random.Random) -> None:
        """As schedulers that are gone have left them: each shard can be taken at another time."""
        columns = "INSERT INTO shard (id, owner, term, lease_until) VALUES (?, 'scheduler-before', 1, ?)"
        self.raw.executemany(columns, [(number, self._wall() + dice.uniform(-9.0, 9.0)) for number in range(SHARDS)])

    def dispose(self) -> None:
        """The simulation is over."""
        self.engine.dispose()
        self.raw.close()


class SqlWorker(SimWorker):
    """The thread of a server on which it writes: it waits for the lock, and not for ever."""

    def __init__(self, process: SimProcess, delays: random.Random, name: str, database: SimDatabase) -> None:
        super().__init__(process, delays, name)
        self._house, self._owner, self._database = process.house, process.name, database

    async def _admitted(self) -> Exception | None:
        given_up_at = self._house.loop.time() + BUSY_S
        while (wait_s := self._database.waits_s(self._owner)) > 0:
            left = given_up_at - self._house.loop.time()
            if left <= 0:
                return busy()
            await asyncio.sleep(min(wait_s, left) + 1e-4)
        return None


def io_error(point: str) -> Exception:
    """What a transaction raises at a point of `Writer.transaction`; behind the commit it is what `Writer` makes of it."""
    error = sqlite3.OperationalError("disk I/O error (simulated)")
    error.sqlite_errorcode = _SQLITE_IO
    return explained(error) or error if point.endswith("after_commit") else error


def busy() -> sqlite3.OperationalError:
    """What a transaction gets that waited too long."""
    error = sqlite3.OperationalError("database is locked (simulated)")
    error.sqlite_errorcode = _SQLITE_BUSY
    return error


class WatchedWriter(Writer):
    """Sees that nothing is committed for a shard by anyone but its owner, and no run beyond its limit begins."""

    def __init__(self, database: SimDatabase, process: SimProcess) -> None:
        super().__init__(database, process.runtime)  # type: ignore[arg-type]
        self._violated = database.violated

    def _commit(self, batch: Commit) -> dict[str, int]:
        foreign = self._not_owned(batch)
        try:
            keys = super()._commit(batch)
            self._check_limits(batch)
            return keys
        except OwnershipLost:
            foreign = ""
            raise
        finally:
            if foreign:
                self._violated("owner", foreign)

    def _check_limits(self, batch: Commit) -> None:
        if not batch.runs and not batch.inserts:
            return
        under_way = "permit IS NOT NULL AND started_at IS NOT NULL AND ended_at IS NULL"
        query = f"SELECT permit, count(*) FROM run WHERE {under_way} GROUP BY namespace, permit"
        for permit, count in self._raw.execute(query):
            if count > json.loads(permit)["limit"]:
                self._violated("permits", f"{count} runs are under way with {permit}")

    def _not_owned(self, batch: Commit) -> str:
        rows = self._raw.execute("SELECT id, owner, term FROM shard")
        shards: dict[int, tuple[str, int]] = {number: (owner, term) for number, owner, term in rows}
        for number, (term, _) in batch.positions.items():
            if shards.get(number) != (batch.owner, term):
                return f"{batch.owner} writes for shard {number} with term {term}; it is that of {shards.get(number)}"
        return ""


async def open_state(database: SimDatabase, process: SimProcess) -> State:
    """What `State.open` does, over a database that is already there."""
    if database.raw.in_transaction:
        database.raw.execute("ROLLBACK")  # of a process that died inside it
    runtime = process.runtime
    delays = random.Random(runtime.random().getrandbits(32))
    writes = SqlWorker(process, delays, "state-writes", database)
    store: Any = database
    state = State(runtime, store, writes, runtime.worker("state-reads"))
    state._writer = await writes.call(WatchedWriter, database, process)
    state._reader = await state._reads.call(Reader, store)
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

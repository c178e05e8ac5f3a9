"""Rows that turn up behind others: two transactions are open, and the one that began first is over last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from plugmesh.contracts.run import SHARDS, shard_of
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings
from plugmesh.state.arrivals import arrived
from plugmesh.state.database import Database
from plugmesh.state.retention import kept_runs
from plugmesh.state.schema import event, revision, run
from plugmesh.state.store import State
from scheduler.sweep.sweeper import Sweeper

FAR = 50_000
"""More keys than are looked at again for any other reason."""


class Machine(SystemRuntime):
    """A machine whose clocks a test sets."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def wall(self) -> float:
        return super().wall() + self.ahead


class Table:
    """Runs as gateways and schedulers write them, each in a transaction that a test ends when it likes."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        with self._database.connect() as connection:
            values = {"digest": "d", "namespace": "default", "name": "f", "flow": "{}", "created_at": 1.0}
            connection.execute(sa.insert(revision).values(**values))
            self._revision = connection.execute(sa.select(revision.c.key)).scalar_one()

    @contextmanager
    def inserting(self, name: str, key: int | None = None, *, ended: bool) -> Iterator[None]:
        """The row is there, and nobody else sees it before the end."""
        with self._database.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            values = {
                "id": name, "shard": shard_of(name), "namespace": "default", "flow": "f", "revision": self._revision,
                "state": "succeeded" if ended else "queued", "inputs": "{}", "params": "{}", "labels": "{}",
                "actor": "me", "submitted_at": 1.0, "ended_at": 1.0 if ended else None,
            }  # fmt: skip
            given = {} if key is None else {"key": key}
            made = connection.execute(sa.insert(run).values(**values, **given)).inserted_primary_key
            if ended:
                assert made is not None
                connection.execute(sa.insert(event).values(run=made[0], seq=1, at=1.0, changes="[]"))
            yield
            connection.exec_driver_sql("COMMIT")

    def close(self) -> None:
        self._database.close()


@pytest.fixture
async def machine():
    return Machine()


@pytest.fixture
async def state(server_url, machine):
    state = await State.open(server_url, machine)
    yield state
    await state.close()


@pytest.fixture
def table(server_url, state):
    table = Table(server_url)
    yield table
    table.close()


async def test_a_run_that_turns_up_behind_others_is_measured(tmp_path, machine, state, table):
    store = LocalStore(tmp_path / "objects", machine)
    sweeper = Sweeper(
        machine, state, store,
        settings=Settings(retention_grace_s=1.0), owned=lambda: range(SHARDS), reading=frozenset,
    )  # fmt: skip
    with table.inserting("late", ended=True):
        with table.inserting("first", FAR, ended=True):
            pass
        await sweeper.round()
        machine.ahead += 300
        await sweeper.round()
        assert await measured(state) == ["first"]
    machine.ahead += 300
    await sweeper.round()
    assert await measured(state) == ["first", "late"]


async def measured(state):
    return [one.run for one in await state.read(kept_runs, "", 10)]


async def test_a_run_that_turns_up_behind_others_is_begun(state, table):
    with table.inserting("late", ended=False):
        with table.inserting("first", FAR, ended=False):
            pass
        assert await waiting(state) == ["first"]
    assert await waiting(state) == ["late", "first"]


async def waiting(state):
    return [one.id for one in (await state.read(arrived, range(SHARDS), limit=10)).runs]

"""Shard leases where several schedulers share one database: the database's clock judges, and the term decides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from plugmesh.contracts.run import SHARDS
from plugmesh.runtime import SystemRuntime
from plugmesh.state import schema
from plugmesh.state.database import Database
from plugmesh.state.migrate import upgrade
from plugmesh.state.records import Lease
from plugmesh.state.writes import Writer


class SharedDatabase(Database):
    """A database that others may have open too, whose clock is set by the test."""

    now = 1_000.0
    exclusive = False

    def wall(self, connection: sa.Connection) -> float:
        return self.now


class WrongClock(SystemRuntime):
    """A machine whose clock is a year ahead."""

    def wall(self) -> float:
        return super().wall() + 3.15e7


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SharedDatabase]:
    shared = SharedDatabase(f"sqlite:///{tmp_path}/state.db")
    with shared.connect() as connection:
        upgrade(connection)
    yield shared
    shared.close()


@pytest.fixture
def writer(database: SharedDatabase) -> Writer:
    return Writer(database, WrongClock())


def _terms(leases: list[Lease]) -> set[int]:
    return {lease.term for lease in leases}


def test_a_shard_is_not_taken_before_its_lease_has_run_out(database: SharedDatabase, writer: Writer) -> None:
    assert len(writer.acquire("me", 10.0)) == SHARDS
    database.now += 9.9
    assert writer.acquire("you", 10.0) == []


def test_a_shard_whose_lease_has_run_out_is_taken_with_a_higher_term(database: SharedDatabase, writer: Writer) -> None:
    writer.acquire("me", 10.0)
    database.now += 10.1
    assert _terms(writer.acquire("you", 10.0)) == {2}
    assert writer.renew("me", [(0, 1)], 10.0) == [0]


def test_a_renewed_lease_counts_from_its_renewal(database: SharedDatabase, writer: Writer) -> None:
    writer.acquire("me", 10.0)
    database.now += 9.0
    assert writer.renew("me", [(shard, 1) for shard in range(SHARDS)], 10.0) == []
    database.now += 9.0
    assert writer.acquire("you", 10.0) == []


def test_a_shard_that_was_given_back_is_free_at_once(writer: Writer) -> None:
    writer.acquire("me", 10.0)
    writer.release("me", [3, 4])
    assert [lease.shard for lease in writer.acquire("you", 10.0)] == [3, 4]


def test_of_two_that_saw_the_same_free_shard_only_one_gets_it(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases that do not lock what they read: the other one's update comes between the question and the answer."""
    writer.acquire("me", 10.0)
    writer.release("me", [3])
    raise_term = writer._raise_term

    def late(number: int, term: int, values: dict[str, object]) -> bool:
        raise_term(number, term, {**values, "owner": "faster"})
        return raise_term(number, term, values)

    monkeypatch.setattr(writer, "_raise_term", late)
    assert writer.acquire("you", 10.0) == []
    owner = sa.select(schema.shard.c.owner).where(schema.shard.c.id == 3)
    assert writer.connection.execute(owner).scalar_one() == "faster"


def test_the_clock_of_a_database_shows_unix_time(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/state.db")
    with database.connect() as connection:
        assert abs(database.wall(connection) - time.time()) < 5.0
    database.close()

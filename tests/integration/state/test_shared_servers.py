"""Several processes on one database server: leases, transactions that get in each other's way, and migrations."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import SHARDS, Submission, shard_of
from plugmesh.errors import ConfigurationError, OwnershipLost
from plugmesh.runtime import SystemRuntime
from plugmesh.state.database import Database
from plugmesh.state.flows import NewRevision, flow_source, save_flow
from plugmesh.state.flows import flow_revision as read_revision
from plugmesh.state.migrate import upgrade
from plugmesh.state.reads import Reader
from plugmesh.state.records import Commit, Lease
from plugmesh.state.runs import RunFilter, list_runs
from plugmesh.state.schema import mesh
from plugmesh.state.store import State
from plugmesh.state.writes import Writer
from tests.databases import migrated
from tests.schemas import check_schema as check_tables

FLOW = Flow(name="f", nodes={"a": Node(module="x.y")})


@pytest.fixture
async def pair(server_url):
    opened = [await State.open(server_url, SystemRuntime()) for _ in range(2)]
    yield opened
    for one in opened:
        await one.close()


def of(run, owner, term=1):
    inserts = [Submission(run=run, flow=FLOW, submitted_at=1.0)]
    return Commit(owner, positions={shard_of(run): (term, None)}, inserts=inserts, at=1.0)


async def test_each_shard_is_given_to_one_of_two_that_ask_at_once(pair):
    one, two = await asyncio.gather(*(state.acquire(f"s-{n}", 60.0) for n, state in enumerate(pair)))
    assert sorted(lease.shard for lease in one + two) == list(range(SHARDS))


async def test_who_was_stopped_past_its_lease_writes_nothing_more(pair):
    one, two = pair
    await one.acquire("one", 0.0)
    taken: list[Lease] = []

    async def take():
        while len(taken) < SHARDS:  # the lease is over as soon as the database's clock has moved on
            taken.extend(await two.acquire("two", 60.0, {lease.shard for lease in taken}))

    await asyncio.wait_for(take(), 30.0)
    assert {lease.term for lease in taken} == {2}
    with pytest.raises(OwnershipLost):
        await one.commit(of("r-1", "one"))
    assert len(await one.renew("one", [(shard, 1) for shard in range(SHARDS)], 60.0)) == SHARDS
    await two.commit(of("r-1", "two", 2))
    assert (await one.read(Reader.run, "r-1")).id == "r-1"


async def test_a_shard_that_is_held_by_a_transaction_does_not_keep_the_others_waiting(server_url, pair):
    one, two = pair
    await one.acquire("one", 60.0)
    await one.release("one", range(SHARDS))
    database = Database(server_url)
    with database.connect() as stopped:
        stopped.exec_driver_sql("BEGIN")
        stopped.exec_driver_sql("UPDATE shard SET position = 'x' WHERE id = 3")
        taken = {lease.shard for lease in await two.acquire("two", 60.0)}
        assert taken == set(range(SHARDS)) - {3}
        stopped.exec_driver_sql("ROLLBACK")
    assert [lease.shard for lease in await two.acquire("two", 60.0, taken)] == [3]
    database.close()


async def test_two_that_wait_for_each_other_both_get_through(pair):
    for name in ("a", "b"):
        await pair[0].mesh_value(name, "0")
    met = threading.Barrier(2)

    def add(writer, names):
        tries = []

        def body():
            tries.append(1)
            for name in names:
                change = sa.update(mesh).where(mesh.c.name == name).values(value=mesh.c.value + sa.literal("+"))
                writer.connection.execute(change)
                if len(tries) == 1 and name == names[0]:
                    met.wait(20)

        return writer.transaction("t", body, guarded=True)

    await asyncio.gather(pair[0].write(add, ["a", "b"]), pair[1].write(add, ["b", "a"]))


async def test_two_that_each_look_for_the_other_do_not_both_find_nobody(pair):
    met = threading.Barrier(2)

    def claim(writer, mine, theirs):
        tries = []

        def body():
            tries.append(1)
            found = writer.connection.execute(sa.select(mesh.c.value).where(mesh.c.name == theirs)).scalar()
            if len(tries) == 1:
                met.wait(20)
            if found is None:
                writer.connection.execute(sa.insert(mesh).values(name=mine, value="here"))
            return found is None

        return writer.transaction("t", body)

    await pair[0].mesh_value("z", "0")
    won = await asyncio.gather(pair[0].write(claim, "a", "b"), pair[1].write(claim, "b", "a"))
    assert sorted(won) == [False, True]


async def test_a_new_flow_that_two_bring_at_once_is_one_revision(pair):
    await asyncio.gather(*(state.acquire(f"s-{n}", 60.0) for n, state in enumerate(pair)))
    new = NewRevision(FLOW, "text", "text/yaml", "", "me", 1.0)
    numbers = await asyncio.gather(*(state.write(save_flow, new, None) for state in pair))
    assert sorted(numbers) == [(1, False), (1, True)]


async def test_texts_are_as_long_as_they_are_and_ids_differ_in_each_byte(pair):
    state = pair[0]
    long = "ä\U0001f642" * 50_000
    for name in ("one", "ONE"):
        flow = Flow(name=name, nodes={"a": Node(module="m")})
        await state.write(save_flow, NewRevision(flow, long + name, "text/yaml", "zero\0", "me", 1.0), None)
    found = await state.read(read_revision, "default", "ONE", None)
    assert await state.read(flow_source, found) == long + "ONE"


async def test_a_reader_sees_what_another_process_has_committed_just_now(pair):
    one, two = pair
    await one.acquire("me", 60.0)
    for number in range(3):
        await one.commit(of(f"r-{number}", "me"))
        found = await two.read(list_runs, RunFilter(), before=None, limit=10)
        assert len(found) == number + 1


def test_two_processes_that_migrate_at_once_make_one_schema(server_url):
    with ThreadPoolExecutor(2) as threads:
        for database in threads.map(migrated, [server_url] * 2):
            database.close()
    check_schema(server_url)


@pytest.mark.parametrize("after", [1, 5, 20, 40])
def test_a_migration_that_was_killed_halfway_is_ended_by_the_next_process(server_url, after):
    database, seen = Database(server_url), []
    connection = database.connect()

    def killed(connection, cursor, statement, *rest):
        seen.append(statement.lstrip().startswith(("CREATE", "ALTER", "DROP")))
        if sum(seen) > after:
            raise KeyboardInterrupt

    sa.event.listen(connection, "before_cursor_execute", killed)
    with connection, pytest.raises(KeyboardInterrupt):
        upgrade(connection)
    database.close()
    migrated(server_url).close()
    check_schema(server_url)


def test_a_schema_of_a_newer_plugmesh_is_left_alone(server_url):
    database = migrated(server_url)
    with database.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(ConfigurationError, match="newer version"):
            upgrade(connection)
    database.close()


def test_the_clock_of_a_server_shows_unix_time(server_url):
    runtime, database = SystemRuntime(), migrated(server_url)
    writer = Writer(database, runtime)
    assert abs(writer.lease_clock() - runtime.wall()) < 5.0
    database.close()


def check_schema(url):
    database = Database(url)
    with database.connect() as connection:
        check_tables(connection)
    database.close()

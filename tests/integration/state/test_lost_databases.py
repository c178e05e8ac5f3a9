"""What a mesh does when the connection to its database is lost, or the database itself: on real servers."""

from __future__ import annotations

import asyncio
import socket

import pytest
import sqlalchemy as sa

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import Submission, shard_of
from plugmesh.errors import ConfigurationError, StateUnavailable
from plugmesh.runtime import SystemRuntime
from plugmesh.state.database import Database
from plugmesh.state.reads import Reader
from plugmesh.state.records import Commit
from plugmesh.state.schema import mesh
from plugmesh.state.schema_version import SchemaVersion
from plugmesh.state.store import State
from tests.faults.urls import proxied_database

FLOW = Flow(name="f", nodes={"a": Node(module="x.y")})
_OTHERS = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
}


def kill_connections(url):
    database = Database(url)
    with database.connect() as connection:
        dialect = connection.dialect.name
        for row in connection.exec_driver_sql(_OTHERS[dialect]).all():
            if dialect == "mysql":
                connection.exec_driver_sql(f"KILL {row[0]}")
    database.close()


def insert_of(run, term=1):
    return Commit("me", positions={shard_of(run): (term, None)}, inserts=[Submission(run=run, flow=FLOW)], at=1.0)


@pytest.mark.parametrize("lost", ["commit", "answer"])
async def test_a_commit_without_an_answer_is_told_as_unknown_and_the_next_one_goes_on(server_url, lost):
    direct = await State.open(server_url, SystemRuntime())
    with proxied_database(server_url) as (proxy, url):
        state = await State.open(url, SystemRuntime())
        await state.acquire("me", 60.0)
        proxy.next = [lost]
        with pytest.raises(StateUnavailable, match="nobody knows whether they are made"):
            await state.commit(insert_of("r-1"))
        assert (await direct.read(Reader.run, "r-1") is None) == (lost == "commit")
        await state.commit(insert_of("r-2"))
        assert await state.read(Reader.run, "r-2") is not None
        await state.close()
    await direct.close()


async def test_a_server_that_says_nothing_is_given_up_after_the_timeout_of_the_url(server_url):
    with proxied_database(server_url, timeout_s=1.0) as (proxy, url):
        state = await State.open(url, SystemRuntime())
        proxy.swallow("forth")
        with pytest.raises(StateUnavailable, match=r"lost|cannot be reached"):
            await state.mesh_value("id", "one")
        proxy.swallow()
        assert await state.mesh_value("id", "two") == "two"
        await state.close()


async def test_connections_that_were_ended_while_idle_are_made_anew_without_a_word(server_url):
    state = await State.open(server_url, SystemRuntime())
    kill_connections(server_url)
    assert await state.mesh_value("id", "one") == "one"
    assert await state.read(Reader.rows, mesh.select()) == [("id", "one")]
    await state.close()


async def test_a_transaction_that_lost_its_connection_before_the_commit_is_run_again(server_url):
    state, tries = await State.open(server_url, SystemRuntime()), []

    def body(writer):
        tries.append(1)
        for name in ("id", "other"):
            writer.connection.execute(sa.insert(mesh).values(name=name, value="one"))
            if len(tries) == 1:
                kill_connections(server_url)

    await state.write(lambda writer: writer.transaction("t", lambda: body(writer)))
    assert len(tries) == 2
    assert sorted(await state.read(Reader.rows, mesh.select())) == [("id", "one"), ("other", "one")]
    await state.close()


@pytest.mark.servers
@pytest.mark.parametrize(("name", "variable"), [("postgres", "POSTGRES"), ("mariadb", "MARIADB")])
async def test_a_server_that_was_killed_has_what_was_committed_and_takes_more_when_it_is_back(
    own_server, name, variable
):
    server = own_server(name)
    url = server.urls[f"PLUGMESH_TEST_{variable}"]
    state = await State.open(f"{url}?timeout_s=5", SystemRuntime())
    await state.acquire("me", 60.0)
    await state.commit(insert_of("r-1"))
    server.kill()
    with pytest.raises(StateUnavailable, match=r"nothing was changed|cannot be reached"):
        await state.commit(insert_of("r-2"))
    with pytest.raises(StateUnavailable, match="setting `state`"):
        await state.read(Reader.run, "r-1")
    server.start()
    assert await state.read(Reader.run, "r-1") is not None
    await state.commit(insert_of("r-2"))
    if name == "mariadb":  # a server of PostgreSQL is many processes, which do not all stand still
        server.pause()
        with pytest.raises(StateUnavailable, match=r"lost|cannot be reached"):
            await state.mesh_value("id", "one")
        server.resume()
    assert await state.mesh_value("id", "two") in ("one", "two")
    await state.close()


@pytest.mark.parametrize("wrong", ["password", "database"])
async def test_a_wrong_url_is_told_with_the_setting_and_without_the_password(server_url, wrong):
    url = sa.make_url(server_url)
    changed = url.set(password="s3same") if wrong == "password" else url.set(database="nowhere")
    with pytest.raises(ConfigurationError, match="setting `state`") as refused:
        await State.open(changed.render_as_string(hide_password=False), SystemRuntime())
    assert str(changed.password) not in str(refused.value)


@pytest.mark.servers
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_host_that_nobody_knows_may_come_up_later(scheme):
    with pytest.raises(StateUnavailable, match=r"setting `state`.*cannot be reached") as told:
        await State.open(f"{scheme}://me:s3same@no-such-host.invalid/x", SystemRuntime())
    assert "s3same" not in str(told.value)


@pytest.mark.servers
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_that_does_not_run_is_no_wrong_setting(scheme, free_port):
    with pytest.raises(StateUnavailable, match="cannot be reached"):
        await State.open(f"{scheme}://me:s3same@127.0.0.1:{free_port()}/x", SystemRuntime())


@pytest.mark.servers
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_that_takes_connections_and_says_nothing_is_an_outage_at_the_start_too(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://me:s3same@127.0.0.1:{silent.getsockname()[1]}/x?timeout_s=1&connect_timeout=2"
        async with asyncio.timeout(60):
            with pytest.raises(StateUnavailable, match=r"setting `state`.*cannot be reached"):
                await State.open(url, SystemRuntime())


async def test_a_database_that_stops_to_answer_before_the_first_question_is_an_outage(server_url, monkeypatch):
    await (await State.open(server_url, SystemRuntime())).close()
    with proxied_database(server_url, timeout_s=1.0) as (proxy, url):
        question = SchemaVersion.of

        def swallowed(connection):
            proxy.swallow("forth")
            return question(connection)

        monkeypatch.setattr(SchemaVersion, "of", swallowed)
        async with asyncio.timeout(60):
            with pytest.raises(StateUnavailable, match="setting `state`"):
                await State.open(url, SystemRuntime())

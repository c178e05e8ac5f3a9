"""Permits are places of a line: no more than there are, lowest first, and the line is read once however many want one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import SHARDS, Submission, shard_of
from plugmesh.errors import OwnershipLost
from plugmesh.runtime import SystemRuntime
from plugmesh.state.permits import Wanted, take_permits
from plugmesh.state.records import Commit
from plugmesh.state.schema import permit
from plugmesh.state.store import State

FLOW = Flow(name="f", nodes={"a": Node(module="x.y")})
TERMS = dict.fromkeys(range(SHARDS), 1)
LINE = ("default", "nightly")


@pytest.fixture
async def state(database_url):
    opened = await State.open(database_url, SystemRuntime())
    await opened.acquire("me", 10.0)
    yield opened
    await opened.close()


async def submitted(state, count):
    runs = [f"r-{number}" for number in range(count)]
    inserts = [Submission(run=run, flow=FLOW, submitted_at=1.0) for run in runs]
    await state.commit(Commit("me", positions={shard_of(run): (1, None) for run in runs}, inserts=inserts, at=1.0))
    return runs


def want(run, limit):
    return Wanted(run, shard_of(run), *LINE, limit)


async def take(state, runs, limit, at=1.0, terms=TERMS):
    return await state.write(take_permits, "me", terms, [want(run, limit) for run in runs], at)


async def places(state):
    rows = await state.read(lambda reader: reader.documents(permit.select()))
    return {row["place"]: row["run"] for row in rows}


async def test_as_many_get_one_as_there_are_places_and_the_others_hear_who_holds_them(state):
    runs = await submitted(state, 4)
    given = await take(state, runs[:1], 2)
    assert (given.runs, given.holders) == (["r-0"], {})
    given = await take(state, ["r-2", "r-0", "r-1", "r-3"], 2, at=2.0)
    assert given.runs == ["r-2", "r-0"]
    assert given.holders == {LINE: ["r-0", "r-2"]}
    assert await places(state) == {0: "r-0", 1: "r-2"}


async def test_a_place_that_is_free_again_is_taken_and_a_lower_limit_counts_all_that_are_held(state):
    runs = await submitted(state, 5)
    await take(state, runs[:3], 3)
    await state.write(lambda writer: writer.transaction("t", lambda: writer.connection.execute(
        sa.delete(permit).where(permit.c.run == "r-0"))))  # fmt: skip
    assert (await take(state, ["r-3"], 2)).holders == {LINE: ["r-1", "r-2"]}
    assert (await take(state, ["r-3", "r-4"], 3)).runs == ["r-3"]
    assert await places(state) == {0: "r-3", 1: "r-1", 2: "r-2"}


async def test_nothing_is_given_for_a_shard_of_somebody_else(state):
    runs = await submitted(state, 2)
    with pytest.raises(OwnershipLost):
        await take(state, runs, 2, terms={**TERMS, shard_of("r-1"): 2})
    assert await places(state) == {}


async def test_a_line_is_read_once_however_many_want_a_place(state):
    runs, told = await submitted(state, 40), []

    def counted(writer):
        listener = lambda *args: told.append(args[2])  # noqa: E731
        sa.event.listen(writer.connection, "before_cursor_execute", listener)
        return take_permits(writer, "me", TERMS, [want(run, 20) for run in runs], 1.0)

    given = await state.write(counted)
    assert (given.runs, len(given.holders[LINE])) == (runs[:20], 20)
    assert sum("FROM permit" in statement for statement in told) == 1

"""Convictions are written with the failure that they are about, once a run, and go when the version is enabled again."""

from __future__ import annotations

import pytest

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import Submission, shard_of
from plugmesh.errors import OwnershipLost
from plugmesh.runtime import SystemRuntime
from plugmesh.state.convictions import convictions, convictions_of
from plugmesh.state.modules import ModuleSwitch, disable_module, enable_module, module_switches
from plugmesh.state.records import Commit, Conviction
from plugmesh.state.runs import delete_run_rows
from plugmesh.state.store import State

FLOW = Flow(name="f", nodes={"a": Node(module="x.y")})


@pytest.fixture
async def state(database_url):
    opened = await State.open(database_url, SystemRuntime())
    await opened.acquire("me", 10.0)
    yield opened
    await opened.close()


def of(run, at=1.0, module="x.y", version="1.0.0", step="a"):
    return Conviction(module, version, run, step, 1, "signal SIGSEGV", "in x.py", at)


async def commit(state, *found, term=1):
    shard = shard_of(found[0].run)
    await state.commit(Commit("me", positions={shard: (term, None)}, convictions=list(found), at=1.0))


async def test_a_run_that_does_it_again_has_one_row_with_the_last_time(state):
    await commit(state, of("r-1"), of("r-2", 2.0))
    await commit(state, of("r-1", 3.0, step="b"))
    assert await state.read(convictions) == [of("r-2", 2.0), of("r-1", 3.0, step="b")]


async def test_none_is_written_without_the_rest_of_its_commit(state):
    with pytest.raises(OwnershipLost):
        await commit(state, of("r-1"), term=7)
    assert await state.read(convictions) == []


async def test_those_of_one_module_are_found(state):
    await commit(state, of("r-1"), of("r-2", module="other"), of("r-3", 3.0), of("r-4", 4.0))
    assert [found.run for found in await state.read(convictions_of, "x.y", 2)] == ["r-3", "r-4"]


@pytest.mark.parametrize(("version", "left"), [("1.0.0", ["r-2", "r-3"]), ("*", ["r-3"])])
async def test_enabling_forgets_the_switch_and_what_was_counted(state, version, left):
    await commit(state, of("r-1"), of("r-2", 2.0, version="2.0.0"), of("r-3", 3.0, module="other"))
    quarantined = ModuleSwitch("x.y", "1.0.0", "mesh", 3.0, "3 runs", "quarantined")
    await state.write(disable_module, quarantined)
    assert await state.read(module_switches) == [quarantined]
    await state.write(enable_module, "x.y", version)
    assert await state.read(module_switches) == []
    assert [found.run for found in await state.read(convictions)] == left


async def test_they_go_with_their_run(state):
    await state.commit(Commit("me", inserts=[Submission(run="r-1", flow=FLOW)], convictions=[of("r-1"), of("r-2")]))
    await state.write(lambda writer: writer.connection.exec_driver_sql("UPDATE run SET ended_at = 1") and None)
    await state.write(delete_run_rows, "r-1")
    assert [found.run for found in await state.read(convictions)] == ["r-2"]

"""An instance says in a renewal that it drains: with the answer it has all the work that it will ever get."""

from typing import Any

import pytest

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import SHARDS, shard_of
from tests.integration.scheduler.mesh import Mesh
from tests.waiting import wait_until


@pytest.fixture
async def mesh(tmp_path):
    started = await Mesh(tmp_path).start()
    yield started
    await started.stop()


def chain(length):
    after = [f"s{n}" for n in range(length)]
    nodes = {name: Node(module="test.step", after=tuple(after[:n][-1:])) for n, name in enumerate(after)}
    return Flow(name="chain", nodes=nodes)


async def test_after_the_answer_nothing_is_assigned_although_discovery_knows_nothing_yet(mesh):
    leaving = await mesh.instance("i-1", slots=4)
    runs = [await mesh.submit(chain(40)) for _ in range(20)]
    await wait_until(lambda: len(leaving.assigned) > 20)
    for shard in range(SHARDS):
        await leaving.renew(shard, draining=True)
    await wait_until(lambda: len(leaving.farewells) == SHARDS)
    assert not (await entry(mesh, "i-1")).draining
    assert mesh.registry.members()["i-1"].draining
    before = len(leaving.assigned)
    staying = await mesh.instance("i-2", slots=4)
    for run in runs:
        assert (await mesh.ended(run)).state == "succeeded"
    assert len(leaving.assigned) == before
    assert staying.assigned


async def test_what_it_holds_goes_on(mesh):
    leaving = await mesh.instance("i-1")
    leaving.answer = leaving.accept
    run = await mesh.submit(chain(1))
    await wait_until(lambda: leaving.assigned)
    attempt = leaving.assigned[0]
    await leaving.renew(shard_of(run), attempt.attempt, draining=True)
    await wait_until(lambda: leaving.farewells)
    assert leaving.superseded == []
    leaving.done(attempt)
    assert (await mesh.ended(run)).state == "succeeded"


async def test_a_renewal_that_says_nothing_of_it_changes_nothing(mesh):
    instance = await mesh.instance("i-1")
    await instance.renew(0)
    assert (await mesh.ended(await mesh.submit(chain(2)))).state == "succeeded"
    assert instance.farewells == []


async def entry(mesh, name):
    found: dict[str, Any] = {}
    mesh.directory.watch(found.__setitem__).close()
    return found[name]

"""Pause, resume, turns, priorities and reruns, with real SQL, hub and registry; instances speak the protocol."""

import asyncio
import json
from functools import partial

import pytest

from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.flow import Flow, Node, RetryPolicy
from plugmesh.contracts.messages import Done, Returned
from plugmesh.contracts.run import Permit, Recovered, Rerun
from plugmesh.state.permits import Given, Wanted, take_permits
from plugmesh.state.schema import permit
from tests.integration.scheduler.mesh import OUT, STEP, Mesh
from tests.integration.scheduler.test_engine import chain, wide
from tests.waiting import wait_until


@pytest.fixture
async def mesh(tmp_path):
    started = await Mesh(tmp_path).start()
    yield started
    await started.stop()


ONE_AT_A_TIME = Permit(name="nightly", limit=1)


async def state(mesh, run):
    return (await mesh.run(run)).state


def under_way(mesh):
    return {run.id for run in mesh.engine.board.runs.values() if run.state == "running"}


async def permits(mesh):
    rows = await mesh.state.read(lambda reader: reader.documents(permit.select()))
    return {(row["name"], row["place"]): row["run"] for row in rows}


# -- pause ---------------------------------------------------------------------------------------------------------------


async def test_a_paused_run_accepts_what_runs_and_begins_nothing_until_it_is_resumed(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(chain(3))
    await wait_until(lambda: len(instance.assigned) == 1)
    await mesh.command(run, "pause", "looking")
    assert (await mesh.run(run)).reason == "paused by local: looking"
    instance.done(instance.assigned[0])
    await wait_until(lambda: _step_is(mesh, run, "n0", "succeeded"))
    instance.answer = instance.done
    await mesh.command(run, "pause")  # once more changes nothing
    assert [message.step for message in instance.assigned] == ["n0"]
    await mesh.command(run, "resume")
    assert (await mesh.ended(run)).state == "succeeded"
    assert [message.step for message in instance.assigned] == ["n0", "n1", "n2"]


async def _step_is(mesh, run, step, wanted):
    return (await mesh.steps(run))[step].state == wanted


async def test_an_attempt_that_has_not_started_is_recalled(mesh):
    instance = await mesh.instance()
    instance.answer = instance.silent
    run = await mesh.submit(chain(1))
    await wait_until(lambda: len(instance.assigned) == 1)
    await mesh.command(run, "pause")
    await wait_until(lambda: instance.recalled == [instance.assigned[0].attempt])
    instance.send(instance.assigned[0], Returned(**instance.who(instance.assigned[0]), reason="recalled"))
    await wait_until(lambda: _step_is(mesh, run, "n0", "ready"))
    instance.answer = instance.done
    await mesh.command(run, "resume")
    assert (await mesh.ended(run)).state == "succeeded"
    assert (await mesh.steps(run))["n0"].failures == 0


async def test_a_paused_run_is_still_paused_after_a_restart(tmp_path):
    first = await Mesh(tmp_path).start()
    run = await first.submit(wide(2))
    await first.command(run, "pause")
    await first.stop()
    second = await Mesh(tmp_path).start()
    instance = await second.instance(slots=2)
    other = await second.submit(chain(1))
    await second.ended(other)
    assert [message.run for message in instance.assigned] == [other]
    await second.command(run, "resume")
    assert (await second.ended(run)).state == "succeeded"
    await second.stop()


async def test_a_restart_does_not_send_again_what_a_pause_took_back(tmp_path):
    first = await Mesh(tmp_path).start()
    instance = await first.instance(answer="silent")
    run = await first.submit(chain(1))
    await wait_until(lambda: len(instance.assigned) == 1)
    await first.command(run, "pause")
    await first.stop()
    second = await Mesh(tmp_path).start()
    again = await second.instance()
    await wait_until(lambda: again.recalled == [instance.assigned[0].attempt])
    assert again.assigned == []
    again.send(instance.assigned[0], Returned(**again.who(instance.assigned[0]), reason="recalled"))
    await wait_until(lambda: _step_is(second, run, "n0", "ready"))
    await second.command(run, "resume")
    assert (await second.ended(run)).state == "succeeded"
    await second.stop()


async def test_a_paused_run_can_be_cancelled(mesh):
    run = await mesh.submit(chain(1))
    await mesh.command(run, "pause")
    await mesh.cancel(run)
    assert (await mesh.ended(run)).state == "cancelled"


# -- turns ---------------------------------------------------------------------------------------------------------------


async def test_a_run_waits_for_its_turn_and_says_what_it_waits_for(mesh):
    instance = await mesh.instance(slots=4)
    instance.answer = instance.accept
    first = await mesh.submit(chain(1), permit=ONE_AT_A_TIME)
    await wait_until(lambda: len(instance.assigned) == 1)
    second = await mesh.submit(chain(1), permit=ONE_AT_A_TIME)
    stored = await mesh.run(second)
    assert (stored.state, stored.reason) == ("queued", "waits for its turn: at most 1 of nightly at a time")
    instance.answer = instance.done
    instance.done(instance.assigned[0])
    assert (await mesh.ended(first)).state == "succeeded"
    assert (await mesh.ended(second)).state == "succeeded"
    await wait_until(lambda: _nothing_held(mesh))


async def _nothing_held(mesh):
    return await permits(mesh) == {}


async def test_no_more_runs_are_under_way_than_the_limit_and_the_urgent_ones_go_first(mesh):
    instance = await mesh.instance(slots=16)
    seen, most = [], 0

    def answer(message):
        nonlocal most
        seen.append(message.run)
        most = max(most, len(under_way(mesh)))
        instance.done(message)

    instance.answer = instance.accept
    limit = Permit(name="nightly", limit=2)
    held = [await mesh.submit(chain(1), permit=limit) for _ in range(2)]
    await wait_until(lambda: len(instance.assigned) == 2)
    instance.answer = answer
    later = [await mesh.submit(chain(1), permit=limit, priority=number) for number in range(6)]
    for message in list(instance.assigned):
        instance.done(message)
    for run in held + later:
        assert (await mesh.ended(run)).state == "succeeded"
    assert most <= 2
    assert set(seen[:2]) == set(later[-2:])


async def test_each_key_and_each_namespace_is_counted_apart(mesh):
    instance = await mesh.instance(slots=8)
    instance.answer = instance.accept
    for name in ("a", "b"):
        for namespace in ("here", "there"):
            await mesh.submit(chain(1), permit=Permit(name=name, limit=1), namespace=namespace)
    await wait_until(lambda: len(instance.assigned) == 4)


async def test_permits_outlive_the_scheduler_and_go_to_those_who_wait(tmp_path):
    first = await Mesh(tmp_path).start()
    holder = await first.submit(chain(1), permit=ONE_AT_A_TIME)
    await wait_until(lambda: holder in under_way(first))
    waiting = await first.submit(chain(1), permit=ONE_AT_A_TIME)
    await first.stop()
    second = await Mesh(tmp_path).start()
    assert await permits(second) == {("nightly", 0): holder}
    assert await state(second, waiting) == "queued"
    await second.instance()
    assert (await second.ended(holder)).state == "succeeded"
    assert (await second.ended(waiting)).state == "succeeded"
    await second.stop()


async def test_a_new_run_is_cancelled_where_its_flow_says_so(mesh):
    limit = Permit(name="nightly", limit=1, when_full="cancel-new")
    first = await mesh.submit(chain(1), permit=limit)
    await wait_until(lambda: first in under_way(mesh))
    second = await mesh.ended(await mesh.submit(chain(1), permit=limit))
    assert (second.state, second.reason) == (
        "cancelled",
        f"cancelled by the mesh: at most 1 of nightly at a time, and {first} came first",
    )
    assert await state(mesh, first) == "running"


async def test_a_new_run_takes_the_place_of_the_one_under_way_and_of_those_that_wait(mesh):
    instance = await mesh.instance(slots=4)
    instance.answer = instance.accept
    limit = Permit(name="nightly", limit=1, when_full="cancel-running")
    first = await mesh.submit(chain(1), permit=limit)
    await wait_until(lambda: len(instance.assigned) == 1)
    await mesh.submit(chain(1), permit=limit)
    third = await mesh.submit(chain(1), permit=limit)
    await wait_until(lambda: instance.assigned[0].attempt in instance.cancelled)
    instance.send(instance.assigned[0], Returned(**instance.who(instance.assigned[0]), reason="cancelled"))
    assert (await mesh.ended(first)).state == "cancelled"
    await wait_until(lambda: instance.assigned[-1].run == third)
    instance.done(instance.assigned[-1])
    assert (await mesh.ended(third)).state == "succeeded"


async def test_the_newest_run_takes_the_place_although_others_were_asked_for_before_it_was_written(mesh):
    limit = Permit(name="nightly", limit=1, when_full="cancel-running")
    first = await mesh.submit(chain(1), permit=limit)
    await wait_until(lambda: first in under_way(mesh))
    mesh.engine._admission.wake = lambda: None  # its answers come when this test says so
    second = await mesh.submit(chain(1), permit=limit)
    third = asyncio.ensure_future(mesh.submit(chain(1), permit=limit))
    await asyncio.sleep(0)  # its submission lies in the inbox, and right behind it the answer for those before it
    mesh.engine._put(Given(holders={("default", "nightly"): [first]}))
    newest = await third
    del mesh.engine._admission.wake
    mesh.engine._admission.look_again()
    await wait_until(lambda: under_way(mesh) == {newest})
    assert (await mesh.ended(second)).reason == f"cancelled by the mesh: replaced by {newest}"


async def test_a_holder_that_has_ended_meanwhile_is_not_replaced_by_cancelling_another_one(mesh):
    instance = await mesh.instance(slots=4, answer="accept")
    limit = Permit(name="nightly", limit=2, when_full="cancel-running")
    first, second = [await mesh.submit(chain(1), permit=limit) for _ in range(2)]
    await wait_until(lambda: len(instance.assigned) == 2)
    mesh.engine._admission.wake = lambda: None  # its answers come when this test says so
    third = await mesh.submit(chain(1), permit=limit)
    instance.done(next(message for message in instance.assigned if message.run == first))
    assert (await mesh.ended(first)).state == "succeeded"
    mesh.engine._put(Given(holders={("default", "nightly"): [first, second]}))
    await wait_until(lambda: not mesh.engine.inbox)
    del mesh.engine._admission.wake
    mesh.engine._admission.look_again()
    await wait_until(lambda: under_way(mesh) == {second, third})


async def test_a_holder_that_is_being_cancelled_anyhow_is_the_one_that_is_replaced(mesh):
    instance = await mesh.instance(slots=4, answer="accept")
    limit = Permit(name="nightly", limit=2, when_full="cancel-running")
    first, second = [await mesh.submit(chain(1), permit=limit) for _ in range(2)]
    await wait_until(lambda: len(instance.assigned) == 2)
    await mesh.cancel(second)
    third = await mesh.submit(chain(1), permit=limit)
    message = next(message for message in instance.assigned if message.run == second)
    mesh.engine._admission.look_again()
    instance.send(message, Returned(**instance.who(message), reason="cancelled"))
    await wait_until(lambda: under_way(mesh) == {first, third})


async def test_a_new_run_is_not_cancelled_for_one_that_has_ended_meanwhile(mesh):
    instance = await mesh.instance(slots=4, answer="accept")
    limit = Permit(name="nightly", limit=1, when_full="cancel-new")
    first = await mesh.submit(chain(1), permit=limit)
    await wait_until(lambda: len(instance.assigned) == 1)
    mesh.engine._admission.wake = lambda: None  # its answers come when this test says so
    second = await mesh.submit(chain(1), permit=limit)
    instance.done(instance.assigned[0])
    assert (await mesh.ended(first)).state == "succeeded"
    mesh.engine._put(Given(holders={("default", "nightly"): [first]}))
    await wait_until(lambda: not mesh.engine.inbox)
    del mesh.engine._admission.wake
    mesh.engine._admission.look_again()
    await wait_until(lambda: under_way(mesh) == {second})


async def test_a_run_in_line_that_is_cancelled_leaves_no_permit(mesh):
    first = await mesh.submit(chain(1), permit=ONE_AT_A_TIME)
    await wait_until(lambda: first in under_way(mesh))
    second = await mesh.submit(chain(1), permit=ONE_AT_A_TIME)
    await mesh.cancel(second)
    assert (await mesh.ended(second)).state == "cancelled"
    await mesh.cancel(first)
    assert (await mesh.ended(first)).state == "cancelled"
    assert await permits(mesh) == {}
    assert len(mesh.engine.board.queues) == 0


async def test_a_run_that_has_ended_gets_no_permit(mesh):
    run = await mesh.submit(chain(1))
    await mesh.cancel(run)
    shard = (await mesh.ended(run)).shard
    wanted = [Wanted(run, shard, "default", "nightly", 1)]
    given = await mesh.state.write(take_permits, mesh.engine._shards.owner, mesh.engine.board.terms, wanted, 0.0)
    assert given.runs == []
    assert await permits(mesh) == {}


async def test_a_run_ends_at_its_deadline_even_before_its_turn(mesh):
    first = await mesh.submit(chain(1), permit=ONE_AT_A_TIME)
    await wait_until(lambda: first in under_way(mesh))
    second = await mesh.submit(chain(1), permit=ONE_AT_A_TIME, deadline=mesh.runtime.wall() + 0.3)
    assert (await mesh.ended(second)).state == "timed_out"


# -- who goes first --------------------------------------------------------------------------------------------------------


async def test_urgent_runs_go_before_those_that_came_first(mesh):
    modest = await mesh.submit(wide(3))
    urgent = await mesh.submit(wide(3), priority=5)
    await wait_until(lambda: len(mesh.engine.board.runs) == 2)
    instance = await mesh.instance()
    await mesh.ended(modest)
    assert [message.run for message in instance.assigned] == [urgent] * 3 + [modest] * 3


async def test_a_step_that_lost_two_instances_gets_the_next_one_to_itself(mesh):
    poison = await mesh.submit(chain(1))
    for number in range(2):
        instance = await mesh.instance(f"victim-{number}", answer="accept")
        await wait_until(partial(_assigned, instance))
        await mesh.directory.deregister(instance.name)
        await wait_until(partial(_losses, mesh, poison, number + 1))
    survivor = await mesh.instance("survivor", slots=4, answer="accept")
    await wait_until(lambda: [message.run for message in survivor.assigned] == [poison])
    other = await mesh.submit(chain(1))
    await wait_until(lambda: len(mesh.engine.board.placement) == 1)
    survivor.answer = survivor.done
    survivor.done(survivor.assigned[0])
    assert (await mesh.ended(poison)).state == "succeeded"
    assert (await mesh.ended(other)).state == "succeeded"


def _assigned(instance):
    return len(instance.assigned) == 1


async def _losses(mesh, run, losses):
    return (await mesh.steps(run))["n0"].losses == losses


# -- reruns ----------------------------------------------------------------------------------------------------------------


async def test_a_rerun_does_not_execute_what_it_recovers_and_knows_its_root(tmp_path):
    first = await Mesh(tmp_path).start()
    kept = Recovered(step="n0", version="1.0.0", outputs={"out": ValueRef(value=7)})
    run = await first.submit(chain(3), rerun=Rerun(origin="r-2", root="r-1", recovered=(kept,)))
    assert (await first.steps(run))["n0"].state == "recovered"
    await first.stop()
    second = await Mesh(tmp_path).start()  # what was recovered is in its rows
    instance = await second.instance()
    assert (await second.ended(run)).state == "succeeded"
    assert [message.step for message in instance.assigned] == ["n1", "n2"]
    assert instance.assigned[0].inputs == {"into": (ValueRef(value=7),)}
    assert {message.root for message in instance.assigned} == {"r-1"}
    assert (await second.run(run)).origin == "r-2"
    await second.stop()


async def test_a_step_that_is_fed_gets_that_instead_of_what_its_edges_lead_to(mesh):
    instance = await mesh.instance()
    fed = {"n1": {"into": (ValueRef(value=9),)}}
    run = await mesh.submit(chain(2), rerun=Rerun(origin="r-1", root="r-1", feeds=fed))
    assert (await mesh.ended(run)).state == "succeeded"
    assert instance.assigned[1].inputs == {"into": (ValueRef(value=9),)}


async def test_all_tries_together_end_a_step_that_waits_too_long_for_the_next(mesh):
    policy = RetryPolicy(attempts=9, total_s=0.2)
    run = await mesh.submit(Flow(name="f", nodes={"n0": Node(module="test.step", retry=policy)}))
    await asyncio.sleep(0)
    await wait_until(lambda: mesh.runtime.wall() > mesh.engine.board.runs[run].steps["n0"].ready_at + 0.2)
    await mesh.instance()
    assert "retry.total" in (await mesh.ended(run)).reason
    assert json.loads((await mesh.steps(run))["n0"].error)["code"] == "tries-timeout"


async def test_an_attempt_may_take_no_longer_than_all_tries_together(mesh):
    policy = RetryPolicy(attempts=9, total_s=60.0)
    instance = await mesh.instance()
    run = await mesh.submit(Flow(name="f", nodes={"n0": Node(module=STEP.name, retry=policy, timeout_s=500.0)}))
    await mesh.ended(run)
    assert 0 < instance.assigned[0].timeout_s <= 60.0
    assert Done(**instance.who(instance.assigned[0]), outputs=OUT).run == run

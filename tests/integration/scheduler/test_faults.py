"""The engine when its database, its messages or its callers misbehave: one thing that is wrong stays one thing."""

import asyncio
import json
import threading

import pytest

from plugmesh.bus.embedded import HubBus
from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.flow import Flow, Node, RetryPolicy, Source
from plugmesh.contracts.messages import RESULTS, Accepted, Done, Renew
from plugmesh.contracts.run import SHARDS, Submission, shard_of
from plugmesh.errors import NotReachable, StateUnavailable, StoreFull
from plugmesh.state.reads import Reader
from plugmesh.state.runs import RunFilter, list_runs
from scheduler import discarding as discarding_module
from scheduler import engine as engine_module
from scheduler import spilling as spilling_module
from scheduler.assignment import spilled
from tests.integration.scheduler.mesh import OUT, Mesh
from tests.waiting import wait_until


@pytest.fixture
async def mesh(tmp_path):
    started = await Mesh(tmp_path).start()
    yield started
    await started.stop()


def flow(**fields):
    return Flow(name="one", nodes={"a": Node(module="test.step", **fields)})


async def works(mesh, instance):
    """The engine still does its work, for a run of every kind."""
    instance.answer = instance.done
    return (await mesh.ended(await mesh.submit(flow()))).state == "succeeded"


async def test_a_cancelled_run_whose_time_is_over_harms_nobody(mesh):
    instance = await mesh.instance(slots=2)
    instance.answer = instance.accept
    run = await mesh.submit(flow(), timeout_s=0.3)
    await wait_until(lambda: instance.assigned)
    await mesh.cancel(run)
    await wait_until(lambda: not len(mesh.engine.board.timers))
    assert await works(mesh, instance)
    instance.done(instance.assigned[0])
    assert (await mesh.ended(run)).state == "cancelled"


async def test_a_flow_that_cannot_be_compiled_is_told_to_its_sender_only(mesh):
    instance = await mesh.instance()
    circle = Flow(name="x", nodes={"a": Node(module="test.step", after=("a",))})
    with pytest.raises(Exception, match="cycle"):
        await mesh.submit(circle)
    assert await works(mesh, instance)


async def test_a_module_name_that_nobody_can_read_parks_its_step(mesh):
    instance = await mesh.instance()
    run = await mesh.submit(Flow(name="x", nodes={"a": Node(module="test.step@latest")}))

    async def parked():
        return "a" in (steps := await mesh.steps(run)) and steps["a"].state == "parked"

    await wait_until(parked)
    assert await works(mesh, instance)


async def test_params_that_are_no_text_fail_their_own_step(mesh):
    instance = await mesh.instance()
    run = await mesh.submit(flow(params={"p": "${params.x}"}), params={"x": "\ud800"})
    assert (await mesh.ended(run)).state == "failed"
    assert await works(mesh, instance)


async def test_messages_that_make_no_sense_are_dropped(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(flow())
    await wait_until(lambda: instance.assigned)
    message = instance.assigned[0]
    who = instance.who(message)
    for strange in ({**who, "step": "a.x"}, {**who, "epoch": 10**30}, {**who, "instance": "i-9"}):
        instance.send(message, Done(**strange, outputs=OUT))
        instance.send(message, Accepted(**strange))
    instance.send(message, Renew(instance="i-1", shard=message.shard, attempts=("x", "a/b/c", f"{run}/a/{10**40}")))
    instance.done(message)
    assert (await mesh.ended(run)).state == "succeeded"
    assert await works(mesh, instance)


async def test_a_result_of_another_instance_leaves_the_lease_as_it_is(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    await mesh.submit(flow())
    await wait_until(lambda: instance.assigned)
    message = instance.assigned[0]
    instance.send(message, Done(**{**instance.who(message), "instance": "i-9"}, outputs=OUT))
    heard = mesh.engine.board.positions
    await wait_until(lambda: message.shard in heard)
    assert mesh.engine.board.leases.get(message.attempt) is not None


async def test_an_object_that_cannot_be_deleted_stops_nobody(mesh, monkeypatch):
    instance = await mesh.instance()
    tried = []

    def refuse(key):
        tried.append(key)
        raise PermissionError("no")

    monkeypatch.setattr(mesh.objects, "delete", refuse)
    instance.answer = instance.accept
    run = await mesh.submit(flow())
    monkeypatch.setattr(discarding_module, "referenced_keys", lambda reference: [f"data/default/{run}/a/1/x"])
    await wait_until(lambda: instance.assigned)
    await mesh.cancel(run)
    instance.done(instance.assigned[0])
    await wait_until(lambda: tried)
    assert await works(mesh, instance)


async def test_a_bus_that_refuses_a_cancel_stops_nobody(mesh, monkeypatch):
    instance = await mesh.instance(slots=2)
    instance.answer = instance.accept
    run = await mesh.submit(flow())
    await wait_until(lambda: instance.assigned)
    publish, refused = mesh.bus.publish, []

    async def refuse(topic, partition, payload):
        if b'"cancel"' in payload:
            refused.append(payload)
            raise NotReachable("closed")
        await publish(topic, partition, payload)

    monkeypatch.setattr(mesh.bus, "publish", refuse)
    await mesh.cancel(run)
    await wait_until(lambda: refused)
    assert await works(mesh, instance)


async def test_whoever_still_works_for_a_cancelled_run_is_told_again(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(flow())
    await wait_until(lambda: instance.assigned)
    await mesh.cancel(run)
    await wait_until(lambda: len(instance.cancelled) == 1)
    message = instance.assigned[0]
    instance.send(message, Renew(instance="i-1", shard=message.shard, attempts=(message.attempt,)))
    await wait_until(lambda: len(instance.cancelled) == 2)


async def test_after_a_restart_a_cancelled_run_is_cancelled_again_and_not_assigned(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(flow())
    await wait_until(lambda: instance.assigned)
    await mesh.cancel(run)
    await mesh.stop()
    mesh.instances.clear()
    await mesh.start()
    again = await mesh.instance()
    await wait_until(lambda: again.cancelled)
    assert again.assigned == []


async def test_a_database_that_stays_away_for_a_while_is_waited_for(mesh, monkeypatch):
    instance = await mesh.instance()
    monkeypatch.setattr("scheduler.shards.RENEW_EVERY_S", 0.1)
    monkeypatch.setattr("scheduler.engine.RENEW_EVERY_S", 0.1)
    monkeypatch.setattr("scheduler.engine._RELOAD_AFTER_S", 0.01)
    commit, acquire = mesh.state.commit, mesh.state.acquire
    away = [True]

    async def maybe(call, *args):
        if away[0]:
            raise OSError("the disk is full")
        return await call(*args)

    monkeypatch.setattr(mesh.state, "commit", lambda *args: maybe(commit, *args))
    monkeypatch.setattr(mesh.state, "acquire", lambda *args: maybe(acquire, *args))
    with pytest.raises(StateUnavailable):
        await mesh.submit(flow())
    away[0] = False
    await wait_until(lambda: len(mesh.engine.board.terms) == SHARDS)
    assert await works(mesh, instance)


async def test_a_command_for_a_shard_that_is_not_here_is_not_said_to_be_done(mesh):
    run = await mesh.submit(flow())
    mesh.engine._shards.drop(shard_of(run))
    with pytest.raises(StateUnavailable):
        await mesh.cancel(run)


async def test_shards_are_loaded_once_even_if_two_ask_for_them(mesh):
    for shard in list(mesh.engine.board.terms):
        mesh.engine._shards.drop(shard)
    await asyncio.gather(*[mesh.engine._shards.acquire() for _ in range(2)])
    rows = await mesh.state.read(lambda reader: reader.shards())
    assert {row["id"]: row["term"] for row in rows} == mesh.engine.board.terms
    assert {row["term"] for row in rows} == {2}


async def test_one_shard_that_cannot_be_loaded_leaves_the_others(mesh, monkeypatch):
    unfinished = mesh.state.unfinished
    broken = [True]

    async def load(shard):
        if shard == 3 and broken[0]:
            raise ValueError("a flow of another age")
        return await unfinished(shard)

    monkeypatch.setattr(mesh.state, "unfinished", load)
    for shard in list(mesh.engine.board.terms):
        mesh.engine._shards.drop(shard)
    await mesh.engine._shards.acquire()
    assert set(mesh.engine.board.terms) == set(range(SHARDS)) - {3}
    broken[0] = False
    await mesh.engine._shards.acquire()
    assert 3 in mesh.engine.board.terms


async def test_a_client_that_gives_up_and_asks_again_gets_its_first_run(mesh):
    waiting = asyncio.ensure_future(mesh.submit(flow(), idempotency_key="k"))
    while not mesh.engine._claims:
        await asyncio.sleep(0)
    waiting.cancel()
    again = await mesh.submit(flow(), idempotency_key="k")
    assert (await mesh.run(again)).idempotency_key == "k"
    rows = await mesh.state.read(list_runs, RunFilter(), before=None, limit=10)
    assert [row.id for row in rows] == [again]


async def test_a_scheduler_that_has_stopped_turns_everyone_away(tmp_path):
    mesh = await Mesh(tmp_path).start()
    await mesh.stop()
    with pytest.raises(StateUnavailable):
        await mesh.submit(flow())
    with pytest.raises(StateUnavailable):
        await mesh.cancel("r-1")


async def test_a_result_is_taken_before_anyone_is_judged(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(flow())
    await wait_until(lambda: instance.assigned)
    message = instance.assigned[0]
    engine = mesh.engine
    await wait_until(lambda: engine.board.leases.get(message.attempt).accept_by is None)
    # A flood before its result: more than one cycle takes. The lease has ended by the clock, but not unheard.
    engine.board.leases.get(message.attempt).until = 0.0
    for _ in range(engine_module.CYCLE_ITEMS + 100):
        mesh.runtime.spawn(instance.bus.publish("results", (message.shard + 1) % SHARDS, b"{}"), "flood")
    instance.done(message)
    engine._tick_due = True
    await asyncio.sleep(0)
    engine._put(engine_module._Tick())
    assert (await mesh.ended(run)).state == "succeeded"
    assert (await mesh.steps(run))["a"].losses == 0


async def test_what_a_dropped_shard_had_heard_is_heard_again_in_order(mesh, monkeypatch):
    """A second result waits in the inbox while the commit of the first fails: the first must not be lost to it."""
    monkeypatch.setattr("scheduler.engine._RELOAD_AFTER_S", 0.01)
    instance = await mesh.instance(slots=2)
    instance.answer = instance.accept
    run = await mesh.submit(Flow(name="two", nodes={name: Node(module="test.step") for name in "ab"}))
    await wait_until(lambda: len(instance.assigned) == 2)
    first, second = instance.assigned
    commit, failing, blocked = mesh.state.commit, [2], asyncio.Event()

    async def sometimes(batch):
        if failing[0]:
            failing[0] -= 1
            if failing[0]:
                instance.done(second)  # arrives while the first commit is under way
                blocked.set()
            await asyncio.sleep(0.05)
            raise OSError("no")
        return await commit(batch)

    monkeypatch.setattr(mesh.state, "commit", sometimes)
    instance.done(first)
    await blocked.wait()
    assert (await mesh.ended(run)).state == "succeeded"
    assert {row.losses for row in (await mesh.steps(run)).values()} == {0}
    assert {row.epoch for row in (await mesh.steps(run)).values()} == {1}


async def test_an_unreadable_result_fails_its_attempt_at_once_and_the_step_is_tried_again(mesh):
    instance = await mesh.instance()

    def garbled(message):
        whole = Done(**instance.who(message), outputs=OUT).encode()
        payload = whole.replace(b'"outputs"', b'"outputs":7,"old"') if message.epoch == 1 else whole
        mesh.runtime.spawn(instance.bus.publish(RESULTS, message.shard, payload), "result")

    instance.answer = garbled
    run = await mesh.submit(flow(retry=RetryPolicy(attempts=2, delay_s=0.01)))
    assert (await mesh.ended(run)).state == "succeeded"
    stored = await mesh.state.read(Reader.run, run)
    [first] = await mesh.state.read(Reader.attempts, stored)
    assert (first.epoch, first.state, json.loads(first.error)["code"]) == (1, "failed", "result-unreadable")


async def test_while_the_bus_is_away_no_lease_ends_and_nothing_is_assigned(mesh, monkeypatch):
    monkeypatch.setattr("scheduler.leases.ACCEPT_S", 0.2)
    monkeypatch.setattr("scheduler.leases.LEASE_S", 0.3)
    instance = await mesh.instance(slots=1)
    instance.answer = instance.accept
    first, second = await mesh.submit(flow()), await mesh.submit(flow())
    await wait_until(lambda: instance.assigned)
    held = instance.assigned[0]
    monkeypatch.setattr(HubBus, "is_away", property(lambda bus: True))
    await mesh.instance("i-2")  # has room for the other run
    began = mesh.runtime.now()
    await wait_until(lambda: mesh.runtime.now() > began + 1.0)  # several leases long
    assert mesh.engine.board.lost == 0
    assert len(mesh.engine.board.leases) == 1
    monkeypatch.setattr(HubBus, "is_away", property(lambda bus: False))
    instance.done(held)
    instance.answer = instance.done
    for run in (first, second):
        assert (await mesh.ended(run)).state == "succeeded"
        assert (await mesh.steps(run))["a"].losses == 0


async def test_what_was_not_accepted_before_the_bus_went_away_is_said_again_when_it_is_back(mesh, monkeypatch):
    instance = await mesh.instance()
    instance.answer = instance.silent
    run = await mesh.submit(flow())
    await wait_until(lambda: instance.assigned)
    monkeypatch.setattr(HubBus, "is_away", property(lambda bus: True))
    await wait_until(lambda: mesh.engine._judge._was_deaf)
    instance.answer = instance.done
    monkeypatch.setattr(HubBus, "is_away", property(lambda bus: False))
    assert (await mesh.ended(run)).state == "succeeded"
    assert [message.epoch for message in instance.assigned] == [1, 1]


def fan_in(width=40):
    """The references of `after` do not fit a message."""
    return Flow(
        name="wide",
        nodes={
            "each": Node(module="test.step", map=list(range(width))),
            "after": Node(module="test.step", inputs={"into": (Source(node="each"),)}),
        },
    )


def much(instance):
    big = {"out": ValueRef(value="x" * 4000)}
    return lambda message: instance.send(message, Done(**instance.who(message), outputs=big))


async def test_a_store_that_is_away_when_references_are_written_fails_no_step_and_holds_up_nobody(mesh, monkeypatch):
    monkeypatch.setattr(spilling_module, "AGAIN_S", 0.05)
    monkeypatch.setattr("scheduler.leases.ACCEPT_S", 0.2)
    instance, asked, away = await mesh.instance(slots=4), threading.Event(), threading.Event()
    instance.answer = much(instance)
    whole = spilled

    def spill(*arguments):
        if away.is_set():
            return whole(*arguments)
        asked.set()
        away.wait(1.0)
        raise NotReachable("the store does not answer")

    monkeypatch.setattr(spilling_module, "spilled", spill)
    run = await mesh.submit(fan_in())
    await wait_until(asked.is_set)
    assert (await mesh.ended(await mesh.submit(flow()))).state == "succeeded"
    assert not away.is_set()
    away.set()
    assert (await mesh.ended(run)).state == "succeeded"
    assert (await mesh.steps(run))["after"].losses == 0


async def test_objects_of_a_stale_result_are_deleted_beside_the_engine(mesh, monkeypatch):
    instance, deleting, away = await mesh.instance(slots=2), threading.Event(), threading.Event()

    def delete(key):
        deleting.set()
        away.wait(60)
        raise NotReachable("the store does not answer")

    monkeypatch.setattr(mesh.objects, "delete", delete)
    instance.answer = instance.accept
    run = await mesh.submit(flow())
    monkeypatch.setattr(
        discarding_module, "referenced_keys", lambda reference: [f"data/default/{run}/a/1/{n}" for n in range(20)]
    )
    await wait_until(lambda: instance.assigned)
    await mesh.cancel(run)
    instance.done(instance.assigned[0])
    await wait_until(deleting.is_set)
    assert await works(mesh, instance)
    away.set()


async def test_while_the_disk_is_full_whoever_comes_for_a_shard_that_cannot_be_read_again_is_told_so(mesh, monkeypatch):
    async def full(*_):
        raise StoreFull("the disk of the database is full")

    monkeypatch.setattr(engine_module, "_RELOAD_AFTER_S", 0.0)
    monkeypatch.setattr(mesh.state, "commit", full)
    monkeypatch.setattr(mesh.state, "acquire", full)
    ids = iter(lambda: mesh.runtime.new_id("r"), None)
    first = next(ids)
    second = next(one for one in ids if shard_of(one) == shard_of(first))
    for run in (first, second):
        with pytest.raises(StoreFull):
            await mesh.engine.submit(Submission(run=run, flow=flow(), submitted_at=mesh.runtime.wall()))
    monkeypatch.undo()
    await wait_until(lambda: shard_of(first) in mesh.engine.board.terms)
    assert await works(mesh, await mesh.instance())

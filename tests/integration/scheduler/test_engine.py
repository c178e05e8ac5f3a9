"""The engine with real SQL, hub, registry and objects; instances speak the protocol without being processes."""

import asyncio

import pytest

from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.flow import Flow, Node, RetryPolicy, Source
from plugmesh.contracts.messages import Done, Failed, Returned
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass
from tests.integration.scheduler.mesh import OUT, STEP, Mesh
from tests.waiting import wait_until


@pytest.fixture
async def mesh(tmp_path):
    started = await Mesh(tmp_path).start()
    yield started
    await started.stop()


def chain(length, **fields):
    nodes = {"n0": Node(module="test.step", **fields)}
    for index in range(1, length):
        nodes[f"n{index}"] = Node(module="test.step", inputs={"into": (Source(node=f"n{index - 1}"),)}, **fields)
    return Flow(name="chain", nodes=nodes, outputs={"result": Source(node=f"n{length - 1}")})


def wide(width):
    return Flow(name="wide", nodes={f"n{index}": Node(module="test.step") for index in range(width)})


async def test_a_chain_runs_to_its_end_and_every_step_got_what_came_before(mesh):
    instance = await mesh.instance()
    run = await mesh.submit(chain(3))
    assert (await mesh.ended(run)).state == "succeeded"
    assert [message.step for message in instance.assigned] == ["n0", "n1", "n2"]
    assert instance.assigned[2].inputs == {"into": (OUT["out"],)}


async def test_many_steps_are_spread_and_each_runs_once(mesh):
    first, second = await mesh.instance("i-1", slots=2), await mesh.instance("i-2", slots=2)
    run = await mesh.submit(wide(200))
    assert (await mesh.ended(run)).state == "succeeded"
    assert len(first.assigned) + len(second.assigned) == 200
    assert min(len(first.assigned), len(second.assigned)) > 0
    assert len(mesh.engine.board.leases) == 0


async def test_a_step_parks_until_its_module_comes(mesh):
    run = await mesh.submit(chain(1))
    await wait_until(lambda: _state(mesh, run, "n0", "parked"))
    assert "no instance has ever served test.step" in (await mesh.steps(run))["n0"].reason
    await mesh.instance()
    assert (await mesh.ended(run)).state == "succeeded"


async def test_a_late_contract_that_does_not_fit_leaves_the_step_parked_and_names_the_port(mesh):
    flow = Flow(
        name="x",
        nodes={"a": Node(module="test.step"), "b": Node(module="test.step", inputs={"nope": (Source(node="a"),)})},
    )
    run = await mesh.submit(flow)
    await mesh.instance()
    await wait_until(lambda: _state(mesh, run, "b", "parked"))
    assert "nope" in (await mesh.steps(run))["b"].reason


async def test_a_run_stays_at_the_version_it_began_with(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(chain(2))
    await wait_until(lambda: instance.assigned)
    newer = await mesh.instance("i-2", (STEP.model_copy(update={"version": "1.1.0"}),))
    instance.answer = instance.done
    instance.done(instance.assigned[0])
    assert (await mesh.ended(run)).state == "succeeded"
    assert newer.assigned == []


async def test_a_transient_failure_is_tried_again_and_a_fatal_one_is_not(mesh):
    instance = await mesh.instance()
    errors = [StepError(error_class=kind, type="E", message=kind) for kind in (ErrorClass.TRANSIENT, ErrorClass.FATAL)]
    instance.answer = lambda message: instance.send(message, Failed(**instance.who(message), error=errors.pop(0)))
    run = await mesh.submit(chain(2, retry=RetryPolicy(attempts=5, delay_s=0.01)))
    assert (await mesh.ended(run)).state == "failed"
    assert [message.epoch for message in instance.assigned] == [1, 2]
    assert (await mesh.steps(run))["n1"].state == "skipped"


async def test_an_attempt_that_is_not_accepted_goes_elsewhere(mesh):
    deaf = await mesh.instance("i-1")
    deaf.answer = deaf.silent
    run = await mesh.submit(chain(1))
    await wait_until(lambda: deaf.assigned)
    other = await mesh.instance("i-2")
    assert (await mesh.ended(run)).state == "succeeded"
    assert [message.epoch for message in other.assigned] == [2]
    assert deaf.superseded == [deaf.assigned[0].attempt]


async def test_an_instance_that_left_gives_its_work_to_another(mesh):
    leaving = await mesh.instance("i-1")
    leaving.answer = leaving.accept
    run = await mesh.submit(chain(1))
    await wait_until(lambda: leaving.assigned)
    other = await mesh.instance("i-2")
    await mesh.directory.deregister("i-1")
    assert (await mesh.ended(run)).state == "succeeded"
    assert len(other.assigned) == 1


async def test_a_busy_instance_is_left_alone_for_a_moment_at_no_cost(mesh):
    instance = await mesh.instance()
    answers = [instance.done]

    def busy_first(message):
        if message.epoch == 1:
            instance.send(message, Returned(**instance.who(message), reason="busy"))
        else:
            answers[0](message)

    instance.answer = busy_first
    run = await mesh.submit(chain(1))
    assert (await mesh.ended(run)).state == "succeeded"
    row = (await mesh.steps(run))["n0"]
    assert (row.epoch, row.failures, row.losses) == (2, 0, 0)


async def test_a_cancel_reaches_the_instance_and_its_late_result_is_not_accepted(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(chain(2))
    await wait_until(lambda: instance.assigned)
    await mesh.cancel(run)
    await wait_until(lambda: instance.cancelled)
    assert (await mesh.run(run)).state == "cancelling"
    instance.done(instance.assigned[0])
    assert (await mesh.ended(run)).state == "cancelled"
    assert (await mesh.steps(run))["n0"].outputs is None


async def test_a_run_that_takes_too_long_is_timed_out(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(chain(1), timeout_s=0.05)
    assert (await mesh.ended(run)).state == "timed_out"
    await wait_until(lambda: instance.cancelled)


async def test_the_same_idempotency_key_gives_the_same_run(mesh):
    await mesh.instance()
    runs = await asyncio.gather(*[mesh.submit(chain(1), idempotency_key="k") for _ in range(5)])
    assert len(set(runs)) == 1


async def test_a_key_whose_first_run_is_committed_while_it_is_looked_up_gives_that_run(mesh, monkeypatch):
    await mesh.instance()
    read, asked = mesh.state.read, 0

    async def late(question, *args, **named):
        nonlocal asked
        found, asked = await read(question, *args, **named), asked + 1
        if asked > 1:
            await first
        return found

    monkeypatch.setattr(mesh.state, "read", late)
    first, second = [asyncio.ensure_future(mesh.submit(chain(1), idempotency_key="k")) for _ in range(2)]
    assert await second == await first


async def test_a_map_runs_once_for_each_element(mesh):
    instance = await mesh.instance()
    flow = Flow(
        name="map",
        nodes={
            "each": Node(module="test.step", map=[10, 20, 30], params={"x": "${item}"}),
            "after": Node(module="test.step", inputs={"into": (Source(node="each"),)}),
        },
    )
    run = await mesh.submit(flow)
    assert (await mesh.ended(run)).state == "succeeded"
    assert [m.params for m in instance.assigned][:3] == [{"x": 10}, {"x": 20}, {"x": 30}]
    assert instance.assigned[3].inputs == {"into": (OUT["out"],) * 3}


async def test_a_param_that_cannot_be_filled_fails_the_step_and_says_which(mesh):
    await mesh.instance()
    run = await mesh.submit(Flow(name="x", nodes={"a": Node(module="test.step", params={"p": "${params.nope}"})}))
    ended = await mesh.ended(run)
    assert ended.state == "failed"
    assert "nope" in ended.reason


async def test_after_a_restart_unfinished_runs_go_on(mesh, tmp_path):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(chain(2))
    parked = await mesh.submit(Flow(name="other", nodes={"a": Node(module="test.other")}))
    await wait_until(lambda: instance.assigned)
    await wait_until(lambda: _state(mesh, parked, "a", "parked"))
    await mesh.stop()
    mesh.instances.clear()
    await mesh.start()
    again = await mesh.instance()
    assert (await mesh.ended(run)).state == "succeeded"
    assert [(message.step, message.epoch) for message in again.assigned] == [("n0", 1), ("n1", 1)]
    assert (await mesh.steps(parked))["a"].state == "parked"


async def test_a_commit_that_fails_is_read_again_from_sql_and_the_run_goes_on(mesh, monkeypatch):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(chain(2))
    await wait_until(lambda: instance.assigned)
    commit = mesh.state.commit
    failures = [OSError("the disk is full")]

    async def failing(batch):
        if failures:
            raise failures.pop()
        return await commit(batch)

    monkeypatch.setattr(mesh.state, "commit", failing)
    instance.answer = instance.done
    instance.done(instance.assigned[0])
    await wait_until(lambda: "disk is full" in (mesh.engine.trouble or ""))
    assert (await mesh.ended(run)).state == "succeeded"
    assert mesh.engine.trouble is None


async def _state(mesh, run, step, state):
    row = (await mesh.steps(run)).get(step)
    return row is not None and row.state == state


async def test_a_run_so_wide_that_its_changes_do_not_fit_a_message_still_runs(mesh):
    await mesh.instance(slots=4)
    run = await mesh.submit(wide(1500))
    assert (await mesh.ended(run)).state == "succeeded"


@pytest.mark.full
@pytest.mark.parametrize("shape", [chain, wide])
async def test_a_run_of_ten_thousand_nodes_ends(tmp_path, shape):
    mesh = await Mesh(tmp_path, synchronous="normal").start()  # ten thousand commits: the disk is not what is tested
    instance = await mesh.instance(slots=200)
    run = await mesh.submit(shape(10_000))

    async def over():
        await instance.beat()
        return await _run_state(mesh, run, "succeeded")

    await wait_until(over, within_s=300, every_s=0.2)
    await mesh.stop()


@pytest.mark.full
@pytest.mark.parametrize("shape", [chain, wide])
async def test_a_run_of_ten_thousand_nodes_that_nobody_can_run_is_cancelled(mesh, shape):
    run = await mesh.submit(shape(10_000))
    await wait_until(lambda: _state(mesh, run, "n0", "parked"), within_s=120)
    await mesh.cancel(run)
    await wait_until(lambda: _run_state(mesh, run, "cancelled"), within_s=120, every_s=0.2)


async def _run_state(mesh, run, state):
    return (await mesh.run(run)).state == state


async def test_references_that_do_not_fit_a_message_are_spilled_to_the_object_store(mesh):
    instance = await mesh.instance()
    big = {"out": ValueRef(value="x" * 4000)}
    instance.answer = lambda message: instance.send(message, Done(**instance.who(message), outputs=big))
    flow = Flow(
        name="map",
        nodes={
            "each": Node(module="test.step", map=list(range(40))),
            "after": Node(module="test.step", inputs={"into": (Source(node="each"),)}),
        },
    )
    run = await mesh.submit(flow)
    await wait_until(lambda: instance.assigned and instance.assigned[-1].step == "after")
    assert (await mesh.ended(run)).state in {"succeeded", "failed"}


async def test_params_that_are_too_large_fail_the_step_and_say_so(mesh):
    await mesh.instance()
    run = await mesh.submit(Flow(name="x", nodes={"a": Node(module="test.step", params={"p": "x" * 40_000})}))
    ended = await mesh.ended(run)
    assert ended.state == "failed"
    assert "over the limit" in ended.reason

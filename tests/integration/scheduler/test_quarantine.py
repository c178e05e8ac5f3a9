"""A module version that ends its processes: what it takes to quarantine it, what its runs do then, and who lifts it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial

import pytest

from plugmesh.contracts.flow import Flow, Node, RetryPolicy, Source
from plugmesh.contracts.messages import Failed, Returned
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass
from plugmesh.state.convictions import convictions
from scheduler.poison import RUNS
from scheduler.step import ALONE_AFTER
from tests.integration.scheduler.mesh import STEP, Mesh
from tests.waiting import wait_until

NEWER = STEP.model_copy(update={"version": "1.1.0"})
DIED = StepError(
    error_class=ErrorClass.TRANSIENT,
    type="ExecutorDied",
    code="executor-died",
    message="test.step@1.1.0: the process that ran the step ended: signal SIGSEGV",
    traceback="Fatal Python error: Segmentation fault",
)
ONCE = RetryPolicy(attempts=1)


@asynccontextmanager
async def meshed(folder):
    started = await Mesh(folder).start()
    try:
        yield started
    finally:
        await started.stop()


@pytest.fixture
async def mesh(tmp_path):
    async with meshed(tmp_path) as started:
        yield started


def flow(module="test.step", *, then=(), quarantine="park", **node):
    nodes = {"a": Node(module=module, **{"retry": ONCE, **node})}
    for name in then:
        nodes[name] = Node(module=module, inputs={"into": (Source(node="a"),)})
    return Flow(name="f", nodes=nodes, quarantine=quarantine)


def deadly(instance, version="1.1.0"):
    """Each attempt of that version ends its process."""

    def answer(message):
        if message.version == version:
            instance.send(message, Failed(**instance.who(message), error=DIED, convicting=True))
        else:
            instance.done(message)

    instance.answer = answer


async def poisoned(mesh, runs=RUNS, name="i-1"):
    """Both versions are served; so many runs have died of the newer one."""
    instance = await mesh.instance(name, contracts=(STEP, NEWER))
    deadly(instance)
    for _ in range(runs):
        assert (await mesh.ended(await mesh.submit(flow()))).state == "failed"
    return instance


def switch(mesh):
    return mesh.registry.disabled("test.step", "1.1.0")


async def parked(mesh, run, step="a"):
    found = (await mesh.steps(run)).get(step)
    return found.reason if found is not None and found.state == "parked" else None


async def test_a_version_that_works_in_between_is_not_quarantined(mesh):
    instance = await poisoned(mesh, RUNS - 1)
    instance.answer = instance.done
    assert (await mesh.ended(await mesh.submit(flow()))).state == "succeeded"
    assert await mesh.state.read(convictions) == []
    deadly(instance)
    for _ in range(RUNS - 1):
        assert (await mesh.ended(await mesh.submit(flow()))).state == "failed"
    assert switch(mesh) is None
    assert (await mesh.ended(await mesh.submit(flow()))).state == "failed"
    await wait_until(lambda: switch(mesh))


async def test_three_runs_quarantine_a_version_and_the_next_one_waits_and_says_why(mesh):
    instance = await poisoned(mesh)
    await wait_until(lambda: switch(mesh))
    tried = len(instance.assigned)
    run = await mesh.submit(flow())
    reason = await wait_until(lambda: parked(mesh, run))
    assert reason.startswith("quarantined: 3 runs ended its process, the last one in step a of r-")
    assert "signal SIGSEGV" in reason
    assert reason.endswith("plugmesh module enable test.step@1.1.0")
    assert len(instance.assigned) == tried


@pytest.mark.full
async def test_two_runs_do_not_nor_do_many_deaths_of_one_run(mesh):
    instance = await poisoned(mesh, runs=RUNS - 1)
    many = RetryPolicy(attempts=5, delay_s=0.0, jitter=False)
    nodes = {f"n{number}": Node(module="test.step", retry=many) for number in range(3)}
    await wait_until(lambda: mesh.engine.quarantines.convictions == RUNS - 1)
    await mesh.registry.enable("test.step")
    assert (await mesh.ended(await mesh.submit(Flow(name="many", nodes=nodes)))).state == "failed"
    assert len(instance.assigned) == RUNS - 1 + 15
    assert switch(mesh) is None
    assert len(await mesh.state.read(convictions)) == 1


async def test_an_error_that_the_module_raises_convicts_nobody(mesh):
    instance = await mesh.instance(contracts=(NEWER,))
    instance.answer = lambda message: instance.send(message, Failed(**instance.who(message), error=DIED))
    for _ in range(RUNS):
        await mesh.ended(await mesh.submit(flow()))
    assert await mesh.state.read(convictions) == []


async def test_the_deaths_spend_the_tries_of_the_step_and_it_fails_with_their_error(mesh):
    instance = await mesh.instance(contracts=(NEWER,))
    deadly(instance)
    run = await mesh.ended(await mesh.submit(flow(retry=RetryPolicy(attempts=3, delay_s=0.0))))
    step = (await mesh.steps(run.id))["a"]
    assert (run.state, step.failures, "executor-died" in step.error) == ("failed", 3, True)


async def overtaken(mesh):
    """An instance, and a run that it accepted before others died of the same version."""
    instance = await mesh.instance("i-0", contracts=(STEP, NEWER), slots=9)
    instance.answer = instance.accept
    run = await mesh.submit(flow())
    await wait_until(lambda: instance.assigned)
    deadly(instance)
    for _ in range(RUNS):
        await mesh.ended(await mesh.submit(flow()))
    return instance, run


async def test_what_is_running_finishes(mesh):
    instance, begun = await overtaken(mesh)
    await wait_until(lambda: switch(mesh))
    instance.done(instance.assigned[0])
    assert (await mesh.ended(begun)).state == "succeeded"


async def test_what_has_not_begun_is_asked_back_and_waits(mesh):
    instance, queued = await overtaken(mesh)
    first = instance.assigned[0]
    await wait_until(lambda: first.attempt in instance.recalled)
    instance.send(first, Returned(**instance.who(first), reason="recalled"))
    assert (await wait_until(lambda: parked(mesh, queued))).startswith("quarantined: ")


async def test_lifting_it_lets_the_steps_go_on_and_counts_from_the_beginning(mesh):
    instance = await poisoned(mesh)
    await wait_until(lambda: switch(mesh))
    run = await mesh.submit(flow())
    await wait_until(lambda: parked(mesh, run))
    await mesh.registry.enable("test.step", "1.1.0")
    assert (await mesh.ended(run)).state == "failed"
    for _ in range(RUNS - 2):
        await mesh.ended(await mesh.submit(flow()))
    await wait_until(lambda: mesh.engine.quarantines.convictions == len(instance.assigned))
    assert switch(mesh) is None
    await mesh.ended(await mesh.submit(flow()))
    await wait_until(lambda: switch(mesh))


async def test_with_previous_the_next_run_gets_the_version_before(mesh):
    instance = await poisoned(mesh)
    await wait_until(lambda: switch(mesh))
    assert (await mesh.ended(await mesh.submit(flow("test.step@^1", quarantine="previous")))).state == "succeeded"
    assert instance.assigned[-1].version == "1.0.0"


async def test_with_previous_a_run_that_began_with_the_version_goes_back_too_and_stays_there(mesh):
    instance = await mesh.instance(contracts=(STEP, NEWER), slots=4)
    instance.answer = instance.accept
    run = await mesh.submit(flow(then=("b", "c"), quarantine="previous"))
    await wait_until(lambda: instance.assigned)
    deadly(instance)
    for _ in range(RUNS):
        await mesh.ended(await mesh.submit(flow()))
    await wait_until(lambda: switch(mesh))
    instance.done(instance.assigned[0])
    assert (await mesh.ended(run)).state == "succeeded"
    versions = {step.id: step.version for step in (await mesh.steps(run)).values()}
    assert versions == {"a": "1.1.0", "b": "1.0.0", "c": "1.0.0"}


@pytest.mark.full
async def test_with_previous_but_none_before_it_waits_and_says_so(mesh):
    await poisoned(mesh)
    await wait_until(lambda: switch(mesh))
    run = await mesh.submit(flow("test.step@1.1.0", quarantine="previous"))
    reason = await wait_until(lambda: parked(mesh, run))
    assert reason.startswith("quarantined: ")
    assert reason.endswith("no version before it that would do is served")


@pytest.mark.full
async def test_a_newer_version_that_fits_is_taken_at_once(mesh):
    await poisoned(mesh)
    await wait_until(lambda: switch(mesh))
    run = await mesh.submit(flow())
    await wait_until(lambda: parked(mesh, run))
    await mesh.instance("i-2", contracts=(STEP.model_copy(update={"version": "1.1.1"}),))
    assert (await mesh.ended(run)).state == "succeeded"


@pytest.mark.full
async def test_a_restart_keeps_the_quarantine_and_what_was_counted(tmp_path):
    async with meshed(tmp_path) as before:
        await poisoned(before)
        await wait_until(before.state.switches)
        waiting = await before.submit(flow())
        await wait_until(lambda: parked(before, waiting))
    async with meshed(tmp_path) as after:
        assert switch(after).kind == "quarantined"
        instance = await after.instance(contracts=(STEP, NEWER))
        assert await parked(after, waiting)
        await after.registry.enable("test.step", "1.1.0")
        assert (await after.ended(waiting)).state == "succeeded"
        assert [message.version for message in instance.assigned] == ["1.1.0"]


@pytest.mark.full
async def test_deaths_before_and_after_a_restart_count_together(tmp_path):
    async with meshed(tmp_path) as before:
        await poisoned(before, runs=RUNS - 1)
    async with meshed(tmp_path) as after:
        assert switch(after) is None
        await poisoned(after, runs=1)
        await wait_until(lambda: switch(after))


async def test_a_quarantine_that_was_not_kept_before_the_end_comes_at_the_start(tmp_path):
    async with meshed(tmp_path) as before:
        before.registry.quarantine = lambda switch: False  # as if it had died in between
        await poisoned(before)
        assert await before.state.switches() == []
    async with meshed(tmp_path) as after:
        assert switch(after).kind == "quarantined"
        await wait_until(after.state.switches)


@pytest.mark.full
async def test_a_run_that_loses_the_instances_it_has_to_itself_is_one_that_speaks_against_the_version(mesh):
    run = await mesh.submit(flow())
    for number in range(ALONE_AFTER + 1):
        instance = await mesh.instance(f"victim-{number}", contracts=(NEWER,), answer="accept")
        await wait_until(partial(getattr, instance, "assigned"))
        await mesh.directory.deregister(instance.name)
    await wait_until(lambda: mesh.engine.quarantines.convictions == 1)
    (found,) = await mesh.state.read(convictions)
    assert (found.run, found.epoch) == (run, ALONE_AFTER + 1)
    assert found.reason.startswith("its instance was lost while nothing else ran there: instance victim-2 closed")

"""What a disabled module means for runs: no new attempts, steps that park and say why, and go on when it is enabled."""

import pytest

from plugmesh.contracts.flow import Flow, Node, Source
from plugmesh.state.modules import ModuleSwitch
from tests.integration.scheduler.mesh import STEP, Mesh
from tests.waiting import wait_until

NEWER = STEP.model_copy(update={"version": "1.1.0"})


@pytest.fixture
async def mesh(tmp_path):
    started = await Mesh(tmp_path).start()
    yield started
    await started.stop()


def chain(module="test.step"):
    nodes = {"a": Node(module=module), "b": Node(module=module, inputs={"into": (Source(node="a"),)})}
    return Flow(name="chain", nodes=nodes)


def off(version="*"):
    return ModuleSwitch("test.step", version, "ana", 1.0, "it loses rows")


async def parked(mesh, run, step):
    found = (await mesh.steps(run)).get(step)
    return found.reason if found is not None and found.state == "parked" else None


async def test_a_step_of_a_disabled_module_parks_with_the_reason_and_goes_on_when_it_is_enabled(mesh):
    instance = await mesh.instance()
    await mesh.registry.disable(off())
    run = await mesh.submit(chain())
    assert await wait_until(lambda: parked(mesh, run, "a")) == "disabled by ana: it loses rows"
    assert instance.assigned == []
    await mesh.registry.enable("test.step")
    assert (await mesh.ended(run)).state == "succeeded"


async def test_what_was_started_goes_on_and_what_follows_parks(mesh):
    instance = await mesh.instance()
    instance.answer = instance.accept
    run = await mesh.submit(chain())
    await wait_until(lambda: instance.assigned)
    await mesh.registry.disable(off())
    instance.answer = instance.done
    instance.done(instance.assigned[0])
    await wait_until(lambda: parked(mesh, run, "b"))
    assert (await mesh.steps(run))["a"].state == "succeeded"
    await mesh.registry.enable("test.step")
    assert (await mesh.ended(run)).state == "succeeded"


async def test_another_version_that_fits_is_chosen(mesh):
    instance = await mesh.instance(contracts=(STEP, NEWER))
    await mesh.registry.disable(off("1.1.0"))
    run = await mesh.submit(chain("test.step@^1"))
    assert (await mesh.ended(run)).state == "succeeded"
    assert {message.version for message in instance.assigned} == {"1.0.0"}


async def test_a_run_does_not_leave_the_version_that_it_began_with_when_that_is_disabled(mesh):
    instance = await mesh.instance(contracts=(STEP,))
    instance.answer = instance.accept
    run = await mesh.submit(chain())
    await wait_until(lambda: instance.assigned)
    await mesh.instance("i-2", contracts=(NEWER,))
    await mesh.registry.disable(off("1.0.0"))
    instance.done(instance.assigned[0])
    assert await wait_until(lambda: parked(mesh, run, "b")) == "disabled by ana: it loses rows"


async def test_a_step_that_waits_for_a_disabled_module_waits_on_when_an_instance_comes(mesh):
    run = await mesh.submit(chain())
    await wait_until(lambda: parked(mesh, run, "a"))
    await mesh.registry.disable(off())
    instance = await mesh.instance()
    assert await parked(mesh, run, "a")
    assert instance.assigned == []
    await mesh.registry.enable("test.step")
    assert (await mesh.ended(run)).state == "succeeded"

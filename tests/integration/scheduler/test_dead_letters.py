"""The dead letters of steps: written with the end of a step, of the attempt that counts, and read by edges."""

import pytest

from plugmesh.contracts.data import DataRef
from plugmesh.contracts.flow import Flow, Node, RetryPolicy, Source
from plugmesh.contracts.messages import AttemptStats, Done, Failed
from plugmesh.contracts.module import REJECTED, InputPort, ModuleContract
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass
from plugmesh.flows.feeding import NOTHING_REJECTED
from plugmesh.state.dead_letters import letters
from scheduler.invariants.folder import check_folder
from tests.integration.scheduler.mesh import OUT, STEP, Mesh

READER = ModuleContract(name="test.reads", version="1.0.0", inputs=(InputPort(name="rows"),))
SINK = ModuleContract(name="test.sink", version="1.0.0")
STATS = AttemptStats(rows_failed=3, reasons={"odd": 3})


def refs(step, epoch=1, rows=3):
    """Rows that were rejected: nobody looks at them here, so they have no columns."""
    return DataRef(schema_ipc=f"{step}-{epoch}", rows=rows, fragments=())


@pytest.fixture
async def mesh(tmp_path):
    started = await Mesh(tmp_path).start()
    yield started
    await started.stop()


def reading(source, **fields):
    nodes = {
        "made": Node(module=source, **fields),
        "read": Node(module="test.reads", inputs={"rows": (Source(node="made", port=REJECTED),)}),
    }
    return Flow(name="f", nodes=nodes, outputs={"bad": Source(node="made", port=REJECTED)})


async def test_the_accepted_attempts_letter_is_written_and_read_by_edges(mesh):
    instance = await mesh.instance(contracts=(STEP, READER), answer="silent")

    def answer(message):
        outputs = {**OUT, REJECTED: refs(message.step)} if message.module == STEP.name else {}
        instance.send(message, Done(**instance.who(message), outputs=outputs, stats=STATS))

    instance.answer = answer
    run = await mesh.submit(reading("test.step"))
    ended = await mesh.ended(run)
    assert ended.state == "succeeded"
    assert instance.assigned[1].inputs == {"rows": (refs("made"),)}
    assert refs("made").schema_ipc in ended.outputs
    (letter,) = await mesh.state.read(letters, limit=9)
    assert (letter.id, letter.module, letter.outcome) == (f"{run}.made", "test.step@1.0.0", "succeeded")
    assert (letter.rows, letter.reasons, letter.epoch) == (3, '{"odd":3}', 1)
    assert DataRef.model_validate_json(letter.ref) == refs("made")


@pytest.mark.parametrize("module", ["test.step", "test.sink"])
@pytest.mark.parametrize("elements", [None, [1, 2]], ids=["one", "mapped"])
async def test_where_nothing_was_rejected_an_edge_carries_an_empty_table(mesh, module, elements):
    instance = await mesh.instance(contracts=(STEP, READER, SINK), answer="silent")
    instance.answer = lambda message: instance.send(
        message, Done(**instance.who(message), outputs=OUT if message.module == STEP.name else {})
    )
    run = await mesh.submit(reading(module, map=elements))
    assert (await mesh.ended(run)).state == "succeeded"
    assert {message.step: message.rejected for message in instance.assigned}["read"] is False
    assert all(message.rejected for message in instance.assigned if message.step.startswith("made"))
    assert instance.assigned[-1].inputs == {"rows": (NOTHING_REJECTED,)}
    assert await mesh.state.read(letters, limit=9) == []


async def test_a_table_without_rows_is_no_letter(mesh):
    instance = await mesh.instance(contracts=(STEP, READER), answer="silent")
    instance.answer = lambda message: instance.send(
        message, Done(**instance.who(message), outputs={**OUT, REJECTED: refs("made", rows=0)})
    )
    run = await mesh.submit(reading("test.step"))
    assert (await mesh.ended(run)).state == "succeeded"
    assert instance.assigned[-1].inputs == {"rows": (refs("made", rows=0),)}
    assert await mesh.state.read(letters, limit=9) == []


async def test_elements_of_a_mapped_node_have_a_letter_each_and_are_read_as_one_table(mesh):
    instance = await mesh.instance(contracts=(STEP, READER), answer="silent")

    def answer(message):
        rejected = {REJECTED: refs("same", rows=1)} if message.step in {"made.0", "made.2"} else {}
        outputs = {**OUT, **rejected} if message.module == STEP.name else {}
        instance.send(message, Done(**instance.who(message), outputs=outputs))

    instance.answer = answer
    run = await mesh.submit(reading("test.step", map=[0, 1, 2]))
    assert (await mesh.ended(run)).state == "succeeded"
    (whole,) = instance.assigned[-1].inputs["rows"]
    assert whole.rows == 2
    found = await mesh.state.read(letters, step="made", limit=9)
    assert sorted(letter.step for letter in found) == ["made.0", "made.2"]


async def test_of_tries_that_failed_only_the_last_ones_letter_is_kept(mesh):
    instance = await mesh.instance(answer="silent")
    error = StepError(error_class=ErrorClass.TRANSIENT, type="E", message="not yet")
    instance.answer = lambda message: instance.send(
        message, Failed(**instance.who(message), error=error, rejected=refs("made", message.epoch), stats=STATS)
    )
    flow = Flow(name="f", nodes={"made": Node(module="test.step", retry=RetryPolicy(attempts=2, delay_s=0))})
    run = await mesh.submit(flow)
    assert (await mesh.ended(run)).state == "failed"
    (letter,) = await mesh.state.read(letters, limit=9)
    assert (letter.outcome, letter.epoch, letter.reasons) == ("failed", 2, '{"odd":3}')
    step = (await mesh.steps(run))["made"]
    assert step.state == "failed"
    assert refs("made", 2).schema_ipc in step.outputs
    assert check_folder(mesh.folder).violations == []


async def test_an_attempt_that_nobody_waits_for_any_more_leaves_no_letter(mesh):
    instance = await mesh.instance(answer="accept")
    run = await mesh.submit(Flow(name="f", nodes={"made": Node(module="test.step")}))
    while not instance.assigned:
        await mesh.runtime.sleep(0)
    await mesh.cancel(run)
    message = instance.assigned[0]
    instance.send(message, Done(**instance.who(message), outputs={**OUT, REJECTED: refs("made")}))
    assert (await mesh.ended(run)).state == "cancelled"
    assert await mesh.state.read(letters, limit=9) == []

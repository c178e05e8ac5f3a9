"""The spans that a scheduler makes of what it commits."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plugmesh.contracts.flow import Flow, Node, RetryPolicy, Source
from plugmesh.contracts.messages import Assign, Failed, Returned
from plugmesh.contracts.run import StepError
from plugmesh.errors import ErrorClass
from plugmesh.telemetry.ids import attempt_span, root_of, trace_of, traceparent
from plugmesh.telemetry.span import Span
from tests.integration.scheduler.mesh import Instance, Mesh
from tests.integration.telemetry.recorder import Recorder
from tests.waiting import wait_until

ONE = Flow(name="one", nodes={"a": Node(module="test.step", retry=RetryPolicy(attempts=2, delay_s=0.01))})


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def mesh(tmp_path: Path, recorder: Recorder) -> AsyncIterator[Mesh]:
    started = await Mesh(tmp_path, telemetry=recorder).start()
    yield started
    await started.stop()


async def ended(mesh: Mesh, recorder: Recorder, run: str) -> list[Span]:
    """The spans of a run that has ended, its own last."""
    await mesh.ended(run)
    await wait_until(lambda: any(span.id == root_of(run) for span in recorder.spans))
    return [span for span in recorder.spans if span.trace == trace_of(run)]


def failing(instance: Instance, times: int, message: str = "it broke") -> None:
    left = iter(range(times))

    def answer(assign: Assign) -> None:
        if next(left, None) is None:
            instance.done(assign)
            return
        error = StepError(error_class=ErrorClass.TRANSIENT, type="OSError", message=message, code="no-answer")
        instance.send(assign, Failed(**instance.who(assign), error=error))

    instance.answer = answer


async def test_a_run_is_one_trace_with_a_span_for_each_attempt(mesh: Mesh, recorder: Recorder) -> None:
    instance = await mesh.instance()
    nodes = {"a": Node(module="test.step"), "b": Node(module="test.step", inputs={"into": (Source(node="a"),)})}
    run = await mesh.submit(Flow(name="two", nodes=nodes))
    *steps, whole = await ended(mesh, recorder, run)
    assert (whole.name, whole.parent, whole.error) == ("run two", None, None)
    assert whole.attributes["plugmesh.run"] == run
    assert [(span.name, span.parent) for span in steps] == [("step a", root_of(run)), ("step b", root_of(run))]
    assert [span.id for span in steps] == [attempt_span(run, "a", 1), attempt_span(run, "b", 1)]
    assert {span.attributes["plugmesh.instance"] for span in steps} == {instance.name}
    assert (
        whole.start_ns <= steps[0].start_ns <= steps[0].end_ns <= steps[1].start_ns <= steps[1].end_ns <= whole.end_ns
    )
    headers = [message.trace for message in instance.assigned]
    assert headers == [{"traceparent": traceparent(trace_of(run), span.id)} for span in steps]


async def test_each_try_is_told_with_what_it_failed_of(mesh: Mesh, recorder: Recorder) -> None:
    failing(await mesh.instance(), 1, "no answer from http://me:hunter2@host")
    run = await mesh.submit(ONE)
    first, second, whole = await ended(mesh, recorder, run)
    assert (first.error, first.attributes["error.type"]) == ("no answer from http://***@host", "no-answer")
    assert [span.attributes["plugmesh.attempt"] for span in (first, second)] == [1, 2]
    assert [span.attributes["plugmesh.outcome"] for span in (first, second)] == ["failed", "succeeded"]
    assert (second.error, whole.error) == (None, None)


async def test_a_run_that_fails_says_why(mesh: Mesh, recorder: Recorder) -> None:
    failing(await mesh.instance(), 5)
    run = await mesh.submit(ONE)
    *steps, whole = await ended(mesh, recorder, run)
    assert [span.attributes["plugmesh.outcome"] for span in steps] == ["failed", "failed"]
    assert whole.attributes["plugmesh.outcome"] == "failed"
    assert "it broke" in (whole.error or "")


async def test_an_attempt_that_came_back_is_told_before_the_next(mesh: Mesh, recorder: Recorder) -> None:
    instance = await mesh.instance()
    instance.answer = lambda assign: (
        instance.send(assign, Returned(**instance.who(assign), reason="draining"))
        if assign.epoch == 1
        else instance.done(assign)
    )
    run = await mesh.submit(ONE)
    first, second, _ = await ended(mesh, recorder, run)
    assert (first.attributes["plugmesh.outcome"], first.error) == ("returned", "draining")
    assert second.attributes["plugmesh.outcome"] == "succeeded"


async def test_a_cancelled_run_is_no_error(mesh: Mesh, recorder: Recorder) -> None:
    instance = await mesh.instance(answer="silent")
    run = await mesh.submit(ONE)
    await wait_until(lambda: instance.assigned)
    await mesh.cancel(run)
    await wait_until(lambda: instance.cancelled)
    instance.send(instance.assigned[0], Returned(**instance.who(instance.assigned[0]), reason="cancelled"))
    *steps, whole = await ended(mesh, recorder, run)
    assert whole.attributes["plugmesh.outcome"] == "cancelled"
    assert whole.error is None
    assert len({span.id for span in steps}) == len(steps) == 1


async def test_a_step_that_never_was_anywhere_is_told_when_it_fails(mesh: Mesh, recorder: Recorder) -> None:
    run = await mesh.submit(Flow(name="late", nodes={"a": Node(module="test.absent")}, park_s=0.05))
    [step, whole] = await ended(mesh, recorder, run)
    assert step.attributes["error.type"] == "parked-too-long"
    assert step.attributes["plugmesh.attempt"] == 0
    assert whole.error is not None


async def test_another_scheduler_goes_on_in_the_same_trace(tmp_path: Path) -> None:
    before, after = Recorder(), Recorder()
    first = await Mesh(tmp_path, telemetry=before).start()
    instance = await first.instance(answer="silent")
    run = await first.submit(ONE)
    await wait_until(lambda: instance.assigned)
    await first.stop()
    second = await Mesh(tmp_path, telemetry=after).start()
    await second.instance()
    [step, whole] = await ended(second, after, run)
    await second.stop()
    assert before.spans == []
    assert (step.id, step.parent, whole.id) == (attempt_span(run, "a", 1), root_of(run), root_of(run))
    assert whole.start_ns <= step.start_ns <= step.end_ns <= whole.end_ns


async def test_only_a_share_of_runs_is_traced(tmp_path: Path) -> None:
    recorder = Recorder(share=0.0)
    mesh = await Mesh(tmp_path, telemetry=recorder).start()
    instance = await mesh.instance()
    await mesh.ended(await mesh.submit(ONE))
    await mesh.stop()
    assert recorder.spans == []
    assert [message.trace for message in instance.assigned] == [None]


async def test_nothing_is_remembered_of_runs_that_are_over(mesh: Mesh, recorder: Recorder) -> None:
    failing(await mesh.instance(), 1)
    await ended(mesh, recorder, await mesh.submit(ONE))
    assert mesh.engine._tracing._begun == {}


async def test_the_log_tells_of_ends_and_failures_with_their_ids(
    mesh: Mesh, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "scheduler.journal")
    failing(await mesh.instance(), 1)
    run = await mesh.submit(ONE)
    await ended(mesh, recorder, run)
    told = [record for record in caplog.records if record.name == "scheduler.journal"]
    assert told[0].getMessage() == f"run {run}: a: attempt failed: it broke"
    assert (told[0].run, told[0].step, told[0].attempt, told[0].instance) == (run, "a", 1, "i-1")  # type: ignore[attr-defined]
    assert f"run {run} of one succeeded after" in told[-1].getMessage()


async def test_who_traces_nothing_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What traces cost where they are off: a look at a flag. Every function of theirs is counted, not timed."""
    calls: list[str] = []
    for module in ("scheduler.assignment", "scheduler.tracing"):
        for name in ("trace_of", "attempt_span"):
            monkeypatch.setattr(f"{module}.{name}", lambda *given, name=name: calls.append(name))
    monkeypatch.setattr("scheduler.tracing.Tracing.committed", lambda *_: calls.append("committed"))
    monkeypatch.setattr("scheduler.journal.keep", lambda *_: calls.append("keep"))
    logging.getLogger("scheduler.journal").setLevel(logging.WARNING)
    try:
        mesh = await Mesh(tmp_path).start()
        instance = await mesh.instance(slots=4)
        flow = Flow(name="wide", nodes={f"n{number}": Node(module="test.step") for number in range(50)})
        await mesh.ended(await mesh.submit(flow))
        await mesh.stop()
    finally:
        logging.getLogger("scheduler.journal").setLevel(logging.NOTSET)
    assert calls == []
    assert all(b'"trace"' not in message.encode() for message in instance.assigned)

"""What a person asks of a run, and what its flow does: pause, resume, queue, recover, tries."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.flow import Flow, RetryPolicy
from plugmesh.contracts.run import STEP_GOOD, Permit, Recovered, Rerun, RunState, StepError, StepState
from plugmesh.errors import ErrorClass
from scheduler import retry
from scheduler.changes import RunChange, StepChange, changes_json, read_changes
from scheduler.effects import Convict, Outcome, Queued, Ready, TakeBack, Wake
from scheduler.events import (
    Assigned,
    AttemptDone,
    AttemptFailed,
    AttemptReturned,
    AttemptStarted,
    Begin,
    CancelAsked,
    NoModule,
    PauseAsked,
    Queue,
    Recover,
    ResumeAsked,
    RunTimedOut,
    TimeCame,
)
from scheduler.plan import compile_plan
from scheduler.runstate import LEAST_WINDOW
from scheduler.runstate import RunState as Run
from scheduler.walk import advance
from tests.unit.scheduler.walking import FATAL, OUT, TRANSIENT, Driver, flow_of, flows, new_run

PAIR = flow_of({"a": (), "b": ("a",)}, shown="b")


def begun(flow: Flow) -> Run:
    run = new_run(flow)
    advance(run, Begin(1.0))
    return run


def pause(run: Run) -> Outcome:
    return advance(run, PauseAsked(5.0, "ann", "looking"))


def resume(run: Run) -> Outcome:
    return advance(run, ResumeAsked(6.0))


def ready(outcome: Outcome) -> list[str]:
    return [effect.step.id for effect in outcome.effects if isinstance(effect, Ready)]


def work(run: Run, step: str) -> Outcome:
    advance(run, Assigned(2.0, step, "i", "1.0.0"))
    return advance(run, AttemptDone(3.0, step, run.steps[step].epoch, "i", OUT))


def test_a_paused_run_says_who_paused_it_and_why() -> None:
    run = begun(PAIR)
    pause(run)
    assert (run.state, run.reason) == (RunState.PAUSED, "paused by ann: looking")


def test_what_runs_when_a_run_is_paused_is_accepted_and_nothing_follows_it() -> None:
    run = begun(PAIR)
    advance(run, Assigned(2.0, "a", "i", "1.0.0"))
    advance(run, AttemptStarted(3.0, "a", 1, "i"))
    assert pause(run).effects == ()
    advance(run, AttemptDone(5.5, "a", 1, "i", OUT))
    assert run.steps == {}
    assert ready(resume(run)) == ["b"]


def test_an_attempt_that_has_not_started_is_taken_back_by_a_pause() -> None:
    run = begun(PAIR)
    advance(run, Assigned(2.0, "a", "i", "1.0.0"))
    assert pause(run).effects == (TakeBack("a", 1, "i"),)
    advance(run, AttemptReturned(5.5, "a", 1, "i", "recalled"))
    assert ready(resume(run)) == ["a"]


def test_the_last_step_ends_a_paused_run() -> None:
    run = begun(flow_of({"a": ()}, shown="a"))
    advance(run, Assigned(2.0, "a", "i", "1.0.0"))
    pause(run)
    advance(run, AttemptDone(5.5, "a", 1, "i", OUT))
    assert run.state is RunState.SUCCEEDED


def test_a_paused_map_issues_no_more_elements_and_goes_on_where_it_was() -> None:
    count = LEAST_WINDOW + 3
    run = begun(flow_of({"a": ()}, mapped={"a": list(range(count))}))
    pause(run)
    for item in range(LEAST_WINDOW):
        work(run, f"a.{item}")
    assert not run.steps
    assert run.state is RunState.PAUSED
    assert ready(resume(run)) == [f"a.{item}" for item in range(LEAST_WINDOW, count)]


def test_a_parked_step_loses_no_patience_while_its_run_is_paused() -> None:
    run = begun(PAIR)
    advance(run, NoModule(2.0, "a", "nobody", 100.0))
    pause(run)
    advance(run, TimeCame(100.0, "a"))
    assert run.steps["a"].state is StepState.PARKED
    assert resume(run).effects == (Wake("a", 100.0),)


@pytest.mark.parametrize("end", [CancelAsked(7.0, "ann", ""), RunTimedOut(7.0)])
def test_a_paused_run_can_be_cancelled_and_time_out(end: CancelAsked | RunTimedOut) -> None:
    run = begun(PAIR)
    pause(run)
    advance(run, end)
    assert run.ended


def test_a_run_that_is_cancelled_cannot_be_paused() -> None:
    run = begun(PAIR)
    advance(run, Assigned(2.0, "a", "i", "1.0.0"))
    advance(run, CancelAsked(3.0, "ann", ""))
    assert pause(run).changes == ()


def test_a_run_that_waits_for_its_turn_says_so_and_can_be_paused_meanwhile() -> None:
    run = Run("r", 0, compile_plan(PAIR), permit=Permit(name="nightly:eu", limit=2))
    assert advance(run, Queue(1.0, run.turn)).effects == (Queued(),)
    assert run.reason == "waits for its turn: at most 2 of nightly:eu at a time"
    pause(run)
    assert advance(run, Begin(5.5)).changes == ()
    assert resume(run).effects == (Queued(),)
    assert ready(advance(run, Begin(7.0))) == ["a"]


def test_the_time_of_a_run_counts_from_its_beginning_and_its_deadline_from_the_first() -> None:
    run = Run("r", 0, compile_plan(PAIR), timeout_s=10.0, deadline=30.0)
    advance(run, Queue(1.0, "waits"))
    assert run.deadline == 30.0
    advance(run, Begin(5.0))
    assert run.deadline == 15.0
    late = Run("r", 0, compile_plan(PAIR), timeout_s=10.0, deadline=30.0)
    advance(late, Begin(25.0))
    assert late.deadline == 30.0
    advance(late, RunTimedOut(30.0))
    assert late.reason == "its deadline is over"


@given(flows(), st.integers(0, 2**32))
def test_nothing_is_assigned_while_a_run_is_paused(flow: Flow, seed: int) -> None:
    driver = Driver(new_run(flow), seed)
    driver.finish()
    paused = False
    for change in driver.changes:
        if isinstance(change, StepChange):
            assert not (paused and change.state is StepState.ASSIGNED)
        elif isinstance(change, RunChange):
            paused = change.state is RunState.PAUSED


# -- reruns ------------------------------------------------------------------------------------------------------------


def recovered(flow: Flow, steps: tuple[str, ...], **fields: object) -> Run:
    rerun = Rerun.model_validate({"origin": "o", "root": "o", **fields})
    outputs = {"out": ValueRef(value=7)}
    rerun = rerun.model_copy(update={"recovered": tuple(Recovered(step=step, outputs=outputs) for step in steps)})
    run = Run("r", 0, compile_plan(flow), rerun=rerun)
    advance(run, Recover(1.0, rerun))
    return run


def test_a_recovered_step_is_not_executed_and_its_outputs_are_read() -> None:
    run = recovered(PAIR, ("a",))
    assert ready(advance(run, Begin(1.0))) == ["b"]
    assert run.results[0] == {"out": (ValueRef(value=7),)}


def test_a_run_of_which_everything_was_recovered_ends_at_once_with_the_outputs() -> None:
    run = recovered(PAIR, ("a", "b"))
    advance(run, Begin(1.0))
    assert run.state is RunState.SUCCEEDED
    assert run.outputs == {"result": (ValueRef(value=7),)}


def test_of_a_mapped_node_only_the_elements_run_again_that_were_not_recovered() -> None:
    flow = flow_of({"a": (), "b": ("a",)}, mapped={"a": list(range(5))})
    run = recovered(flow, ("a.0", "a.3"))
    assert ready(advance(run, Begin(1.0))) == ["a.1", "a.2", "a.4"]
    for item in (1, 2, 4):
        outcome = work(run, f"a.{item}")
    assert ready(outcome) == ["b"]
    assert len(run.results[0]["out"]) == 5


def test_a_rerun_of_one_element_has_no_other() -> None:
    flow = flow_of({"a": ()}, mapped={"a": list(range(5))})
    run = recovered(flow, (), elements={"a": (3,)})
    assert ready(advance(run, Begin(1.0))) == ["a.3"]
    work(run, "a.3")
    assert run.state is RunState.SUCCEEDED


def test_what_was_not_asked_for_is_skipped() -> None:
    run = recovered(PAIR, (), skipped=("b",))
    assert ready(advance(run, Begin(1.0))) == ["a"]
    work(run, "a")
    assert run.state is RunState.SUCCEEDED
    assert run.outputs == {"result": ()}


@given(flows(), st.integers(0, 2**32), st.data())
def test_a_rerun_executes_what_was_not_recovered_and_nothing_else(flow: Flow, seed: int, data: st.DataObject) -> None:
    plan = compile_plan(flow)
    mapped = {node.name for node in plan.nodes if node.mapped}
    kept: list[str] = []
    for node in plan.nodes:
        above = {plan.nodes[parent].name for parent in node.parents}
        if above <= set(kept) and data.draw(st.booleans()):
            items = len(node.node.map) if isinstance(node.node.map, list) else 0
            kept += [f"{node.name}.{item}" for item in range(items)] if node.name in mapped else []
            kept.append(node.name)
    run = recovered(flow, tuple(kept))
    driver = Driver(run, seed, hostile=False)
    driver.finish()
    assert run.state is RunState.SUCCEEDED
    executed = {c.step for c in driver.changes if isinstance(c, StepChange) and c.state is StepState.ASSIGNED}
    assert executed.isdisjoint(kept)
    assert {step.partition(".")[0] for step in executed} | mapped | set(kept) >= set(flow.nodes)


@given(flows(), st.integers(0, 2**32))
def test_recovering_replays_from_its_events(flow: Flow, seed: int) -> None:
    roots = tuple(name for name, node in flow.nodes.items() if not node.inputs and node.map is None)
    assume(roots)
    run = recovered(flow, roots)
    before = list(run.changes)
    driver = Driver(run, seed)
    driver.finish()
    again = Run("r", 0, compile_plan(flow), rerun=run.rerun)
    for change in read_changes(json.loads(changes_json(before + driver.changes))):
        again.apply(change)
    assert (again.state, again.outputs) == (run.state, run.outputs)
    assert all(again.touched[step].state in STEP_GOOD for step in roots)


# -- tries -------------------------------------------------------------------------------------------------------------


def failed(run: Run, error: StepError, at: float = 3.0, *, convicting: bool = False) -> Outcome:
    return advance(run, AttemptFailed(at, "a", run.steps["a"].epoch, "i", error, 0.5, convicting=convicting))


def trying(policy: RetryPolicy) -> Run:
    flow = PAIR.model_copy(update={"nodes": {"a": PAIR.nodes["a"].model_copy(update={"retry": policy})}, "outputs": {}})
    run = begun(flow)
    advance(run, Assigned(2.0, "a", "i", "1.0.0"))
    return run


def test_a_fixed_delay_does_not_grow_and_without_jitter_it_is_whole() -> None:
    policy = RetryPolicy(attempts=9, backoff="fixed", delay_s=4.0, jitter=False)
    assert [retry.delay_s(policy, failures, TRANSIENT, 0.1) for failures in (1, 5, 8, 9)] == [4.0, 4.0, 4.0, None]


@given(
    st.integers(1, 100), st.floats(0, 3600), st.floats(0, 86400), st.integers(1, 99), st.floats(0, 1, exclude_max=True)
)
def test_a_delay_is_never_longer_than_its_cap(
    attempts: int, delay: float, cap: float, failures: int, jitter: float
) -> None:
    policy = RetryPolicy(attempts=attempts, delay_s=delay, max_delay_s=cap)
    found = retry.delay_s(policy, failures, TRANSIENT, jitter)
    assert (found is None) == (failures >= attempts)
    assert found is None or 0 <= found <= cap


def test_only_errors_of_the_named_classes_are_tried_again() -> None:
    data = StepError(error_class=ErrorClass.DATA, type="Bad", message="rows")
    policy = RetryPolicy(on=(ErrorClass.DATA,))
    assert retry.delay_s(policy, 1, data, 0.5) is not None
    assert retry.delay_s(policy, 1, TRANSIENT, 0.5) is None
    assert retry.delay_s(retry.DEFAULT, 1, FATAL, 0.5) is None


def test_no_try_begins_after_the_time_of_all_of_them() -> None:
    run = trying(RetryPolicy(attempts=9, delay_s=10.0, max_delay_s=10.0, total_s=6.0))
    failed(run, TRANSIENT, at=2.5)  # ready since 1; the next one at 7.5
    assert run.state is RunState.FAILED
    assert str(run.reason).endswith("try again (no time for another try: retry.total of 6 s is over)")
    enough = trying(RetryPolicy(attempts=9, delay_s=10.0, max_delay_s=10.0, total_s=7.0))
    failed(enough, TRANSIENT, at=2.5)
    assert enough.steps["a"].state is StepState.WAITING


def test_a_death_that_a_supervisor_saw_convicts_the_version() -> None:
    run = trying(RetryPolicy())
    outcome = failed(run, TRANSIENT, convicting=True)
    assert Convict("a", 1, "test.step", "1.0.0", "try again") in outcome.effects

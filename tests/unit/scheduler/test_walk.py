"""The walk, by example and by property: random graphs, random events, duplicates and late messages."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.messages import AttemptStats, LogRef
from plugmesh.contracts.run import RUN_TERMINAL, STEP_GOOD, STEP_TERMINAL, AttemptState, RunState, StepState
from plugmesh.state.records import StepRow, StoredRun
from scheduler.changes import AttemptChange, RunChange, StepChange, changes_json, read_changes
from scheduler.effects import Discard, Ended, Outcome, Ready, Stop, Supersede, Wake
from scheduler.events import (
    Assigned,
    AttemptDone,
    AttemptFailed,
    AttemptLost,
    AttemptReturned,
    AttemptStarted,
    Begin,
    CancelAsked,
    NoModule,
    RunTimedOut,
    TimeCame,
)
from scheduler.plan import compile_plan
from scheduler.restore import restore_run
from scheduler.runstate import LEAST_WINDOW, InvalidTransition
from scheduler.runstate import RunState as Run
from scheduler.walk import MOST_LOSSES, advance
from scheduler.work import step_row
from tests.unit.scheduler.walking import FATAL, OUT, TRANSIENT, Driver, flow_of, flows, new_run

CHAIN = flow_of({"a": (), "b": ("a",)}, shown="b")
DIAMOND = flow_of({"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}, shown="d")


def begun(flow: Flow) -> Run:
    run = new_run(flow)
    advance(run, Begin(1.0))
    return run


def assign(run: Run, step: str, instance: str = "i") -> None:
    advance(run, Assigned(2.0, step, instance, "1.0.0"))


def done(run: Run, step: str, epoch: int = 1, instance: str = "i") -> Outcome:
    return advance(run, AttemptDone(3.0, step, epoch, instance, OUT))


def error_codes(outcome: Outcome) -> list[str]:
    changes = (change for change in outcome.changes if isinstance(change, StepChange))
    return [change.error.code for change in changes if change.error is not None]


def test_roots_become_ready_when_the_run_begins() -> None:
    run = new_run(DIAMOND)
    outcome = advance(run, Begin(1.0))
    assert [effect.step.id for effect in outcome.effects if isinstance(effect, Ready)] == ["a"]
    assert run.state.value == "running"


def test_a_child_is_ready_only_when_all_parents_succeeded() -> None:
    run = begun(DIAMOND)
    assign(run, "a")
    done(run, "a")
    assign(run, "b")
    done(run, "b")
    assert "d" not in run.steps
    assign(run, "c")
    done(run, "c")
    assert run.steps["d"].state is StepState.READY


def test_the_run_succeeds_with_its_outputs() -> None:
    run = begun(CHAIN)
    for step in "ab":
        assign(run, step)
        outcome = done(run, step)
    assert run.state.value == "succeeded"
    assert run.outputs == {"result": (ValueRef(value=1),)}
    assert isinstance(outcome.effects[-1], Ended)


def test_an_output_that_the_module_did_not_give_fails_the_run_and_says_so() -> None:
    run = begun(CHAIN)
    assign(run, "a")
    done(run, "a")
    assign(run, "b")
    advance(run, AttemptDone(3.0, "b", 1, "i", {"x": OUT["out"], "y": OUT["out"]}))
    assert run.state.value == "failed"
    assert "x, y" in str(run.reason)


def test_a_result_of_an_older_epoch_is_stale_and_its_outputs_are_discarded() -> None:
    run = begun(CHAIN)
    assign(run, "a")
    advance(run, AttemptLost(3.0, "a", 1, "gone"))
    assign(run, "a", "j")
    outcome = done(run, "a", epoch=1)
    assert run.steps["a"].state is StepState.ASSIGNED
    assert [type(effect) for effect in outcome.effects] == [Discard]


def test_a_result_from_another_instance_than_the_assigned_one_is_stale() -> None:
    run = begun(CHAIN)
    assign(run, "a", "i")
    done(run, "a", instance="j")
    assert run.steps["a"].state is StepState.ASSIGNED


def test_the_accepted_result_repeated_changes_nothing() -> None:
    run = begun(CHAIN)
    assign(run, "a")
    done(run, "a")
    assert done(run, "a").changes == ()


def test_a_lost_attempt_costs_no_retry_and_is_superseded() -> None:
    run = begun(CHAIN)
    assign(run, "a")
    outcome = advance(run, AttemptLost(3.0, "a", 1, "gone"))
    assert run.steps["a"].failures == 0
    assert run.steps["a"].losses == 1
    assert Supersede("a", 1, "i") in outcome.effects


def test_a_step_that_loses_its_instance_again_and_again_fails() -> None:
    run = begun(CHAIN)
    for epoch in range(1, MOST_LOSSES + 1):
        assign(run, "a", f"i-{epoch}")
        outcome = advance(run, AttemptLost(3.0, "a", epoch, "gone"))
    assert error_codes(outcome) == ["attempts-lost"]
    assert run.state.value == "failed"


def test_a_returned_attempt_costs_nothing() -> None:
    run = begun(CHAIN)
    assign(run, "a")
    advance(run, AttemptReturned(3.0, "a", 1, "i", "busy"))
    step = run.steps["a"]
    assert (step.state, step.failures, step.losses) == (StepState.READY, 0, 0)


def test_a_transient_failure_waits_for_a_drawn_delay_then_is_ready_again() -> None:
    run = begun(CHAIN)
    assign(run, "a")
    outcome = advance(run, AttemptFailed(10.0, "a", 1, "i", TRANSIENT, jitter=0.5))
    assert outcome.effects == (Wake("a", 10.5),)
    assert advance(run, TimeCame(10.4, "a")).changes == ()
    advance(run, TimeCame(10.5, "a"))
    assert run.steps["a"].state is StepState.READY


def test_the_retry_budget_ends_in_failure() -> None:
    run = begun(CHAIN)
    for epoch in (1, 2):
        assign(run, "a")
        advance(run, AttemptFailed(10.0, "a", epoch, "i", TRANSIENT, jitter=0.0))
        advance(run, TimeCame(10.0, "a"))
    assert run.state.value == "failed"


def test_a_fatal_failure_skips_what_is_below_and_leaves_the_rest() -> None:
    run = begun(flow_of({"a": (), "b": ("a",), "c": ("b",), "other": ()}))
    assign(run, "a")
    advance(run, AttemptFailed(3.0, "a", 1, "i", FATAL, jitter=0.0))
    assert run.status(1) is StepState.SKIPPED
    assert run.status(2) is StepState.SKIPPED
    assert run.steps["other"].state is StepState.READY
    assign(run, "other")
    done(run, "other")
    assert run.state.value == "failed"
    assert "'a'" in str(run.reason)
    assert "no use" in str(run.reason)


def test_after_a_cancel_nothing_is_accepted() -> None:
    run = begun(CHAIN)
    assign(run, "a")
    outcome = advance(run, CancelAsked(3.0, "me", "enough"))
    assert run.state.value == "cancelling"
    assert Stop("a", 1, "i", "cancelled") in outcome.effects
    done(run, "a")
    assert run.state.value == "cancelled"
    assert run.results == {}


def test_an_attempt_that_a_cancel_ended_leaves_its_log_and_what_it_used() -> None:
    run = begun(CHAIN)
    assign(run, "a")
    advance(run, CancelAsked(3.0, "me", "enough"))
    log, stats = LogRef(key="logs/1", bytes=5, lines=1), AttemptStats(wall_s=2.0)
    outcome = advance(run, AttemptFailed(4.0, "a", 1, "i", FATAL, 0.0, stats, log))
    (attempt,) = [change for change in outcome.changes if isinstance(change, AttemptChange)]
    assert (attempt.state, attempt.instance, attempt.log) == (AttemptState.FAILED, "i", log)
    assert [(one.state, one.stats) for one in outcome.changes if isinstance(one, StepChange) and one.step == "a"] == [
        (StepState.CANCELLED, stats)
    ]


@pytest.mark.parametrize(("told_at", "began"), [(None, 2.5), (3.0, 2.5), (2.25, 2.25)])
def test_a_step_began_no_later_than_what_it_used_says(told_at: float | None, began: float) -> None:
    run = begun(CHAIN)
    assign(run, "a")
    if told_at is not None:
        advance(run, AttemptStarted(told_at, "a", 1, "i"))
    step = run.steps["a"]
    advance(run, AttemptDone(3.0, "a", 1, "i", OUT, AttemptStats(wall_s=0.5)))
    assert (step.started_at, step.ended_at) == (began, 3.0)


def test_a_cancel_with_nothing_running_ends_at_once() -> None:
    run = begun(CHAIN)
    advance(run, CancelAsked(3.0, "me", ""))
    assert run.state.value == "cancelled"


def test_a_run_out_of_time_ends_at_once_and_stops_its_attempts() -> None:
    run = new_run(CHAIN)
    run.timeout_s = 1.5
    advance(run, Begin(1.0))
    assign(run, "a")
    outcome = advance(run, RunTimedOut(3.0))
    assert run.state.value == "timed_out"
    assert any(isinstance(effect, Stop) for effect in outcome.effects)
    (attempt,) = [change for change in outcome.changes if isinstance(change, AttemptChange)]
    assert (attempt.epoch, attempt.instance, attempt.reason) == (
        1,
        "i",
        "it took longer than its timeout of 1.5 s",
    )
    assert not run.steps


def test_a_parked_step_fails_when_its_patience_ends() -> None:
    run = begun(CHAIN)
    advance(run, NoModule(2.0, "a", "no live instance serves test.step", until=9.0))
    advance(run, TimeCame(8.9, "a"))
    assert run.steps["a"].state is StepState.PARKED
    outcome = advance(run, TimeCame(9.0, "a"))
    assert error_codes(outcome) == ["parked-too-long"]
    assert run.state.value == "failed"
    assert "no live instance" in str(run.reason)


def test_a_map_over_nothing_succeeds_at_once() -> None:
    run = begun(flow_of({"a": (), "b": ("a",)}, mapped={"a": []}))
    assert run.steps["b"].state is StepState.READY


def test_a_map_issues_a_window_and_goes_on_as_elements_end() -> None:
    run = begun(flow_of({"a": ()}, mapped={"a": list(range(LEAST_WINDOW + 10))}))
    assert len(run.steps) == LEAST_WINDOW
    assign(run, "a.0")
    done(run, "a.0")
    assert f"a.{LEAST_WINDOW}" in run.steps


def test_a_failed_element_fails_the_node_once_the_others_have_ended() -> None:
    run = begun(flow_of({"a": (), "b": ("a",)}, mapped={"a": [1, 2]}))
    assign(run, "a.0")
    assign(run, "a.1")
    advance(run, AttemptFailed(3.0, "a.0", 1, "i", FATAL, jitter=0.0))
    assert run.state.value == "running"
    outcome = done(run, "a.1")
    assert error_codes(outcome) == ["map-failed"]
    assert run.state.value == "failed"
    assert run.status(1) is StepState.SKIPPED


def test_a_map_over_no_list_fails_its_node() -> None:
    node = Node(module="test.step", map="${params.of}")
    run = Run(
        "r-1",
        0,
        compile_plan(Flow(name="test", nodes={"a": node}, params={"of": {"default": "x"}})),
        params={"of": "x"},
    )
    assert error_codes(advance(run, Begin(1.0))) == ["map-invalid"]
    assert run.state.value == "failed"


def test_results_are_freed_when_every_reader_has_ended() -> None:
    run = begun(CHAIN)
    assign(run, "a")
    done(run, "a")
    assert 0 in run.results
    assign(run, "b")
    done(run, "b")
    assert 0 not in run.results


def test_a_forbidden_transition_is_refused_in_one_place() -> None:
    run = new_run(CHAIN)
    with pytest.raises(InvalidTransition):
        run.apply(StepChange("a", StepState.RUNNING, 1.0))
    with pytest.raises(InvalidTransition):
        run.apply(RunChange(RunState.SUCCEEDED, 1.0))


@given(flows(), st.integers(0, 2**32))
def test_every_run_ends_whatever_happens(flow: Flow, seed: int) -> None:
    driver = Driver(new_run(flow), seed)
    driver.finish()
    assert driver.run.state in RUN_TERMINAL
    assert not driver.run.steps
    assert not driver.run.maps


@given(flows(), st.integers(0, 2**32))
def test_without_faults_every_run_succeeds(flow: Flow, seed: int) -> None:
    driver = Driver(new_run(flow), seed, hostile=False)
    driver.finish()
    assert driver.run.state is RunState.SUCCEEDED


@given(flows(), st.integers(0, 2**32))
def test_a_child_runs_only_on_accepted_parents(flow: Flow, seed: int) -> None:
    driver = Driver(new_run(flow), seed)
    driver.finish()
    good: set[str] = set()
    plan = driver.run.plan
    for change in driver.changes:
        if isinstance(change, StepChange):
            node = plan.nodes[plan.by_name[change.step.partition(".")[0]]]
            if change.state is StepState.ASSIGNED:
                assert {plan.nodes[parent].name for parent in node.parents} <= good
            if change.state in STEP_GOOD:
                good.add(change.step)


@given(flows(), st.integers(0, 2**32))
def test_a_step_reaches_a_terminal_state_exactly_once(flow: Flow, seed: int) -> None:
    driver = Driver(new_run(flow), seed)
    driver.finish()
    ends = [c.step for c in driver.changes if isinstance(c, StepChange) and c.state in STEP_TERMINAL]
    assert len(ends) == len(set(ends))


@given(flows(), st.integers(0, 2**32))
def test_nothing_is_assigned_after_a_cancel(flow: Flow, seed: int) -> None:
    driver = Driver(new_run(flow), seed)
    driver.finish()
    cancelled = False
    for change in driver.changes:
        cancelled = cancelled or (isinstance(change, RunChange) and change.state is RunState.CANCELLING)
        if cancelled and isinstance(change, StepChange):
            assert change.state not in {StepState.ASSIGNED, StepState.SUCCEEDED}


@given(flows(), st.integers(0, 2**32))
def test_replaying_the_events_as_json_gives_the_same_rows(flow: Flow, seed: int) -> None:
    driver = Driver(new_run(flow), seed)
    driver.finish()
    again = new_run(flow)
    for change in read_changes(json.loads(changes_json(driver.changes))):
        again.apply(change)
    assert (again.state, again.reason, again.outputs) == (driver.run.state, driver.run.reason, driver.run.outputs)
    assert rows(again) == rows(driver.run)


@given(flows(), st.integers(0, 2**32), st.integers(1, 60))
def test_a_run_restored_from_its_rows_goes_on_like_the_one_in_memory(flow: Flow, seed: int, after: int) -> None:
    driver = Driver(new_run(flow), seed)
    driver.happen(Begin(driver.at))
    for _ in range(after):
        driver.step()
    if driver.run.ended:
        return
    back = restored(driver.run)
    assert back.steps.keys() == driver.run.steps.keys()
    assert (back.unfinished, back.open, back.pins, back.results) == (
        driver.run.unfinished,
        driver.run.open,
        driver.run.pins,
        driver.run.results,
    )
    assert {n: (m.cursor, m.open, m.failed) for n, m in back.maps.items()} == {
        n: (m.cursor, m.open, m.failed) for n, m in driver.run.maps.items()
    }
    other = Driver(back, seed)
    other.at = driver.at
    other.go_on()
    assert back.state in RUN_TERMINAL


def test_of_a_wide_run_only_so_many_steps_are_issued_at_a_time_and_the_deepest_of_the_others_come_first() -> None:
    width = LEAST_WINDOW + 2
    wide = {f"w{number}": () for number in range(width)}
    run = begun(flow_of({**wide, "deep": ("w0",)}))
    assert len(run.steps) == LEAST_WINDOW
    for step in ("w1", "w0"):
        assign(run, step)
        done(run, step)
    assert f"w{LEAST_WINDOW}" in run.steps
    assert ("deep" in run.steps, f"w{LEAST_WINDOW + 1}" in run.steps) == (True, False)


def rows(run: Run) -> list[StepRow]:
    return sorted(step_row(run, step) for step in run.touched.values())


def restored(run: Run) -> Run:
    stored = StoredRun(
        key=1, id=run.id, shard=0, namespace="default", flow="test", revision=1, state=run.state.value,
        reason=run.reason, inputs="{}", params="{}", labels="{}", outputs=None, idempotency_key=None, actor="me",
        origin=None, timeout_s=None, submitted_at=0.0, started_at=1.0, ended_at=None, seq=3,
    )  # fmt: skip
    return restore_run(stored, run.plan, [step_row(run, step) for step in run.touched.values()])


def test_who_made_the_inputs_of_a_step_is_known_until_all_have_read_them() -> None:
    run = begun(DIAMOND)
    assign(run, "a", "i-1")
    done(run, "a", instance="i-1")
    nodes = run.plan.nodes
    assert [run.maker_of_inputs(node) for node in nodes] == [None, "i-1", "i-1", None]
    assert restored(run).makers == run.makers
    for step, instance in (("b", "i-2"), ("c", "i-3")):
        assign(run, step, instance)
        done(run, step, instance=instance)
    assert run.maker_of_inputs(nodes[3]) in {"i-2", "i-3"}
    assert 0 not in run.makers

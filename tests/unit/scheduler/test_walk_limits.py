"""The walk where the clock, the wire or the code itself is wrong."""

import pytest

from plugmesh.contracts.run import RunState, StepState
from plugmesh.runtime import SystemRuntime
from scheduler.board import Board
from scheduler.events import Assigned, AttemptDone, AttemptFailed, Begin, CancelAsked, RunTimedOut
from scheduler.walk import advance
from tests.unit.scheduler.walking import OUT, TRANSIENT, flow_of, new_run


def assigned(step="a", epoch=1):
    run = new_run(flow_of({"a": (), "b": ("a",)}))
    advance(run, Begin(1.0))
    for _ in range(epoch):
        advance(run, Assigned(2.0, step, "i", "1.0.0"))
    return run


def test_a_run_that_is_being_cancelled_is_not_timed_out_as_well():
    run = assigned()
    advance(run, CancelAsked(3.0, "me", ""))
    assert advance(run, RunTimedOut(4.0)).changes == ()
    advance(run, AttemptDone(5.0, "a", 1, "i", OUT))
    assert run.state is RunState.CANCELLED


@pytest.mark.parametrize("step", ["a", "b", "a.7"])
def test_a_result_of_an_attempt_that_never_was_changes_nothing(step):
    run = assigned()
    outcome = advance(run, AttemptDone(3.0, step, 10**30, "i", OUT))
    assert (outcome.changes, outcome.effects) == ((), ())
    assert run.steps["a"].state is StepState.ASSIGNED


def test_a_retry_comes_although_the_clock_was_set_back():
    board = Board(SystemRuntime(seed=1))
    board.terms[0] = 1
    run = assigned()
    board.runs[run.id] = run
    at = SystemRuntime(seed=1).wall()
    board.happen(run, AttemptFailed(at, "a", 1, "i", TRANSIENT, jitter=0.5))
    [timer] = board.timers.due(board._runtime.now() + 1.0)
    assert timer.due == run.steps["a"].wake_at


def test_a_run_with_which_the_walk_fails_ends_and_says_why(monkeypatch):
    board = Board(SystemRuntime(seed=1))
    board.terms[0] = 1
    run = assigned()
    board.runs[run.id] = run
    monkeypatch.setattr("scheduler.board.advance", lambda run, event: 1 / 0)
    board.happen(run, AttemptDone(3.0, "a", 1, "i", OUT))
    assert run.state is RunState.FAILED
    assert "ZeroDivisionError" in str(run.reason)
    assert board.runs == {}
    assert list(board.dirty) == [run.id]


def test_a_dropped_shard_takes_along_runs_that_have_just_ended():
    board = Board(SystemRuntime(seed=1))
    board.terms[0] = 1
    run = new_run(flow_of({"a": ()}))
    board.admit(run)
    board.begin(run)
    board.happen(run, CancelAsked(2.0, "me", ""))
    assert run.ended
    board.drop_shard(0)
    assert board.dirty == {}

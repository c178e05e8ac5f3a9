"""The promise: every accepted run reaches an end, or shows what it waits for and until when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.waits import ends_at, waits_for
from plugmesh.contracts.run import RUN_TERMINAL, RunState
from plugmesh.state.records import StoredRun
from plugmesh.state.waits import Waiting

OPEN = sorted(set(RunState) - RUN_TERMINAL)


def run(state: str, **fields: Any) -> StoredRun:
    """A run's row."""
    values: dict[str, Any] = dict.fromkeys(StoredRun.__slots__)
    values |= {"id": "run-1", "state": state, "started_at": 100.0 if state != "queued" else None, "priority": 0}
    return StoredRun(**{**values, **fields})


def what(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """States, steps and ends."""
    return [(one["state"], one["step"], one["steps"], one["until"]) for one in found]


groups = st.builds(
    Waiting,
    state=st.sampled_from(["ready", "parked", "waiting", "assigned", "running"]),
    reason=st.none() | st.text(min_size=1),
    steps=st.integers(1, 9),
    step=st.just("a"),
    until=st.none() | st.floats(0, 1000),
)


@given(st.sampled_from(OPEN), st.none() | st.text(), st.lists(groups, max_size=5), st.none() | st.floats(1, 1000))
def test_an_open_run_always_waits_for_something_and_says_it_in_words(
    state: str, reason: str | None, steps: list[Waiting], deadline: float | None
) -> None:
    found = waits_for(run(state, reason=reason, deadline=deadline), steps)
    assert found
    assert all(one["reason"] for one in found)
    if deadline is not None and state != RunState.CANCELLING:
        assert all(one["until"] is not None and one["until"] <= deadline for one in found)


@pytest.mark.parametrize("state", sorted(RUN_TERMINAL))
def test_a_run_that_has_ended_waits_for_nothing(state: str) -> None:
    assert waits_for(run(state, ended_at=200.0), [Waiting("parked", None, 1, "a", None)]) == []


def test_a_queued_run_says_whose_turn_it_is_and_until_when_it_stays() -> None:
    (one,) = waits_for(run("queued", reason="waits for its turn", deadline=500.0), [])
    assert one == {"state": "queued", "reason": "waits for its turn", "step": None, "steps": 0, "until": 500.0}


def test_a_paused_run_waits_for_a_person_and_its_steps_go_on_ending() -> None:
    steps = [Waiting("running", None, 2, "b", None), Waiting("ready", None, 5, "c", None)]
    found = waits_for(run("paused", reason="paused by local", timeout_s=60.0), steps)
    assert what(found) == [("paused", None, 0, 160.0), ("running", "b", 2, 160.0)]
    assert found[0]["reason"] == "paused by local"


def test_steps_that_wait_are_told_of_beside_those_at_work() -> None:
    steps = [Waiting("parked", "nobody serves x", 3, "a", 700.0), Waiting("running", "lost", 1, "b", None)]
    found = waits_for(run("running"), steps)
    assert what(found) == [("parked", "a", 3, 700.0), ("running", "b", 1, None)]
    assert [one["reason"] for one in found] == ["nobody serves x", "at work"]


def test_ready_steps_are_waited_for_when_nothing_is_at_work() -> None:
    assert what(waits_for(run("running"), [Waiting("ready", "busy", 7, "a", None)])) == [("ready", "a", 7, None)]


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({}, None),
        ({"deadline": 500.0}, 500.0),
        ({"timeout_s": 60.0}, 160.0),
        ({"timeout_s": 60.0, "deadline": 120.0}, 120.0),
        ({"timeout_s": 60.0, "started_at": None}, None),
    ],
)
def test_a_runs_time_is_over_at_its_deadline_or_so_long_after_its_beginning(
    fields: dict[str, Any], end: float | None
) -> None:
    assert ends_at(run("running", **fields)) == end

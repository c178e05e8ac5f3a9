"""Faults one by one, at the moment when they hurt: what the seeds meet by chance, as a story each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.sim.chaos import BUSIEST, Fault, Plan, Trap
from tests.sim.workload import CANCELLED, SUCCEEDED, Job, chain, fan_out, mapped, single
from tests.sim.world import LATE_AT, World

GOOD = frozenset({SUCCEEDED})
SUBMIT_AT = 2.0

pytestmark = pytest.mark.parametrize("with_hub", [False, True], ids=["log", "hub"])


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def _run(with_hub: bool, jobs: Sequence[Job], *faults: Fault, **plan: Any) -> World:
    world = World(3, jobs, Plan(faults=list(faults), until=30.0, **plan), with_hub=with_hub)
    assert world.run() == [], world.report()
    assert world.faults > 0
    return world


def _fan_out(s: float, width: int = 4) -> list[Job]:
    return [Job("fan-out", fan_out(width, s), GOOD, SUBMIT_AT)]


def _attempts(world: World, state: str) -> int:
    return sum(attempt == state for attempt in world.attempts)


def test_steps_of_a_vanished_instance_are_tried_elsewhere_when_their_leases_end(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(8.0), Fault(5.0, "instance-vanish", BUSIEST, 0.0))
    assert _attempts(world, "lost") >= 1


def test_a_result_that_comes_after_its_lease_is_not_accepted(with_hub: bool) -> None:
    """Silent for longer than a lease: the step was given to the other one, and then both answer."""
    world = _run(with_hub, _fan_out(10.0), Fault(4.0, "link-freeze", BUSIEST, 19.0))
    assert _attempts(world, "lost") >= 1
    assert _attempts(world, "stale") >= 1


def test_a_result_of_an_earlier_attempt_on_the_same_instance_is_not_accepted(with_hub: bool) -> None:
    """Only its results are late: it is given the step again, and then the first result comes."""
    jobs = [Job("late", single("sim.late", "late", 1.0), GOOD, LATE_AT + 2.0)]
    world = _run(with_hub, jobs, Fault(LATE_AT + 1.9, "results-late", 2, 6.0))
    assert with_hub or _attempts(world, "stale") == 1  # the hub's links carry everything in one stream


def test_an_instance_that_is_stopped_for_long_loses_its_attempts_and_works_again(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(4.0, 12), Fault(4.0, "instance-stall", BUSIEST, 20.0))
    assert _attempts(world, "lost") >= 1


def test_modules_work_on_while_the_server_is_gone_and_their_results_count(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(3.0), Fault(4.0, "server-crash", 0, 0.0), Fault(7.0, "server-crash", 0, 0.0))
    assert world.beyond.executions == 5
    assert world.attempts == []


def test_a_server_that_was_stopped_for_longer_than_a_lease_convicts_nobody(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(8.0), Fault(4.0, "server-stall", 0, 25.0))
    assert world.attempts == []
    assert world.beyond.executions == 5


def test_a_commit_that_has_to_wait_for_long_costs_no_attempt(with_hub: bool) -> None:
    """Nothing that it assigns has left before: the instance has not had the time to accept it."""
    world = _run(with_hub, _fan_out(0.5), Fault(2.0, "sql-locked", 2, 8.0))
    assert world.attempts == []
    assert world.beyond.executions == 5


def test_a_short_break_of_the_connection_costs_nothing(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(3.0), Fault(3.0, "link-cut", BUSIEST, 0.2))
    assert world.attempts == []
    assert world.beyond.executions == 5


def test_steps_of_a_killed_instance_are_tried_again_without_waiting_for_a_lease(with_hub: bool) -> None:
    world = _run(with_hub, [Job("only", single("sim.work", "only", 4.0), GOOD, SUBMIT_AT)],
                 Fault(4.0, "instance-crash", BUSIEST, 0.0))  # fmt: skip
    assert _attempts(world, "lost") == 1
    assert world.ended_at("only") < 4.0 + 4.0 + 6.0


def test_a_drained_instance_finishes_what_it_runs(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(3.0), Fault(3.0, "instance-drain", BUSIEST, 0.0))
    assert _attempts(world, "lost") == 0
    assert world.beyond.executions == 5


def test_a_cancel_reaches_an_attempt_over_a_restarted_server(with_hub: bool) -> None:
    jobs = [Job("c", chain(3, 30.0), frozenset({CANCELLED}), SUBMIT_AT, cancel_after=3.0)]
    world = _run(with_hub, jobs, Fault(4.9, "server-crash", 0, 0.0))
    assert world.ended_at("c") < 20.0


def test_a_result_that_was_under_way_when_the_run_was_cancelled_is_not_accepted(with_hub: bool) -> None:
    flow = single("sim.work", "only", 1.0)
    jobs = [Job("c", flow, frozenset({CANCELLED}), SUBMIT_AT, cancel_after=1.0)]
    world = _run(with_hub, jobs, Fault(SUBMIT_AT + 0.2, "link-freeze", BUSIEST, 2.5))
    assert _attempts(world, "stale") == 1


def test_a_map_goes_on_where_it_was_after_a_crash_of_the_server(with_hub: bool) -> None:
    world = _run(with_hub, [Job("map", mapped(12, 0.5), GOOD, SUBMIT_AT)], Fault(4.0, "server-crash", 0, 0.0))
    assert world.beyond.executions == 14


def test_a_submit_whose_answer_was_lost_is_not_run_twice(with_hub: bool) -> None:
    trap = Trap("server", "state.commit.after_commit", 1)
    world = _run(with_hub, _fan_out(0.1), traps=[trap], armed_at=SUBMIT_AT - 0.1)
    assert world.runs == 1


def test_one_late_module_wakes_its_step_although_a_commit_failed_just_then(with_hub: bool) -> None:
    trap = Trap("server", "state.commit.before_commit", 1, fails=True)
    jobs = [Job("late", single("sim.late", "late"), GOOD, SUBMIT_AT)]
    _run(with_hub, jobs, traps=[trap], armed_at=LATE_AT - 0.1)

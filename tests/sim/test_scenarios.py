"""Faults one by one, at the moment when they hurt: what the seeds meet by chance, as a story each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.sim.chaos import BUSIEST, Fault, Plan, Trap
from tests.sim.executors import UPSERT_ROWS
from tests.sim.workload import CANCELLED, FAILED, SUCCEEDED, Job, chain, fan_out, large, limited, mapped, single
from tests.sim.world import LATE_AT, World

GOOD = frozenset({SUCCEEDED})
SUBMIT_AT = 2.0

on_both_wires = pytest.mark.parametrize(
    "with_hub", [pytest.param(False, id="log", marks=pytest.mark.full), pytest.param(True, id="hub")]
)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def _run(
    with_hub: bool, jobs: Sequence[Job], *faults: Fault, servers: int = 1, executions: int | None = None, **plan: Any
) -> World:
    """A world in which nothing was violated. `executions`: so often steps may be executed at most."""
    whole = Plan(faults=list(faults), until=30.0, **plan)
    world = World(3, jobs, whole, with_hub=with_hub, servers=servers, executions=executions)
    assert world.run() == [], world.report()
    assert world.faults > 0
    return world


def _fan_out(s: float, width: int = 4) -> list[Job]:
    return [Job("fan-out", fan_out(width, s), GOOD, SUBMIT_AT)]


def _attempts(world: World, state: str) -> int:
    return sum(attempt == state for attempt in world.attempts)


@on_both_wires
def test_steps_of_a_vanished_instance_are_tried_elsewhere_when_their_leases_end(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(8.0), Fault(5.0, "instance-vanish", BUSIEST, 0.0))
    assert _attempts(world, "lost") >= 1


@on_both_wires
def test_a_result_that_comes_after_its_lease_is_not_accepted(with_hub: bool) -> None:
    """Silent for longer than a lease: the step was given to the other one, and then both answer."""
    world = _run(with_hub, _fan_out(10.0), Fault(4.0, "link-freeze", BUSIEST, 19.0))
    assert _attempts(world, "lost") >= 1
    assert _attempts(world, "stale") >= 1


@on_both_wires
def test_a_result_of_an_earlier_attempt_on_the_same_instance_is_not_accepted(with_hub: bool) -> None:
    """Only its results are late: it is given the step again, and then the first result comes."""
    jobs = [Job("late", single("sim.late", "late", 1.0), GOOD, LATE_AT + 2.0)]
    world = _run(with_hub, jobs, Fault(LATE_AT + 1.9, "results-late", 2, 6.0))
    assert with_hub or _attempts(world, "stale") == 1  # the hub's links carry everything in one stream


@on_both_wires
def test_an_instance_that_is_stopped_for_long_loses_its_attempts_and_works_again(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(4.0, 12), Fault(4.0, "instance-stall", BUSIEST, 20.0))
    assert _attempts(world, "lost") >= 1


@on_both_wires
def test_modules_work_on_while_the_server_is_gone_and_their_results_count(with_hub: bool) -> None:
    faults = Fault(4.0, "server-crash", 0, 0.0), Fault(7.0, "server-crash", 0, 0.0)
    world = _run(with_hub, _fan_out(3.0), *faults, executions=5)
    assert world.attempts == []


@on_both_wires
def test_a_server_that_was_stopped_for_longer_than_a_lease_convicts_nobody(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(8.0), Fault(4.0, "server-stall", 0, 25.0))
    assert world.attempts == []
    assert world.beyond.executions == 5


@on_both_wires
def test_a_commit_that_has_to_wait_for_long_costs_no_attempt(with_hub: bool) -> None:
    """Nothing that it assigns has left before: the instance has not had the time to accept it."""
    world = _run(with_hub, _fan_out(0.5), Fault(2.0, "sql-locked", 2, 8.0))
    assert world.attempts == []
    assert world.beyond.executions == 5


@on_both_wires
def test_a_short_break_of_the_connection_costs_nothing(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(3.0), Fault(3.0, "link-cut", BUSIEST, 0.2))
    assert world.attempts == []
    assert world.beyond.executions == 5


@on_both_wires
def test_steps_of_a_killed_instance_are_tried_again_without_waiting_for_a_lease(with_hub: bool) -> None:
    world = _run(with_hub, [Job("only", single("sim.work", "only", 4.0), GOOD, SUBMIT_AT)],
                 Fault(4.0, "instance-crash", BUSIEST, 0.0))  # fmt: skip
    assert _attempts(world, "lost") == 1
    assert world.ended_at("only") < 4.0 + 4.0 + 6.0


@on_both_wires
def test_a_drained_instance_finishes_what_it_runs(with_hub: bool) -> None:
    world = _run(with_hub, _fan_out(3.0), Fault(3.0, "instance-drain", BUSIEST, 0.0))
    assert _attempts(world, "lost") == 0
    assert world.beyond.executions == 5


@on_both_wires
def test_a_cancel_reaches_an_attempt_over_a_restarted_server(with_hub: bool) -> None:
    jobs = [Job("c", chain(3, 30.0), frozenset({CANCELLED}), SUBMIT_AT, cancel_after=3.0)]
    world = _run(with_hub, jobs, Fault(4.9, "server-crash", 0, 0.0))
    assert world.ended_at("c") < 20.0


@on_both_wires
def test_a_result_that_was_under_way_when_the_run_was_cancelled_is_not_accepted(with_hub: bool) -> None:
    flow = single("sim.work", "only", 1.0)
    jobs = [Job("c", flow, frozenset({CANCELLED}), SUBMIT_AT, cancel_after=1.0)]
    world = _run(with_hub, jobs, Fault(SUBMIT_AT + 0.2, "link-freeze", BUSIEST, 2.5))
    assert _attempts(world, "stale") == 1


@on_both_wires
def test_a_map_goes_on_where_it_was_after_a_crash_of_the_server(with_hub: bool) -> None:
    world = _run(with_hub, [Job("map", mapped(12, 0.5), GOOD, SUBMIT_AT)], Fault(4.0, "server-crash", 0, 0.0))
    assert world.beyond.executions == 14


@on_both_wires
def test_pieces_of_a_rowwise_node_are_shared_and_those_of_a_killed_instance_are_done_again(with_hub: bool) -> None:
    """A source, twice five pieces, one that reads all: only what the killed instance had is executed again."""
    jobs = [Job("large", large(2.0), GOOD, SUBMIT_AT)]
    world = _run(with_hub, jobs, Fault(7.0, "instance-crash", BUSIEST, 0.0), executions=1 + 10 + 1 + 4)
    assert 1 <= _attempts(world, "lost") <= 4


@on_both_wires
def test_pieces_that_were_accepted_outlive_the_server(with_hub: bool) -> None:
    jobs = [Job("large", large(2.0), GOOD, SUBMIT_AT)]
    world = _run(with_hub, jobs, Fault(6.0, "server-crash", 0, 0.0), Fault(9.0, "server-crash", 0, 0.0), executions=12)
    assert world.beyond.executions == 12


@on_both_wires
def test_a_rerun_does_only_the_pieces_that_failed(with_hub: bool) -> None:
    jobs = [Job("large", large(0.5, breaks=True), frozenset({FAILED}), SUBMIT_AT, rerun="failed")]
    world = _run(with_hub, jobs, Fault(3.0, "link-cut", BUSIEST, 0.2), executions=1 + 5 + 4 + 5 + 1)
    assert world.runs == 2


@on_both_wires
def test_a_submit_whose_answer_was_lost_is_not_run_twice(with_hub: bool) -> None:
    trap = Trap("server", "state.commit.after_commit", 1)
    world = _run(with_hub, _fan_out(0.1), traps=[trap], armed_at=SUBMIT_AT - 0.1)
    assert world.runs == 1


@on_both_wires
def test_a_submit_is_not_answered_before_it_is_written(with_hub: bool) -> None:
    trap = Trap("server", "state.commit.before_commit", 1)
    world = _run(with_hub, _fan_out(0.1), traps=[trap], armed_at=SUBMIT_AT - 0.1)
    assert world.runs == 1


@on_both_wires
def test_a_step_that_failed_is_tried_again_when_its_policy_says(with_hub: bool) -> None:
    retry = {"attempts": 5, "backoff": "exponential", "delay": 0.5, "max_delay": 1.5, "jitter": False}
    flow = single("sim.work", "flaky", fails=4, retry=retry)
    world = _run(with_hub, [Job("flaky", flow, GOOD, SUBMIT_AT)], Fault(3.0, "server-crash", 0, 0.0))
    assert world.ended_at("flaky") > SUBMIT_AT + 0.5 + 1.0 + 1.5 + 1.5


@on_both_wires
def test_an_idempotent_sink_that_is_tried_again_applies_each_effect_once(with_hub: bool) -> None:
    trap = Trap("instance", "executor.before_write", 1)
    job = Job("kept", single("sim.upsert", "kept", 0.1), GOOD, SUBMIT_AT)
    world = _run(with_hub, [job], traps=[trap], armed_at=SUBMIT_AT)
    assert world.beyond.executions == 2
    assert len(world.beyond.table_effects) == UPSERT_ROWS


@on_both_wires
def test_a_module_that_never_returns_is_ended_by_its_timeout_and_tried_again(with_hub: bool) -> None:
    flow = single("sim.work", "stuck", 0.1, stuck=2, timeout=3.0)
    world = _run(with_hub, [Job("stuck", flow, GOOD, SUBMIT_AT)], Fault(4.0, "server-crash", 0, 0.0))
    assert _attempts(world, "failed") == 2


@on_both_wires
def test_a_run_whose_server_died_with_its_permit_begins_though_others_go_first(with_hub: bool) -> None:
    """The permit is in the database, the run has not begun, and in the line there is now one that is more urgent."""
    flow = limited("queue", 0.5)
    jobs = [Job("first", flow, GOOD, SUBMIT_AT), Job("urgent", flow, GOOD, SUBMIT_AT + 0.001, priority=50)]
    _run(with_hub, jobs, traps=[Trap("server", "state.commit.after_commit", 2)], armed_at=SUBMIT_AT - 0.1)


@on_both_wires
def test_one_late_module_wakes_its_step_although_a_commit_failed_just_then(with_hub: bool) -> None:
    trap = Trap("server", "state.commit.before_commit", 1, fails=True)
    jobs = [Job("late", single("sim.late", "late"), GOOD, SUBMIT_AT)]
    _run(with_hub, jobs, traps=[trap], armed_at=LATE_AT - 0.1)


# -- what only a log can do --------------------------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.parametrize("nth", [2, 3, 4])
def test_a_result_is_not_forgotten_before_what_it_caused_is_written(nth: int) -> None:
    """The log has it, the server dies at one of its commits, and whoever could send it again dies, too."""
    jobs = [Job("only", single("sim.work", "only", 0.1), GOOD, SUBMIT_AT)]
    traps = [Trap("server", "state.commit.before_commit", nth)]
    faults = [Fault(SUBMIT_AT + 0.3, "instance-crash", instance, 0.0) for instance in (0, 1)]
    _run(False, jobs, *faults, traps=traps, armed_at=SUBMIT_AT - 0.1, executions=1)


# -- two servers over one database -------------------------------------------------------------------------------------


def _two(jobs: Sequence[Job], *faults: Fault, executions: int | None = None, **plan: Any) -> World:
    return _run(False, jobs, *faults, servers=2, executions=executions, **plan)


def _many(s: float) -> list[Job]:
    return [Job(f"chain-{number}", chain(4, s), GOOD, SUBMIT_AT + number) for number in range(6)]


@pytest.mark.full
def test_shards_of_a_dead_server_are_taken_by_the_other_one() -> None:
    world = _two(_many(1.0), Fault(9.0, "server-crash", BUSIEST, 0.0), executions=24)
    assert world.attempts == []


def test_a_server_that_was_stopped_writes_nothing_for_shards_that_another_one_has_taken() -> None:
    _two(_many(5.0), Fault(8.0, "server-stall", BUSIEST, 14.0), executions=24)


@pytest.mark.full
def test_a_server_that_was_stopped_for_less_than_its_lease_keeps_its_shards() -> None:
    world = _two(_many(2.0), Fault(8.0, "server-stall", BUSIEST, 6.0), executions=24)
    assert world.attempts == []


@pytest.mark.full
def test_both_servers_may_be_stopped_for_longer_than_all_leases() -> None:
    faults = Fault(8.0, "server-stall", 0, 18.0), Fault(8.5, "server-stall", 1, 19.0)
    world = _two(_many(3.0), *faults, executions=24)
    assert world.attempts == []


@pytest.mark.full
def test_a_submit_that_both_servers_see_makes_one_run() -> None:
    jobs = [Job(f"twice-{number}", chain(2), GOOD, SUBMIT_AT + 2.0 * number, twice=True) for number in range(8)]
    world = _two(jobs, Fault(9.0, "server-crash", 0, 0.0), answer_lost=0.3)
    assert world.runs == len(jobs)


@pytest.mark.full
@pytest.mark.parametrize("way", ["apart", "apart-mute", "apart-deaf"])
def test_an_instance_that_reaches_only_one_of_the_servers_works_for_that_one(way: str) -> None:
    faults = Fault(4.0, way, 0, 20.0), Fault(4.0, way, 1, 20.0)
    _two(_many(1.0), *faults)

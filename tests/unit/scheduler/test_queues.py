"""Lines of runs that wait for their turn: who is next, what is asked for, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.run import Permit, RunState
from scheduler.plan import compile_plan
from scheduler.queues import MOST_ASKED, Queues
from scheduler.runstate import RunState as Run
from tests.unit.scheduler.walking import flow_of

PLAN = compile_plan(flow_of({"a": ()}))
LINE = ("default", "nightly")


def run(number, *, limit=1, when_full="queue", priority=0, written=True, name="nightly"):
    permit = Permit(name=name, limit=limit, when_full=when_full)
    return Run(f"r-{number}", 0, PLAN, priority=priority, permit=permit, key=number if written else 0)


def line_of(*runs):
    queues = Queues()
    for one in runs:
        queues.add(one)
    return queues


def asked(queues):
    return [one.run for one in queues.wanted()]


def test_who_came_first_is_first_in_whatever_order_shards_were_loaded():
    assert asked(line_of(run(3, limit=2), run(1, limit=2), run(2, limit=2))) == ["r-1", "r-2"]


def test_a_run_that_is_not_written_yet_is_the_newest_and_waits_until_it_is():
    new = run(2, when_full="cancel-running", written=False)
    queues = line_of(new, run(1, when_full="cancel-running"))
    assert [one.id for one, _ in queues.hasty(LINE)] == ["r-1"]
    assert asked(queues) == ["r-1"]
    assert not queues.due
    new.key = 2
    queues.changed(new)
    assert [one.id for one, _ in queues.hasty(LINE)] == ["r-1", "r-2"]
    assert asked(queues) == ["r-1", "r-2"]


def test_who_does_not_want_to_wait_is_asked_for_although_there_is_no_room():
    assert asked(line_of(*(run(number, when_full="cancel-new") for number in (1, 2, 3)))) == ["r-1", "r-2"]


def test_only_lines_in_which_something_has_changed_are_asked_for():
    lines = [run(number, name=f"key-{number}") for number in range(1, MOST_ASKED + 11)]
    queues = line_of(*lines)
    assert (len(asked(queues)), queues.due) == (MOST_ASKED, True)
    assert (len(asked(queues)), queues.due) == (10, False)
    queues.changed(run(9999, name="key-7"))
    assert asked(queues) == ["r-7"]
    queues.changed(run(9999, name="another"))
    assert not queues.due
    queues.ask_again()
    assert queues.due


def test_a_paused_run_keeps_its_place_and_is_not_asked_for():
    first, second = run(1), run(2)
    queues = line_of(first, second)
    first.state = RunState.PAUSED
    assert asked(queues) == ["r-2"]
    first.state = RunState.QUEUED
    queues.add(first)
    assert asked(queues) == ["r-1"]


@given(st.data(), st.permutations(range(1, 9)))
def test_a_line_is_by_priority_then_by_arrival_whoever_comes_and_goes(data, numbers):
    runs = [run(one, limit=99, priority=data.draw(st.integers(-1, 1))) for one in numbers]
    queues = line_of(*runs)
    gone = data.draw(st.sets(st.sampled_from(runs)))
    if data.draw(st.booleans()):
        queues.wanted()
    for one in gone:
        queues.remove(one)
        queues.remove(one)
    queues.ask_again()
    left = sorted((one for one in runs if one not in gone), key=lambda one: (-one.priority, one.key))
    assert asked(queues) == [one.id for one in left]
    assert len(queues) == len(left)

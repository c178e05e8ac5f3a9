"""Leases, departures, timers and durations: pure parts with the clock passed in."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.messages import ACCEPT_S, LEASE_S, Assign
from scheduler.leases import Leases
from scheduler.roster import BACK_WITHIN_S, Departures
from scheduler.timers import Timers


def assign(step: str = "a", epoch: int = 1, instance: str = "i") -> Assign:
    return Assign(
        instance=instance, shard=0, term=1, run="r", step=step, epoch=epoch, namespace="default", module="m",
        version="1.0.0", digest="d", prefix="p",
    )  # fmt: skip


def held(now: float = 0.0, **fields: Any) -> Leases:
    leases = Leases()
    leases.assign(assign(**fields), now, patient=False)
    return leases


def test_an_attempt_that_is_not_accepted_in_time_is_overdue() -> None:
    leases = held()
    assert leases.overdue(ACCEPT_S - 0.01) == {}
    assert "did not accept" in leases.overdue(ACCEPT_S)["r/a/1"]


def test_acceptance_begins_the_lease() -> None:
    leases = held()
    leases.accept("r/a/1", 2.0)
    assert leases.overdue(2.0 + LEASE_S - 0.01) == {}
    assert "lease ended" in leases.overdue(2.0 + LEASE_S)["r/a/1"]


def test_a_renewal_by_another_instance_is_refused() -> None:
    leases = held()
    assert not leases.renew("j", "r/a/1", 1.0)
    assert leases.renew("i", "r/a/1", 1.0)


def test_a_renewal_of_an_ended_attempt_is_refused() -> None:
    leases = held()
    leases.end("r/a/1")
    assert not leases.renew("i", "r/a/1", 1.0)


def test_ending_twice_frees_one_slot_once() -> None:
    leases = held()
    leases.assign(assign("b"), 0.0, patient=False)
    leases.end("r/a/1")
    leases.end("r/a/1")
    assert leases.load("i") == 1


def test_a_judge_that_was_away_gives_everyone_a_whole_lease() -> None:
    leases = held()
    leases.accept("r/a/1", 0.0)
    leases.grace(100.0)
    assert leases.overdue(100.0 + LEASE_S - 0.01) == {}


def test_while_the_judge_cannot_hear_anybody_all_clocks_stand_still() -> None:
    leases = held()
    leases.assign(assign("b"), 0.0, patient=False)
    leases.accept("r/a/1", 0.0)
    leases.stand_still(8.0)
    assert leases.overdue(8.0 + ACCEPT_S - 0.01) == {}
    assert list(leases.overdue(8.0 + ACCEPT_S)) == ["r/b/1"]
    assert list(leases.overdue(8.0 + LEASE_S)) == ["r/a/1", "r/b/1"]


def test_what_is_held_back_is_never_overdue_and_has_time_to_be_accepted_when_it_is_sent() -> None:
    leases = held()
    leases.hold_back("r/a/1")
    assert leases.overdue(100.0) == {}
    assert leases.send("r/a/1", 100.0)
    assert leases.overdue(100.0 + ACCEPT_S - 0.01) == {}
    assert list(leases.overdue(100.0 + ACCEPT_S)) == ["r/a/1"]


def test_what_was_accepted_or_is_over_is_not_sent_any_more() -> None:
    leases = held()
    leases.hold_back("r/a/1")
    leases.accept("r/a/1", 1.0)  # another scheduler had sent it
    assert not leases.send("r/a/1", 2.0)
    assert list(leases.overdue(1.0 + LEASE_S)) == ["r/a/1"]
    leases.end("r/a/1")
    assert not leases.send("r/a/1", 2.0)


def test_what_was_not_accepted_is_what_is_sent_again() -> None:
    leases = held()
    leases.assign(assign("b"), 0.0, patient=False)
    leases.accept("r/a/1", 0.0)
    assert [one.message.step for one in leases.unaccepted()] == ["b"]


@given(st.lists(st.tuples(st.sampled_from(["assign", "accept", "end"]), st.integers(0, 5), st.sampled_from("ij"))))
def test_the_load_is_always_the_number_of_attempts_that_are_out(actions: list[tuple[str, int, str]]) -> None:
    leases = Leases()
    out: dict[str, str] = {}
    for action, number, instance in actions:
        attempt = f"r/s{number}/1"
        if action == "assign" and attempt not in out:
            leases.assign(assign(f"s{number}", instance=instance), 0.0, patient=False)
            out[attempt] = instance
        elif action == "accept":
            assert leases.accept(attempt, 0.0) == (attempt in out)
        elif action == "end":
            leases.end(attempt)
            out.pop(attempt, None)
        for name in "ij":
            assert leases.load(name) == list(out.values()).count(name)


def test_an_instance_that_is_back_in_time_is_not_lost() -> None:
    departures = Departures()
    lost: list[str] = []
    departures.left("i", 0.0)
    departures.back("i")
    departures.lost(99.0, lost.append)
    assert lost == []


def test_an_instance_that_stays_away_is_lost_once() -> None:
    departures = Departures()
    lost: list[str] = []
    departures.left("i", 0.0)
    departures.left("i", 0.9)
    departures.lost(BACK_WITHIN_S - 0.01, lost.append)
    assert lost == []
    departures.lost(BACK_WITHIN_S, lost.append)
    departures.lost(BACK_WITHIN_S, lost.append)
    assert lost == ["i"]


@given(st.lists(st.floats(0, 100)), st.floats(0, 100))
def test_timers_come_due_in_order(times: list[float], now: float) -> None:
    timers = Timers()
    for when in times:
        timers.set(when, "r")
    due = [timer.when for timer in timers.due(now)]
    assert due == sorted(when for when in times if when <= now)
    assert len(timers) == len(times) - len(due)

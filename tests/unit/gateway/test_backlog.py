"""What the feed remembers, and how changes of one thing become one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.backlog import STEPS_LISTED, Backlog, Entry, coalesced

RUN = ("run",)


def run(seq: int, **steps: str) -> dict[str, object]:
    return {"run": "r", "seq": seq, "steps": {step: {"state": state} for step, state in steps.items()}}


def test_what_came_after_a_number_is_told_in_order() -> None:
    backlog = Backlog()
    for name in "abc":
        backlog.add("module", name, {"name": name})
    assert [entry.key for entry in backlog.after(1, ("module",))] == ["b", "c"]
    assert backlog.after(3, ("module",)) == []


def test_other_topics_are_left_out() -> None:
    backlog = Backlog()
    backlog.add("module", "m", {})
    backlog.add("instance", "i", {})
    assert [entry.topic for entry in backlog.after(0, ("instance",))] == ["instance"]


def test_changes_of_one_run_become_one_with_the_newest_state_of_each_step() -> None:
    backlog = Backlog()
    backlog.add("run", "r", run(1, a="running", b="ready"))
    backlog.add("run", "other", run(1))
    backlog.add("run", "r", run(2, a="succeeded"))
    other, merged = backlog.after(0, RUN)
    assert (other.key, merged.number) == ("other", 3)
    assert merged.document == run(2, a="succeeded", b="ready")


def test_too_many_steps_are_not_listed() -> None:
    first = Entry(1, "run", "r", run(1, **{f"a{index}": "ready" for index in range(STEPS_LISTED)}))
    (merged,) = coalesced([first, Entry(2, "run", "r", run(2, b="ready"))])
    assert merged.document["steps"] is None
    (stays,) = coalesced([merged, Entry(3, "run", "r", run(3, b="ready"))])
    assert stays.document["steps"] is None


def test_who_is_too_far_behind_is_found_out() -> None:
    backlog = Backlog(limit=2)
    for _ in range(3):
        backlog.add("run", "r", run(1))
    assert [backlog.has_all_after(number) for number in (0, 1, 2, 3, 4)] == [False, True, True, True, False]


def test_after_a_time_without_listening_nobody_goes_on() -> None:
    backlog = Backlog()
    backlog.add("run", "r", run(1))
    backlog.forget()
    assert not backlog.has_all_after(1)


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(0, 30))
def test_no_change_is_lost_and_none_is_told_twice(keys: list[str], place: int) -> None:
    backlog = Backlog(limit=10)
    for seq, key in enumerate(keys, start=1):
        backlog.add("module", key, {"seq": seq})
    if backlog.has_all_after(place):
        newest = {key: seq for seq, key in enumerate(keys, start=1) if seq > place}
        told = backlog.after(place, ("module",))
        assert {entry.key: entry.document["seq"] for entry in told} == newest
        assert [entry.number for entry in told] == sorted(entry.number for entry in told)

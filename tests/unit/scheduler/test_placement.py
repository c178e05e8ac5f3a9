"""Placement: version fit, labels, credits, the least loaded, deep before wide."""

from collections import Counter
from collections.abc import Callable, Container
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.durations import Durations
from scheduler.placement import Need, Placed, Placement, Seat


def seat(name: str = "i", slots: int = 1, offers: dict[str, tuple[str, ...]] | None = None, **fields: Any) -> Seat:
    return Seat(name, slots, 64, offers or {"m": ("1.0.0",)}, **fields)


def placement(*seats: Seat, durations: Durations | None = None) -> Placement:
    made = Placement(durations or Durations())
    made.roster(seats)
    return made


def place(
    made: Placement,
    load: Counter[str] | None = None,
    ready: Callable[[str, str], bool] = lambda run, step: True,
    closed: Container[str] = (),
) -> list[Placed]:
    load = Counter[str]() if load is None else load
    placed: list[Placed] = []
    for one in made.place(lambda instance: load[instance], ready, closed):
        load[one.seat.instance] += 1
        placed.append(one)
    return placed


def add(made: Placement, count: int, need: Need | None = None, depth: int = 0) -> None:
    for number in range(count):
        made.add(need or Need("m"), depth, "r", f"s{number}")


def test_an_unknown_module_leaves_its_steps_in_line() -> None:
    made = placement(seat())
    add(made, 1, Need("other"))
    assert place(made) == []
    assert [need.module for need, _ in made.unserved()] == ["other"]


def test_the_best_fitting_version_is_chosen() -> None:
    made = placement(seat("old", offers={"m": ("1.0.0", "1.4.0")}), seat("new", offers={"m": ("2.0.0",)}))
    add(made, 1, Need("m@^1"))
    assert [(one.seat.instance, one.version) for one in place(made)] == [("old", "1.4.0")]


def test_a_pinned_version_is_kept_when_a_newer_one_is_live() -> None:
    made = placement(seat(offers={"m": ("1.0.0", "1.1.0")}))
    add(made, 1, Need("m", pinned="1.0.0"))
    assert place(made)[0].version == "1.0.0"


def test_a_pinned_version_that_is_away_is_not_replaced() -> None:
    made = placement(seat(offers={"m": ("1.1.0",)}))
    add(made, 1, Need("m", pinned="1.0.0"))
    assert place(made) == []


def test_labels_must_be_there() -> None:
    made = placement(seat("plain"), seat("gpu", labels={"gpu": "yes"}))
    add(made, 1, Need("m", labels=frozenset({("gpu", "yes")})))
    assert place(made)[0].seat.instance == "gpu"


def test_an_instance_that_takes_no_work_gets_none() -> None:
    made = placement(seat(open=False))
    add(made, 1)
    assert place(made) == []


def test_a_resting_instance_gets_none() -> None:
    made = placement(seat("i"))
    add(made, 1)
    assert place(made, closed={"i"}) == []


def test_deep_steps_go_before_wide_ones() -> None:
    made = placement(seat(slots=2))
    made.add(Need("m"), 0, "r", "wide")
    made.add(Need("m"), 5, "r", "deep")
    assert [one.step for one in place(made)] == ["deep", "wide"]


def test_steps_that_are_no_longer_ready_are_dropped() -> None:
    made = placement(seat(slots=9))
    add(made, 3)
    assert [one.step for one in place(made, ready=lambda run, step: step != "s1")] == ["s0", "s2"]
    assert len(made) == 0


def test_short_steps_are_sent_ahead_and_long_ones_are_not() -> None:
    durations = Durations()
    durations.saw("m", 0.001)
    short = placement(seat(), durations=durations)
    add(short, 100)
    assert len(place(short)) == 9
    durations.saw("m", 1000.0)
    add(short, 100)
    assert len(place(short)) == 1


def test_the_shorter_steps_are_the_more_are_sent_ahead() -> None:
    ahead = []
    for seconds in (0.0005, 0.002, 0.05, 0.5):
        durations = Durations()
        durations.saw("m", seconds)
        ahead.append(durations.ahead("m"))
    assert ahead == [32, 8, 1, 0]
    assert Durations().ahead("m") == 0


def test_nobody_gets_more_than_its_own_prefetch() -> None:
    durations = Durations()
    durations.saw("m", 0.001)
    made = Placement(durations)
    made.roster([Seat("i", 4, 2, {"m": ("1.0.0",)})])
    add(made, 100)
    assert len(place(made)) == 6


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 60))
def test_work_is_spread_by_slots_and_no_credit_is_exceeded(slots: list[int], steps: int) -> None:
    seats = [seat(f"i{number}", count) for number, count in enumerate(slots)]
    made = placement(*seats)
    add(made, steps)
    load: Counter[str] = Counter()
    placed = place(made, load)
    assert len(placed) == min(steps, sum(slots))
    assert all(load[one.instance] <= one.slots for one in seats)
    shares = [load[one.instance] / one.slots for one in seats]
    assert max(shares) - min(shares) <= 1

"""Placement: version fit, labels, credits, the least loaded, deep before wide."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.durations import Durations
from scheduler.placement import Line, Need, Placed, Placement, Seat


def seat(name: str = "i", slots: int = 1, offers: dict[str, tuple[str, ...]] | None = None, **fields: Any) -> Seat:
    return Seat(name, slots, 64, offers or {"m": ("1.0.0",)}, **fields)


def placement(*seats: Seat, durations: Durations | None = None) -> Placement:
    made = Placement(durations or Durations())
    made.roster(seats)
    return made


class Out:
    """Attempts that are out: by instance, by namespace, and who is alone with one."""

    def __init__(self, by_instance: Counter[str] | None = None, by_namespace: Counter[str] | None = None) -> None:
        self.by_instance = Counter[str]() if by_instance is None else by_instance
        self.by_namespace = Counter[str]() if by_namespace is None else by_namespace
        self.taken: set[str] = set()

    def load(self, instance: str) -> int:
        return self.by_instance[instance]

    def load_of_namespace(self, namespace: str) -> int:
        return self.by_namespace[namespace]


def place(
    made: Placement,
    load: Counter[str] | None = None,
    ready: Callable[[str, str], bool] = lambda run, step: True,
    closed: Iterable[str] = (),
    out: Out | None = None,
) -> list[Placed]:
    """Runs are called after their namespaces."""
    out = out or Out(load)
    placed: list[Placed] = []
    for one in made.place(out, ready, closed):
        out.by_instance[one.seat.instance] += 1
        out.by_namespace[one.run] += 1
        if one.alone:
            out.taken.add(one.seat.instance)
        placed.append(one)
    return placed


def add(made: Placement, count: int, need: Need | None = None, depth: int = 0, **urgency: Any) -> None:
    namespace, alone = urgency.pop("namespace", "r"), urgency.pop("alone", False)
    for number in range(count):
        made.add(Line(namespace, need or Need("m"), alone), namespace, f"s{number}", depth=depth, **urgency)


def test_an_unknown_module_leaves_its_steps_in_line() -> None:
    made = placement(seat())
    add(made, 1, Need("other"))
    assert place(made) == []
    assert [line.need.module for line, _ in made.unserved()] == ["other"]


def test_the_best_fitting_version_is_chosen() -> None:
    made = placement(seat("old", offers={"m": ("1.0.0", "1.4.0")}), seat("new", offers={"m": ("2.0.0",)}))
    add(made, 1, Need("m@^1"))
    assert [(one.seat.instance, one.version) for one in place(made)] == [("old", "1.4.0")]


def test_a_pinned_version_is_kept_when_a_newer_one_is_live() -> None:
    made = placement(seat(offers={"m": ("1.0.0", "1.1.0")}))
    add(made, 1, Need("m", pinned="1.0.0"))
    assert place(made)[0].version == "1.0.0"


def test_a_pinned_version_that_is_away_is_replaced_by_the_newest_one_that_keeps_its_promise() -> None:
    made = placement(seat(offers={"m": ("0.9.0", "1.1.0", "1.2.0", "2.0.0")}))
    add(made, 1, Need("m", pinned="1.0.0"))
    assert place(made)[0].version == "1.2.0"


@pytest.mark.parametrize(
    ("module", "pinned", "offered"),
    [("m", "1.1.0", "1.0.0"), ("m", "1.0.0", "2.0.0"), ("m", "0.1.0", "0.2.0"), ("m@1.0.0", "1.0.0", "1.1.0")],
)
def test_and_not_by_one_that_promises_less_or_was_not_asked_for(module: str, pinned: str, offered: str) -> None:
    made = placement(seat(offers={"m": (offered,)}))
    add(made, 1, Need(module, pinned=pinned))
    assert place(made) == []


def test_a_quarantined_version_is_not_taken_in_its_place() -> None:
    made = Placement(Durations())
    made.roster([seat(offers={"m": ("1.1.0", "1.2.0")})], {("m", "1.2.0")})
    add(made, 1, Need("m", pinned="1.0.0"))
    assert place(made)[0].version == "1.1.0"


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
    line = Line("r", Need("m"))
    made.add(line, "r", "wide", depth=0)
    made.add(line, "r", "deep", depth=5)
    assert [one.step for one in place(made)] == ["deep", "wide"]


def test_a_higher_priority_goes_before_a_deeper_step() -> None:
    made = placement(seat(slots=3), seat("j", offers={"other": ("1.0.0",)}))
    made.add(Line("r", Need("m")), "r", "deep", depth=5)
    made.add(Line("r", Need("m")), "r", "urgent", priority=10)
    made.add(Line("r", Need("other")), "r", "most urgent", priority=11)
    assert [one.step for one in place(made)] == ["most urgent", "urgent", "deep"]


def test_a_namespace_with_many_urgent_runs_does_not_starve_another() -> None:
    made = placement(seat(slots=4))
    add(made, 100, namespace="busy", priority=100)
    add(made, 100, namespace="modest", priority=-100)
    assert Counter(one.run for one in place(made)) == {"busy": 2, "modest": 2}


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 30), st.lists(st.integers(0, 9), max_size=6)
)
def test_namespaces_share_what_there_is(steps: list[int], slots: int, before: list[int]) -> None:
    made = placement(seat(slots=slots))
    names = [f"n{number}" for number in range(len(steps))]
    for name, count in zip(names, steps, strict=True):
        add(made, count, namespace=name)
    out = Out(by_namespace=Counter(dict(zip(names, before, strict=False))))
    placed = Counter(one.run for one in place(made, out=out))
    assert placed.total() == min(slots, sum(steps))
    left_out = [name for name, count in zip(names, steps, strict=True) if placed[name] < count]
    for name in left_out:  # whoever got something has at most one more out than somebody who still waits
        assert all(out.by_namespace[other] <= out.by_namespace[name] + 1 for other in names if placed[other])


def test_a_step_that_is_to_be_alone_waits_for_an_idle_instance_which_gets_nothing_else() -> None:
    made = placement(seat(slots=2))
    add(made, 1, alone=True, namespace="poisonous")
    add(made, 3)
    out = Out(Counter(i=1))
    assert place(made, out=out) == []
    out.by_instance.clear()
    assert [(one.run, one.alone) for one in place(made, out=out)] == [("poisonous", True)]
    assert place(made, out=out) == []
    out.by_instance.clear()
    out.taken.clear()
    assert [one.run for one in place(made, out=out)] == ["r", "r"]


def test_while_one_instance_is_kept_free_the_others_work() -> None:
    made = placement(seat("i", slots=2), seat("j", slots=2))
    add(made, 1, alone=True, namespace="poisonous")
    add(made, 5)
    out = Out(Counter(i=2, j=1))
    assert place(made, out=out) == []  # j is the next to be idle; i is full
    out.by_instance["i"] = 1
    assert [one.seat.instance for one in place(made, out=out)] == ["j"]  # i is kept free now


def test_of_two_that_are_equally_busy_the_one_gets_a_step_that_made_its_inputs() -> None:
    made = placement(seat("i-1", 4), seat("i-2", 4), seat("i-3", 4))
    add(made, 1, near="i-2")
    assert [one.seat.instance for one in place(made)] == ["i-2"]
    add(made, 1, near="i-2")
    assert [one.seat.instance for one in place(made, Counter({"i-2": 1}))] == ["i-1"], "the less busy one goes first"


def test_if_that_instance_does_not_offer_the_module_one_on_its_host_gets_the_step() -> None:
    other: dict[str, tuple[str, ...]] = {"other": ("1.0.0",)}
    made = placement(seat("i-1", host="h"), seat("i-2", host="g"), seat("i-3", offers=other, host="g"))
    add(made, 1, near="i-3")
    assert [one.seat.instance for one in place(made)] == ["i-2"]


def test_where_nobody_knows_who_made_the_inputs_the_first_name_gets_the_step() -> None:
    for near in (None, "i-gone"):
        made = placement(seat("i-1"), seat("i-2"))
        add(made, 1, near=near)
        assert [one.seat.instance for one in place(made)] == ["i-1"]


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


def test_a_round_looks_at_each_line_a_few_times_however_many_lines_there_are() -> None:
    class Counting(Out):
        asked = 0

        def load_of_namespace(self, namespace: str) -> int:
            self.asked += 1
            return super().load_of_namespace(namespace)

    names, out = [f"m{number}" for number in range(300)], Counting()
    made = placement(seat(offers=dict.fromkeys(names, ("1.0.0",))))
    for name in names:
        add(made, 2, Need(name))
    assert len(place(made, out=out)) == 1
    assert out.asked < 5 * len(names)

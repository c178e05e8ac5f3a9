"""Which convictions make a quarantine: distinct runs within an hour, since the version was last enabled."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from plugmesh.state.records import Conviction
from scheduler.poison import RUNS, WITHIN_S, Ledger

KEY = ("shop.price", "1.2.0")


def death(run, at=0.0, *, version=KEY, step="a"):
    name, number = version
    return Conviction(name, number, f"r-{run}", step, 1, f"{name}@{number}: the process ended: signal SIGSEGV", "", at)


runs = st.integers(0, 4)
deaths = st.lists(st.tuples(runs, st.floats(0, WITHIN_S)), max_size=25)


def in_time(drawn):
    times = accumulate(wait for _, wait in drawn)
    return [death(run, at) for (run, _), at in zip(drawn, times, strict=True)]


@given(deaths)
def test_as_many_runs_within_the_hour_as_it_takes_and_no_fewer(drawn):
    ledger, seen = Ledger(), []
    for conviction in in_time(drawn):
        seen.append(conviction)
        quarantine = ledger.convict(conviction)
        within = {other.run for other in seen if other.at > conviction.at - WITHIN_S}
        assert (quarantine is not None) == (len(within) >= RUNS)
        if quarantine is not None:
            assert {other.run for other in quarantine.convictions} == within
            assert quarantine.convictions[-1] == conviction


@given(deaths)
def test_a_restart_finds_what_was_due(drawn):
    ledger, kept = Ledger(), {}
    for conviction in in_time(drawn):
        kept[conviction.run] = conviction  # as the table does: a row for each run
        due = ledger.convict(conviction)
        again = Ledger().replay(sorted(kept.values(), key=lambda one: one.at))
        if due is not None:
            assert set(again[0].convictions) == set(due.convictions)


@given(deaths)
def test_whoever_is_accused_and_not_in_quarantine_is_a_suspect(drawn):
    ledger = Ledger()
    for conviction in in_time(drawn):
        quarantine = ledger.convict(conviction)
        assert ledger.suspects() == (set() if quarantine else {KEY})


@given(st.lists(st.tuples(runs, st.booleans()), max_size=20))
def test_what_was_before_a_lift_does_not_count(drawn):
    ledger = Ledger()
    since: set[int] = set()
    for run, lifted in drawn:
        if lifted:
            ledger.lift(*KEY)
            since = set()
        since.add(run)
        assert (ledger.convict(death(run)) is not None) == (len(since) >= RUNS)


def test_a_run_that_dies_again_and_again_is_one():
    ledger = Ledger()
    assert [ledger.convict(death(1, at, step=f"a.{at}")) for at in range(20)] == [None] * 20


def test_versions_are_counted_apart():
    ledger, other = Ledger(), (KEY[0], "1.3.0")
    assert [ledger.convict(death(run, version=KEY if run % 2 else other)) for run in range(4)] == [None] * 4
    ledger.lift(KEY[0], "*")
    assert [ledger.convict(death(run, version=other)) for run in range(5, 7)] == [None] * 2


def test_a_clock_that_was_set_back_does_not_make_the_others_fewer():
    ledger = Ledger()
    found = [ledger.convict(death(run, at)) for run, at in ((1, 10 * WITHIN_S), (2, 0.0), (3, 1.0))]
    assert found[-1] is not None


def test_the_switch_says_why_and_how_to_lift_it():
    (quarantine,) = Ledger().replay([death(run, run) for run in (1, 2, 3)])
    switch = quarantine.switch
    assert (switch.module, switch.version, switch.actor, switch.at, switch.kind) == (*KEY, "mesh", 3, "quarantined")
    assert str(switch) == (
        "quarantined: 3 runs ended its process, the last one in step a of r-3: the process ended: signal SIGSEGV; "
        "see what it does there, then lift the quarantine: plugmesh module enable shop.price@1.2.0"
    )

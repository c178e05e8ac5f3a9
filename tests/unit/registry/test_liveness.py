"""Liveness: a function of beats and a clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.instance import Registration
from plugmesh.discovery.port import Entry, Patience
from registry.liveness import DEAD_S, LATE_S, SUSPECT_S, Case, Liveness, Punctuality, judge

SEVERITY = {Liveness.ALIVE: 0, Liveness.SUSPECT: 1, Liveness.DEAD: 2}
seconds = st.floats(0, 100, allow_nan=False)


def entry(beat_at: float = 0.0, connected: bool | None = None) -> Entry:
    return Entry(Registration(instance="i", host="h", partition=0, offers=()), beat_at, connected=connected)


@pytest.mark.parametrize(
    ("silence_s", "connected", "expected"),
    [
        (0.0, True, Liveness.ALIVE),
        (5.9, True, Liveness.ALIVE),
        (6.0, True, Liveness.SUSPECT),
        (14.9, None, Liveness.SUSPECT),
        (15.0, True, Liveness.DEAD),
        (0.0, False, Liveness.SUSPECT),
        (14.9, False, Liveness.SUSPECT),
        (15.0, False, Liveness.DEAD),
        (0.0, None, Liveness.ALIVE),
    ],
)
def test_silence_makes_suspect_and_then_dead(silence_s: float, connected: bool | None, expected: Liveness) -> None:
    assert judge(entry(100.0, connected), 100.0 + silence_s) is expected


@given(seconds, seconds, seconds, st.sampled_from([True, False, None]))
def test_without_a_beat_nobody_gets_better(beat_at: float, wait: float, more: float, connected: bool | None) -> None:
    quiet = entry(beat_at, connected)
    assert SEVERITY[judge(quiet, beat_at + wait)] <= SEVERITY[judge(quiet, beat_at + wait + more)]


@given(seconds, seconds, st.sampled_from([True, None]))
def test_a_beat_makes_alive_whatever_was_before(beat_at: float, wait: float, connected: bool | None) -> None:
    now = beat_at + wait
    assert judge(replace(entry(beat_at, connected), beat_at=now), now) is Liveness.ALIVE


@given(seconds, seconds, st.sampled_from([True, None]))
def test_a_grace_convicts_nobody_of_silence(silence: float, left: float, connected: bool | None) -> None:
    now = 1000.0
    if left > 0.001:
        assert judge(entry(now - silence, connected), now, now + min(left, SUSPECT_S)) is Liveness.ALIVE


@pytest.mark.parametrize(
    ("silence_s", "expected"),
    [(19.9, Liveness.ALIVE), (20.0, Liveness.SUSPECT), (29.9, Liveness.SUSPECT), (30.0, Liveness.DEAD)],
)
def test_a_driver_that_hears_of_beats_later_asks_for_more_patience(silence_s: float, expected: Liveness) -> None:
    slow = replace(entry(100.0), patience=Patience(suspect_s=20.0, dead_s=30.0))
    assert judge(slow, 100.0 + silence_s) is expected
    assert judge(slow, 100.0 + silence_s, 100.0 + silence_s + 1) is Liveness.ALIVE  # in a grace


def test_after_a_grace_the_silent_are_first_suspect_and_then_dead() -> None:
    quiet, grace_until = entry(0.0), 1000.0
    assert judge(quiet, 1000.0, grace_until) is Liveness.SUSPECT
    assert judge(quiet, 1000.0 + DEAD_S - SUSPECT_S, grace_until) is Liveness.DEAD


def test_a_punctual_judge_gives_no_grace_and_a_late_one_does() -> None:
    judge_clock = Punctuality(0.0)
    assert judge_clock.look(LATE_S) < 0
    assert judge_clock.look(2 * LATE_S + 0.1) == 2 * LATE_S + 0.1 + SUSPECT_S


def test_a_grace_acquits_nobody_who_was_convicted_before() -> None:
    case = Case()
    assert case.judge(entry(0.0), 20.0, -1.0) is Liveness.DEAD
    assert case.judge(entry(0.0), 25.0, 31.0) is Liveness.DEAD
    assert case.judge(entry(26.0), 26.0, 31.0) is Liveness.ALIVE


def test_an_accused_instance_is_suspect_until_its_next_beat() -> None:
    case = Case()
    case.accuse(1.0)
    assert case.judge(entry(0.5), 1.0, -1.0) is Liveness.SUSPECT
    assert case.judge(entry(0.5), 2.0, -1.0) is Liveness.SUSPECT
    assert case.judge(entry(2.5), 2.5, -1.0) is Liveness.ALIVE

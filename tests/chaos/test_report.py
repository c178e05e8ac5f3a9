"""What is told of runs of chaos: how long lost steps waited, and tables of several runs."""

from __future__ import annotations

from typing import Any

from tests.chaos.harness import Options, Outcome
from tests.chaos.plan import Deed, Event, Role
from tests.chaos.recovery import Lost, Wait, lost_by_drains, waits
from tests.chaos.report import document, story, table

PIDS = {"inst-a": 1, "inst-b": 2}


def _event(wall: float, deed: Deed, role: Role, pid: int, **fields: Any) -> Event:
    return Event(wall, wall, f"{deed} {role}", deed, (role,), (pid,), **fields)


def test_a_wait_begins_with_what_was_done_to_the_instance() -> None:
    timeline = [_event(10.0, Deed.KILL, Role.SUPERVISOR, 1), _event(20.0, Deed.STOP, Role.SUPERVISOR, 2)]
    found = [Lost(11.0, "inst-a", 12.0), Lost(35.0, "inst-b", 36.5), Lost(50.0, "inst-x", 51.0)]
    assert waits(found, timeline, PIDS) == [
        Wait(2.0, Deed.KILL, True),
        Wait(16.5, Deed.STOP, True),
        Wait(1.0, None, True),
    ]


def test_a_step_that_never_ran_again_did_not_wait() -> None:
    assert waits([Lost(11.0, "inst-a", None)], [], PIDS) == [Wait(None, None, True)]


def test_nothing_may_be_lost_by_a_drain() -> None:
    drain = _event(10.0, Deed.DRAIN, Role.SUPERVISOR, 1)
    made = waits([Lost(11.0, "inst-a", 12.0)], [drain], PIDS)
    assert lost_by_drains(made) == ["1 attempts were lost by the drain of their instances"]
    made = waits([Lost(13.0, "inst-a", 14.0)], [drain, _event(12.0, Deed.KILL, Role.SUPERVISOR, 1)], PIDS)
    assert lost_by_drains(made) == [], "it was killed while it drained"


def test_a_wait_is_not_quiet_when_the_server_was_hurt_meanwhile_or_shortly_before() -> None:
    kill = _event(100.0, Deed.KILL, Role.SUPERVISOR, 1)
    found = [Lost(101.0, "inst-a", 102.0)]
    for wall, quiet in ((50.0, True), (96.0, False), (101.5, False), (103.0, True)):
        made = waits(found, [kill, _event(wall, Deed.STOP, Role.SERVER, 9, over=True)], PIDS)
        assert [wait.quiet for wait in made] == [quiet]


def test_the_end_of_a_stop_hits_nobody() -> None:
    stop, over = (_event(wall, Deed.STOP, Role.SUPERVISOR, 1, over=wall > 10) for wall in (10.0, 24.0))
    assert waits([Lost(25.0, "inst-a", 26.0)], [stop, over], PIDS) == [Wait(16.0, Deed.STOP, True)]


def _outcome(seed: int, **fields: Any) -> Outcome:
    made = Outcome(Options(seed, 5, 60.0, 10), kills=5, took_s=90.0, states={"succeeded": 9, "failed": 1})
    made.faults = {"kill server": 3, "kill supervisor+server": 1, "stop server": 2, "fill disk": 1}
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_a_table_has_a_row_for_each_seed_and_one_for_all() -> None:
    quick = [Wait(1.5, Deed.KILL, True), Wait(0.5, Deed.KILL, True), Wait(40.0, Deed.KILL, False)]
    text = table([document(_outcome(7, waits=quick)), document(_outcome(8, attempts={"lost": 2, "failed": 3}))])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert rows[2:] == [
        ["7", "5", "2", "0", "1 / 0", "10", "0 / 0", "1.5 / - / 40.0", "1.5", "0"],
        ["8", "5", "2", "0", "1 / 0", "10", "2 / 3", "- / - / -", "1.5", "0"],
        ["all", "10", "4", "0", "2 / 0", "20", "2 / 3", "1.5 / - / 40.0", "3.0", "0"],
    ]


def test_a_violation_is_told_with_its_seed_and_all_that_was_done_before() -> None:
    text = story(_outcome(7, violations=["a run is gone"], timeline=[_event(1.0, Deed.KILL, Role.SERVER, 42)]))
    assert "seed 7: 1 violations" in text
    assert "a run is gone" in text
    assert "1.00 s  kill server [42]" in text

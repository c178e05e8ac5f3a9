"""A failing simulation is made smaller, kept, and replayed exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.leases import Leases
from tests.sim import command
from tests.sim.case import Case, case_of, read_case, write_case
from tests.sim.chaos import Fault, Plan, Trap
from tests.sim.network import Weather
from tests.sim.shrink import Shrinker, ddmin
from tests.sim.workload import SUCCEEDED, Job, chain, single

GOOD = frozenset({SUCCEEDED})


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_a_list_is_reduced_to_what_is_needed(needed: set[int], others: set[int]) -> None:
    assert ddmin(sorted(needed | others), needed.issubset) == sorted(needed)


@pytest.fixture
def case() -> Case:
    """Of all this only one job and one fault matter, when leases do not end."""
    jobs = [
        Job("chain", chain(2, 0.1), GOOD, 1.0),
        Job("long", single("sim.work", "long", 8.0), GOOD, 2.0),
        Job("flaky", single("sim.work", "flaky", fails=2), GOOD, 1.0),
    ]
    faults = [Fault(1.0, "link-cut", 0, 0.3), Fault(5.0, "instance-vanish", -1, 0.0), Fault(6.0, "clock-set", 0, 0.0)]
    return Case(3, False, 2, jobs, Plan(faults=faults, weather=Weather(drop=0.01), sql_error=0.005, until=30.0))


class Judged(Shrinker):
    """Needs no simulation to know whether a case fails."""

    def fails(self, case: Case) -> bool:
        self.tried += 1
        named = {job.name for job in case.jobs}
        return "long" in named and "instance-vanish" in {fault.kind for fault in case.plan.faults}


def test_what_does_not_matter_is_left_out(case: Case) -> None:
    small = Judged("progress").shrink(case)
    assert [job.name for job in small.jobs] == ["long"]
    assert [fault.kind for fault in small.plan.faults] == ["instance-vanish"]
    assert (small.servers, small.plan.sql_error, small.plan.weather) == (1, 0.0, Weather())


def test_chances_become_traps_that_do_the_same(case: Case) -> None:
    """Otherwise nothing of what happened by chance could be left out."""
    plan = Plan(sql_error=0.2, until=6.0)
    chancy = Case(4, False, 1, case.jobs[:1], plan)
    world = chancy.world()
    world.run()
    assert world.sprung
    sure = Case(4, False, 1, case.jobs[:1], Plan(traps=world.sprung, until=6.0)).world()
    sure.run()
    assert sure.trace.digest == world.trace.digest


@pytest.mark.full
def test_a_fault_of_the_product_is_found_and_shrunk(
    monkeypatch: pytest.MonkeyPatch, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Leases, "overdue", lambda self, now: {})
    monkeypatch.setattr(command, "case_of", lambda seed: case)
    assert command.main(["--seed", "3", "--out", str(tmp_path)]) == 1
    kept = tmp_path / "seed-3.json"
    said = capsys.readouterr().out
    small = read_case(kept)
    assert [job.name for job in small.jobs] == ["long"]
    assert [fault.kind for fault in small.plan.faults] == ["instance-vanish"]
    assert command.main(["--case", str(kept)]) == 1
    digest = capsys.readouterr().out.split("digest ")[-1].strip()
    assert f"(digest {digest})" in said


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_case_is_the_same_after_it_was_kept(seed: int, tmp_path: Path) -> None:
    case = case_of(seed)
    write_case(case, tmp_path / "case.json")
    assert read_case(tmp_path / "case.json") == case


def test_a_trap_is_kept_too(tmp_path: Path) -> None:
    plan = Plan(traps=[Trap("server", "state.commit.after_commit", 3, True, 1.5)])
    write_case(Case(1, True, 1, [], plan), tmp_path / "case.json")
    assert read_case(tmp_path / "case.json").plan == plan


def test_many_seeds_end_with_what_failed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [Job("only", single("sim.work", "only"), frozenset({"failed"}))]  # which it does not
    monkeypatch.setattr(
        command, "case_of", lambda seed: Case(seed, False, 1, jobs if seed == 8 else [], Plan(until=0.0))
    )
    assert command.main(["--seeds", "3", "--from", "7", "--jobs", "1", "--no-shrink"]) == 1
    said = capsys.readouterr().out
    assert "seed 8 FAILED" in said
    assert "ends: only has succeeded" in said
    assert "3 seeds, 1 failed: [8]" in said
    assert "again: scripts/sim --seed 8" in said

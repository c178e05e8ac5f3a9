"""Every crash point that a chain, a diamond and a parked step pass: the process dies there, or its disk fails, and
everything still ends as it must.

The points are found by a recorded run, so that a new `runtime.point(...)` is walked without being listed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.sim.chaos import Plan, Trap
from tests.sim.workload import SUCCEEDED, Job, chain, diamond, single
from tests.sim.world import LATE_AT, World

SUBMIT_AT = 3.0
GOOD = frozenset({SUCCEEDED})
SHAPES: dict[str, Callable[[], list[Job]]] = {
    "chain": lambda: [Job("chain", chain(3, 0.02), GOOD, SUBMIT_AT)],
    "diamond": lambda: [Job("diamond", diamond(0.02), GOOD, SUBMIT_AT)],
    "parked": lambda: [Job("late", single("sim.late", "late"), GOOD, SUBMIT_AT)],
}
UNTIL = {"chain": 8.0, "diamond": 8.0, "parked": LATE_AT + 8.0}
ONCE_A_SECOND = 2
"""Occurrences that are walked of a point that is passed all the time."""
MOST = 8
POINTS = (
    "state.mesh", "state.acquire", "state.commit", "state.renew", "state.contract", "engine.effects",
    "supervisor.registered", "supervisor.before-publish", "supervisor.after-publish", "executor.before_write",
    "objects.commit",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def _world(shape: str, with_hub: bool, **plan: Any) -> World:
    return World(11, SHAPES[shape](), Plan(until=UNTIL[shape], **plan), with_hub=with_hub)


def _recorded(shape: str, with_hub: bool, armed_at: float) -> Counter[tuple[str, str]]:
    world = _world(shape, with_hub, armed_at=armed_at)
    assert world.run() == [], world.report()
    return world.points


def _walk(shape: str, with_hub: bool, armed_at: float, *, fails: bool) -> list[str]:
    """Spring a trap at each occurrence of each point, one simulation each; the reports of those that went wrong."""
    reports = []
    for (kind, point), count in sorted(_recorded(shape, with_hub, armed_at).items()):
        if fails and not point.startswith("state."):
            continue
        busy = point.startswith(("state.renew", "engine.effects"))
        for nth in range(1, min(count, ONCE_A_SECOND if busy else MOST) + 1):
            world = _world(shape, with_hub, armed_at=armed_at, traps=[Trap(kind, point, nth, fails)])
            if world.run() or not world.faults or (kind == "server" and _repeated(world)):
                executions = f"{world.beyond.executions} executions"
                reports.append(f"{world.report()}\n{executions}, fault at {point} of the {kind}, time {nth}")
    return reports


def _repeated(world: World) -> bool:
    """Work was done again: modules go on while their server is away, and what they have done counts."""
    return world.beyond.executions != sum(len(job.flow["nodes"]) for job in world.jobs)


BUSES = [pytest.param(False, id="log", marks=pytest.mark.full), pytest.param(True, id="hub")]
"""The embedded hub is what people run; a log such as Kafka's is for the full suite."""


@pytest.mark.parametrize("with_hub", BUSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_process_may_die_at_every_point_of_its_work(shape: str, with_hub: bool) -> None:
    reports = _walk(shape, with_hub, SUBMIT_AT, fails=False)
    assert not reports, f"{len(reports)} points; the first:\n{reports[0]}"


@pytest.mark.parametrize("with_hub", BUSES)
def test_a_process_may_die_at_every_point_of_its_start(with_hub: bool) -> None:
    reports = _walk("chain", with_hub, 0.0, fails=False)
    assert not reports, f"{len(reports)} points; the first:\n{reports[0]}"


@pytest.mark.parametrize("with_hub", BUSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_transaction_may_fail_with_an_unknown_outcome(shape: str, with_hub: bool) -> None:
    reports = _walk(shape, with_hub, SUBMIT_AT, fails=True)
    assert not reports, f"{len(reports)} points; the first:\n{reports[0]}"


def test_the_important_points_exist() -> None:
    passed = {point for _, point in _recorded("diamond", True, 0.0)}
    assert [name for name in POINTS if not any(point.startswith(name) for point in passed)] == []

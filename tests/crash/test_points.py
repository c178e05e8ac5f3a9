"""Every crash point that flows of all shapes pass: the process dies there, or its database fails, and everything still
ends as it must.

The points are found by a recorded run, so that a new `runtime.point(...)` is walked without being listed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.sim.chaos import Fault, Plan, Trap
from tests.sim.workload import SUCCEEDED, Job, chain, diamond, mapped, single, sinks, steps_of
from tests.sim.world import LATE_AT, World

SUBMIT_AT = 3.0
GOOD = frozenset({SUCCEEDED})
SHAPES: dict[str, Callable[[], list[Job]]] = {
    "chain": lambda: [Job("chain", chain(3, 0.02), GOOD, SUBMIT_AT)],
    "diamond": lambda: [Job("diamond", diamond(0.02), GOOD, SUBMIT_AT)],
    "map": lambda: [Job("map", mapped(5, 0.02), GOOD, SUBMIT_AT)],
    "sink": lambda: [Job("sink", sinks(0.02), GOOD, SUBMIT_AT)],
    "parked": lambda: [Job("late", single("sim.late", "late"), GOOD, SUBMIT_AT)],
}
UNTIL = {"parked": LATE_AT + 8.0}
USUALLY_UNTIL = 8.0
WIRES = {"hub": (True, 1), "log": (False, 1), "two": (False, 2)}
"""The embedded hub is what people run; a log such as Kafka's, and two servers at it."""
BOTH = [*((shape, wire) for shape in SHAPES for wire in ("hub", "log")), ("chain", "two"), ("sink", "two")]
ONCE_A_SECOND = 2
"""Occurrences that are walked of a point that is passed all the time."""
MOST = 8
POINTS = (
    "state.mesh", "state.acquire", "state.commit", "state.renew", "state.contract", "engine.effects",
    "supervisor.registered", "supervisor.before-publish", "supervisor.after-publish", "executor.before_write",
    "objects.commit",
)  # fmt: skip
STRIDE = 3
"""Of the steps of a loop one in so many is walked."""
SAMPLE = 7
"""The quick suite walks every so manieth of them."""


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def _world(shape: str, wire: str, *, executions: int | None = None, **plan: Any) -> World:
    with_hub, servers = WIRES[wire]
    whole = Plan(until=UNTIL.get(shape, USUALLY_UNTIL), **plan)
    return World(11, SHAPES[shape](), whole, with_hub=with_hub, servers=servers, executions=executions)


def _recorded(shape: str, wire: str, armed_at: float) -> Counter[tuple[str, str]]:
    world = _world(shape, wire, armed_at=armed_at)
    assert world.run() == [], world.report()
    return world.points


def _traps(points: Counter[tuple[str, str]], *, fails: bool) -> list[Trap]:
    """One for each occurrence of each point, up to a point."""
    traps = []
    for (kind, point), count in sorted(points.items()):
        if fails and not point.startswith("state."):
            continue
        busy = point.startswith(("state.renew", "engine.effects"))
        most = min(count, ONCE_A_SECOND if busy else MOST)
        traps += [Trap(kind, point, nth, fails) for nth in range(1, most + 1)]
    return traps


def _walk(shape: str, wire: str, armed_at: float, *, fails: bool, every: int = 1) -> None:
    """Spring the traps, one simulation each. Whatever happens to a server repeats no work: modules go on while it is
    away, and what they have done counts."""
    steps = sum(steps_of(job.flow) for job in SHAPES[shape]())
    reports = []
    for trap in _traps(_recorded(shape, wire, armed_at), fails=fails)[::every]:
        executions = steps if trap.kind == "server" else None
        world = _world(shape, wire, executions=executions, armed_at=armed_at, traps=[trap])
        if world.run() or not world.faults:
            reports.append(f"{world.report()}\nfault: {trap}")
    assert not reports, f"{len(reports)} points; the first:\n{reports[0]}"


@pytest.mark.full
@pytest.mark.parametrize(("shape", "wire"), BOTH)
def test_a_process_may_die_at_every_point_of_its_work(shape: str, wire: str) -> None:
    _walk(shape, wire, SUBMIT_AT, fails=False)


@pytest.mark.full
@pytest.mark.parametrize("wire", WIRES)
def test_a_process_may_die_at_every_point_of_its_start(wire: str) -> None:
    _walk("chain", wire, 0.0, fails=False)


@pytest.mark.full
@pytest.mark.parametrize(("shape", "wire"), BOTH)
def test_every_transaction_may_fail_with_an_unknown_outcome(shape: str, wire: str) -> None:
    _walk(shape, wire, SUBMIT_AT, fails=True)


@pytest.mark.full
@pytest.mark.parametrize("wire", ["hub", "log"])
@pytest.mark.parametrize(("kind", "last"), [("server-step", 240), ("instance-step", 120)])
def test_a_process_may_die_at_any_step_of_its_loop(kind: str, last: int, wire: str) -> None:
    """At every await, that is; named points are where it is known to hurt."""
    executions = steps_of(SHAPES["sink"]()[0].flow) if kind == "server-step" else None
    for number in range(1, last, STRIDE):
        fault = Fault(SUBMIT_AT, kind, 0, float(number))
        world = _world("sink", wire, executions=executions, faults=[fault])
        assert world.run() == [], f"{world.report()}\nfault: {fault}"


@pytest.mark.parametrize("fails", [False, True], ids=["dies", "fails"])
def test_some_points_of_a_flow_with_sinks(fails: bool) -> None:
    _walk("sink", "hub", SUBMIT_AT, fails=fails, every=SAMPLE)


def test_the_important_points_exist() -> None:
    passed = {point for _, point in _recorded("diamond", "hub", 0.0)}
    assert [name for name in POINTS if not any(point.startswith(name) for point in passed)] == []

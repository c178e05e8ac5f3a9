"""What `plugmesh.flows.rerun` plans, walked: exactly that is executed, and the run ends, whatever happened to the first."""

from copy import copy

from hypothesis import event, given
from hypothesis import strategies as st

from plugmesh.contracts.run import STEP_GOOD, Recovered, Rerun, StepState
from plugmesh.contracts.run import RunState as State
from plugmesh.flows.rerun import NOT_ASKED, Asked, Fate, Origin, Parts, plan_rerun
from plugmesh.flows.substitute import Scope, scope_of
from scheduler.changes import StepChange
from scheduler.events import Begin, Recover
from scheduler.plan import compile_plan
from scheduler.runstate import RunState
from scheduler.walk import advance
from tests.unit.scheduler.walking import Driver, flows, new_run


def ended(run: RunState, driver: Driver) -> Origin:
    """An ended run as a rerun sees it."""
    last = {change.step: change for change in driver.changes if isinstance(change, StepChange)}
    accepted = {
        name: Recovered(step=name, version=change.version, outputs=dict(change.outputs or {}))
        for name, change in last.items()
        if change.state in STEP_GOOD
    }
    left_out = frozenset(name for name, change in last.items() if change.reason == NOT_ASKED)
    steps = (change for change in driver.changes if isinstance(change, StepChange))
    told_cut = {} if run.rerun is None else run.rerun.pieces
    cut = {**told_cut, **{change.step: change.pieces for change in steps if change.pieces is not None}}
    flow, told = run.plan.flow, run.rerun
    return Origin(
        flow,
        scope_of(flow, {}, {}),
        accepted,
        left_out,
        elements={} if told is None else told.elements,
        pieces={name: ends for name, ends in cut.items() if ends},
    )


def rerun_of(old: Origin, parts: Parts) -> RunState:
    """The rerun, with what it takes over."""
    told = Rerun(
        origin="r-1",
        root="r-1",
        recovered=parts.recovered,
        skipped=parts.skipped,
        elements=dict(parts.elements),
        pieces=dict(parts.pieces),
    )
    return RunState("r-2", 0, compile_plan(old.flow), rerun=told)


def executed(driver: Driver) -> set[str]:
    changes = (change for change in driver.changes if isinstance(change, StepChange))
    return {change.step for change in changes if change.state is StepState.ASSIGNED}


def expected(old: Origin, parts: Parts) -> set[str]:
    """The steps that get an attempt: mapped nodes have none of their own."""
    taken = {one.step for one in parts.recovered}
    found = set()
    for name, fate in parts.fates.items():
        items = list(parts.pieces[name]) if name in parts.pieces else old.flow.nodes[name].map
        if fate is not Fate.AGAIN:
            continue
        numbers = parts.elements.get(name, range(len(items))) if isinstance(items, list) else ()
        found |= {f"{name}.{number}" for number in numbers} - taken if isinstance(items, list) else {name}
    return found


@st.composite
def wishes(draw: st.DrawFn, old: Origin) -> Asked:
    elements = [f"{name}.{item}" for name, node in old.flow.nodes.items() for item in range(len(node.map or ()))]  # type: ignore[arg-type]
    elements += [f"{name}.{item}" for name, ends in old.pieces.items() for item in range(len(ends))]
    steps = draw(st.lists(st.sampled_from([*old.flow.nodes, *elements]), max_size=2, unique=True).map(tuple))
    return draw(st.sampled_from([Asked(), Asked(start=True), Asked(steps=steps), Asked(only=steps)]))


@given(flows(), st.integers(0, 2**32), st.data())
def test_what_is_planned_is_executed_and_the_run_ends_also_after_a_restart(
    flow, seed: int, data: st.DataObject
) -> None:
    run = new_run(flow)
    driver = Driver(run, seed, fitting=True)
    driver.finish()
    old = ended(run, driver)
    for _ in range(2):  # the second one reruns the rerun
        parts = plan_rerun(old, data.draw(wishes(old)), Scope())
        event("refused" if parts.problems else "made")
        if parts.problems:
            return
        run = rerun_of(old, parts)
        assert run.rerun is not None
        changes = advance(run, Recover(1.0, run.rerun)).changes
        if data.draw(st.booleans()):
            run = restarted(old, parts, run)
        driver = Driver(run, seed, hostile=False, cutting=False)
        driver.changes = list(changes)
        driver.happen(Begin(2.0))
        driver.go_on()
        assert run.state is State.SUCCEEDED
        assert executed(driver) == expected(old, parts)
        assert parts.again == len(executed(driver)) + sum(
            fate is Fate.AGAIN and (old.flow.nodes[name].map is not None or name in parts.pieces)
            for name, fate in parts.fates.items()
        )
        old = ended(run, driver)


def restarted(old: Origin, parts: Parts, run: RunState) -> RunState:
    """The run in the memory of another scheduler, which knows of it what was committed."""
    _, steps = run.drain()
    again = rerun_of(old, parts)
    again.restore_steps([copy(step) for step in steps.values()])
    return again

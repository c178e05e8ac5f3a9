"""What the tests of the walk share: random flows, and a driver that plays placement and instances."""

import random
from collections.abc import Iterator

from hypothesis import strategies as st

from plugmesh.contracts.data import DataRef, Fragment, Reference, ValueRef
from plugmesh.contracts.flow import Flow, Node, RetryPolicy, Source
from plugmesh.contracts.run import StepError, StepState
from plugmesh.errors import ErrorClass
from scheduler.changes import Change
from scheduler.effects import Outcome
from scheduler.events import (
    Assigned,
    AttemptDone,
    AttemptFailed,
    AttemptLost,
    AttemptReturned,
    AttemptStarted,
    Begin,
    CancelAsked,
    Event,
    ModuleFound,
    NoModule,
    PauseAsked,
    ResumeAsked,
    RunTimedOut,
    Split,
    TimeCame,
)
from scheduler.plan import compile_plan
from scheduler.runstate import RunState
from scheduler.step import Step
from scheduler.walk import advance

OUT: dict[str, Reference] = {"out": ValueRef(value=1)}
PART: dict[str, Reference] = {"out": DataRef(schema_ipc="", rows=1, fragments=(Fragment(rows=1, groups=()),))}
TRANSIENT = StepError(error_class=ErrorClass.TRANSIENT, type="Flaky", message="try again")
FATAL = StepError(error_class=ErrorClass.FATAL, type="Broken", message="no use")


def flow_of(edges: dict[str, tuple[str, ...]], *, mapped: dict[str, list[int]] | None = None, shown: str = "") -> Flow:
    """A flow from `{node: parents}`."""
    nodes = {
        name: Node(
            module="test.step",
            inputs={f"p{index}": (Source(node=parent),) for index, parent in enumerate(parents)},
            map=(mapped or {}).get(name),
            retry=RetryPolicy(attempts=2),
        )
        for name, parents in edges.items()
    }
    outputs = {"result": Source(node=shown)} if shown else {}
    return Flow(name="test", nodes=nodes, outputs=outputs)


def new_run(flow: Flow, run: str = "r-1") -> RunState:
    """A run in memory, queued."""
    return RunState(run, 0, compile_plan(flow))


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Random graphs of up to 8 nodes, some mapped over lists of up to 4 elements."""
    count = draw(st.integers(1, 8))
    edges: dict[str, tuple[str, ...]] = {}
    for index in range(count):
        above = [f"n{other}" for other in range(index)]
        edges[f"n{index}"] = tuple(draw(st.lists(st.sampled_from(above), unique=True, max_size=3))) if above else ()
    chosen = draw(st.sets(st.sampled_from(sorted(edges)), max_size=2))
    mapped = {name: list(range(draw(st.integers(0, 4)))) for name in sorted(chosen)}
    shown = draw(st.sampled_from(sorted(set(edges) - set(mapped)) or [""]))
    return flow_of(edges, mapped=mapped, shown=shown)


class Driver:
    """Lets random but possible things happen to a run; keeps every change."""

    def __init__(
        self, run: RunState, seed: int, *, hostile: bool = True, cutting: bool = True, fitting: bool = False
    ) -> None:
        self.run, self.random, self.hostile = run, random.Random(seed), hostile
        self.cutting, self.fitting = cutting, fitting
        run.window = self.random.choice((1, 2, 256))
        self.changes: list[Change] = []
        self.at = 1000.0
        self.past: list[Event] = []

    def happen(self, event: Event) -> Outcome:
        """One event, and its changes kept."""
        outcome = advance(self.run, event)
        self.changes.extend(outcome.changes)
        if not isinstance(
            event, Assigned | Split
        ):  # placement is in the same process: it neither repeats nor comes late
            self.past.append(event)
        return outcome

    def events(self) -> Iterator[Event]:
        """What could happen now to the run, and to the steps that are there."""
        if self.run.state == "paused":
            yield ResumeAsked(self.at)
        for step in list(self.run.steps.values()):
            who = (step.id, step.epoch, step.instance or "")
            match step.state:
                case StepState.READY if self.run.state == "running":
                    yield Assigned(self.at, step.id, self.random.choice("ab"), "1.0.0")
                    if self.cutting and step.item < 0 and not step.epoch and step.pieces is None:
                        yield Split(self.at, step.id, "1.0.0", self.random.choice(((3, 5), (1, 2, 3, 4))))
                    yield NoModule(self.at, step.id, "nobody", self.at + 100)
                case StepState.PARKED:
                    yield ModuleFound(self.at, step.id)
                case StepState.WAITING:
                    yield TimeCame(step.wake_at or self.at, step.id)
                case StepState.ASSIGNED | StepState.RUNNING:
                    yield AttemptDone(self.at, *who, self.outputs(step))
                    yield AttemptStarted(self.at, *who)
                    if self.hostile:
                        yield AttemptFailed(self.at, *who, self.random.choice([TRANSIENT, FATAL]), 0.5)
                        yield AttemptReturned(self.at, *who, "busy")
                        yield AttemptLost(self.at, step.id, step.epoch, "gone")

    def outputs(self, step: Step) -> dict[str, Reference]:
        """What a step gives; pieces of a node give tables, now and then one that does not fit the others."""
        if self.run.piece(step) is None:
            return OUT
        return OUT if self.hostile and not self.fitting and self.random.random() < 0.1 else PART

    def step(self) -> bool:
        """Let one thing happen; False when nothing can."""
        possible = list(self.events())
        if not possible:
            return False
        self.at += 1.0
        roll = self.random.random()
        if self.hostile and roll < 0.15:
            self.happen(self.random.choice(self.past))  # a duplicate, or something much too late
        elif self.hostile and roll < 0.16:
            self.happen(CancelAsked(self.at, "someone", ""))
        elif self.hostile and roll < 0.165:
            self.happen(RunTimedOut(self.at))
        elif self.hostile and roll < 0.24:
            self.happen(PauseAsked(self.at, "someone", ""))
        else:
            self.happen(self.random.choice(possible))
        return True

    def go_on(self, most: int = 4000) -> None:
        """Let steps end, without anything from the past."""
        for _ in range(most):
            possible = list(self.events())
            if not possible:
                return
            self.at += 1.0
            self.happen(self.random.choice(possible))
        raise AssertionError(f"the run did not end: {self.run.state}, {self.run.steps}")

    def finish(self, most: int = 4000) -> None:
        """Go on until nothing can happen."""
        self.happen(Begin(self.at))
        for _ in range(most):
            if not self.step():
                return
        raise AssertionError(f"the run did not end: {self.run.state}, {self.run.steps}")

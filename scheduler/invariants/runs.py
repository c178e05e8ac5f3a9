"""What a run may do: end once, and have nothing assigned or accepted when a person said so."""

from __future__ import annotations

from collections.abc import Iterator

from plugmesh.contracts.run import RUN_NEXT, RUN_TERMINAL, STEP_GOOD, STEP_TERMINAL, RunState, StepState, shard_of
from plugmesh.state.records import StepRow, StoredRun
from scheduler.changes import AttemptChange, RunChange, StepChange
from scheduler.invariants.history import Past, Rule, Say
from scheduler.plan import PlanNode

_SWEPT = frozenset({StepState.CANCELLED, StepState.SKIPPED})


class Terminal(Rule):
    """Nothing changes a run that has ended, but what the event that ends it does to its steps."""

    def __init__(self, past: Past, say: Say) -> None:
        super().__init__(past, say)
        self._ended_in = 0

    def run_changed(self, seq: int, change: RunChange) -> None:
        self._judge(seq, change)
        if change.state in RUN_TERMINAL:
            self._ended_in = seq

    def step_changed(self, seq: int, change: StepChange, node: PlanNode) -> None:
        if not (seq == self._ended_in and change.state in _SWEPT):
            self._judge(seq, change)

    def attempt_changed(self, seq: int, change: AttemptChange) -> None:
        self._judge(seq, change)

    def _judge(self, seq: int, change: RunChange | StepChange | AttemptChange) -> None:
        if self._ended_in:
            step = "" if isinstance(change, RunChange) else change.step
            what = "it gets an attempt" if isinstance(change, AttemptChange) else f"it becomes {change.state}"
            self.say("terminal", f"{what} in event {seq}, after the run's end in event {self._ended_in}", step)


class RunTransitions(Rule):
    """A run goes from one state to one that may follow it."""

    def run_changed(self, seq: int, change: RunChange) -> None:
        if change.state not in RUN_NEXT[self.past.state]:
            self.say("transitions", f"event {seq} takes it from {self.past.state} to {change.state}", "")


class Held(Rule):
    """After a cancel nothing is assigned and nothing accepted; while a run is paused nothing is assigned."""

    def step_changed(self, seq: int, change: StepChange, node: PlanNode) -> None:
        state = self.past.state
        if state in {RunState.CANCELLING, RunState.CANCELLED} and change.state in {StepState.ASSIGNED, *STEP_GOOD}:
            self.say("cancelled", f"it is {change.state} in event {seq}, after the run was cancelled", change.step)
        elif state is RunState.PAUSED and change.state is StepState.ASSIGNED:
            self.say("paused", f"it is assigned in event {seq}, while the run is paused", change.step)


def wrong_row(run: StoredRun) -> Iterator[tuple[str, str]]:
    """What a run's own row contradicts itself in: the invariant, and how."""
    if (RunState(run.state) in RUN_TERMINAL) != (run.ended_at is not None):
        yield "terminal", f"it is {run.state}, and ended_at is {run.ended_at}"
    if run.shard != shard_of(run.id):
        yield "rows", f"it is in shard {run.shard}, its id belongs to shard {shard_of(run.id)}: nobody carries it on"


def unended(run: StoredRun, step: StepRow) -> Iterator[str]:
    """A step of a run that has ended has ended, too."""
    if RunState(run.state) in RUN_TERMINAL and StepState(step.state) not in STEP_TERMINAL:
        yield f"it is {step.state}, and its run has {run.state}"

"""A run's history: its event rows gone through once, and every rule told of each change before it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from plugmesh.contracts.run import STEP_GOOD, STEP_TERMINAL, RunState, StepState
from scheduler.changes import AttemptChange, Change, RunChange, StepChange
from scheduler.plan import Plan, PlanNode

_STATES = tuple(StepState)
_CODES = {state: code for code, state in enumerate(_STATES)}

Say = Callable[[str, str, str], None]
"""Report a violation: the invariant, what is wrong, and the step (or "")."""


@dataclass(slots=True)
class Seen:
    """A step as the changes so far have made it."""

    state: StepState = StepState.PENDING
    epoch: int = 0
    instance: str | None = None
    failures: int = 0
    ready_at: float | None = None
    wake_at: float | None = None


@dataclass(slots=True)
class Past:
    """What has happened to a run so far. Steps that ended are kept as one number each: there may be a million."""

    plan: Plan
    state: RunState = RunState.QUEUED
    good: set[int] = field(default_factory=set)
    """Nodes whose outputs others may read."""
    left_out: set[int] = field(default_factory=set)
    """Nodes that were skipped."""
    split: set[int] = field(default_factory=set)
    """Nodes that are done in pieces."""
    live: dict[str, Seen] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)

    def step(self, step: str) -> Seen:
        """A step as it is; `pending` if nothing happened to it yet."""
        seen = self.live.get(step)
        if seen is not None:
            return seen
        code = self.ended.get(step)
        return Seen() if code is None else Seen(_STATES[code % len(_STATES)], code // len(_STATES))

    def accepted_epoch(self, step: str) -> int | None:
        """The epoch that a step was accepted with; `None` if it was not."""
        code = self.ended.get(step)
        if code is None or _STATES[code % len(_STATES)] not in STEP_GOOD:
            return None
        return code // len(_STATES)

    def node(self, step: str) -> PlanNode | None:
        """The node of a step; `None` if the flow has none of this name."""
        index = self.plan.by_name.get(step.partition(".")[0])
        return None if index is None else self.plan.nodes[index]

    def follow(self, change: Change) -> None:
        """Let a change count."""
        if isinstance(change, RunChange):
            self.state = change.state
        elif isinstance(change, StepChange):
            self._follow_step(change)

    def _follow_step(self, change: StepChange) -> None:
        node = self.node(change.step)
        if node is not None and "." not in change.step:
            if change.state in STEP_GOOD:
                self.good.add(node.index)
            elif change.state is StepState.SKIPPED:
                self.left_out.add(node.index)
            if change.pieces is not None:
                (self.split.add if change.pieces else self.split.discard)(node.index)
        if change.state in STEP_TERMINAL:
            self.live.pop(change.step, None)
            self.ended[change.step] = change.epoch * len(_STATES) + _CODES[change.state]
            return
        seen = self.live.setdefault(change.step, Seen())
        seen.state, seen.epoch, seen.instance = change.state, change.epoch, change.instance
        seen.failures, seen.wake_at = change.failures, change.wake_at
        if seen.ready_at is None and change.state is StepState.READY:
            seen.ready_at = change.at


class Rule:
    """One look at a run's history. It is told of each change while `past` is still as it was before."""

    def __init__(self, past: Past, say: Say) -> None:
        self.past, self.say = past, say

    def run_changed(self, seq: int, change: RunChange) -> None:
        """The run has a new state."""

    def step_changed(self, seq: int, change: StepChange, node: PlanNode) -> None:
        """A step has a new state."""

    def attempt_changed(self, seq: int, change: AttemptChange) -> None:
        """An attempt ended without becoming its step's result."""


def go_through(
    past: Past, events: Iterator[tuple[int, list[Change]]], rules: Sequence[Rule], say: Say
) -> Iterator[tuple[int, list[Change]]]:
    """Tell the rules of every change; each event row is passed on."""
    for seq, changes in events:
        for change in changes:
            _tell(past, seq, change, rules, say)
            past.follow(change)
        yield seq, changes


def _tell(past: Past, seq: int, change: Change, rules: Sequence[Rule], say: Say) -> None:
    if isinstance(change, StepChange):
        node = past.node(change.step)
        if node is None:
            say("rows", f"event {seq} is about a step that is not in the flow", change.step)
            return
        for rule in rules:
            rule.step_changed(seq, change, node)
    elif isinstance(change, RunChange):
        for rule in rules:
            rule.run_changed(seq, change)
    elif isinstance(change, AttemptChange):
        for rule in rules:
            rule.attempt_changed(seq, change)

"""What a step may do: follow its states, begin after its parents, be accepted once from the attempt that was out."""

from __future__ import annotations

from plugmesh.contracts.run import STEP_GOOD, STEP_NEXT, StepState
from scheduler.changes import AttemptChange, StepChange
from scheduler.invariants.history import Past, Rule, Say
from scheduler.plan import PlanNode

_BEGUN = frozenset({StepState.READY, StepState.ASSIGNED, StepState.RUNNING, StepState.SUCCEEDED})
_OUT = frozenset({StepState.ASSIGNED, StepState.RUNNING})
ENDED_BADLY = frozenset({"failed", "lost", "returned"})
"""States of attempts that gave no result."""


class StepTransitions(Rule):
    """A step goes from one state to one that may follow it."""

    def step_changed(self, seq: int, change: StepChange, node: PlanNode) -> None:
        before = self.past.step(change.step).state
        is_back = change.state is StepState.PENDING and not change.pieces
        if change.state not in STEP_NEXT[before] or is_back:
            self.say("transitions", f"event {seq} takes it from {before} to {change.state}", change.step)


class Accepted(Rule):
    """A step succeeds at most once, by the attempt that was out, and epochs rise one by one."""

    def __init__(self, past: Past, say: Say) -> None:
        super().__init__(past, say)
        self._bad: set[tuple[str, int]] = set()

    def attempt_changed(self, seq: int, change: AttemptChange) -> None:
        if change.state not in ENDED_BADLY:
            return
        self._bad.add((change.step, change.epoch))
        if self.past.accepted_epoch(change.step) == change.epoch:
            self.say("accepted", f"its attempt {change.epoch} was accepted, and is {change.state} too", change.step)

    def step_changed(self, seq: int, change: StepChange, node: PlanNode) -> None:
        before = self.past.step(change.step)
        if change.state is StepState.ASSIGNED and change.epoch != before.epoch + 1:
            self.say(
                "accepted",
                f"it is assigned with epoch {change.epoch} in event {seq}, after {before.epoch}",
                change.step,
            )
        elif change.state is StepState.SUCCEEDED:
            self._succeeded(seq, change, node)

    def _succeeded(self, seq: int, change: StepChange, node: PlanNode) -> None:
        before = self.past.step(change.step)
        if self.past.accepted_epoch(change.step) is not None:
            self.say("accepted", f"it is accepted again in event {seq}", change.step)
        elif "." not in change.step and (node.mapped or node.index in self.past.split):
            return  # it has no attempt: its elements or pieces have
        elif before.state not in _OUT or (before.epoch, before.instance) != (change.epoch, change.instance):
            out = f"what was out is {before.instance}, epoch {before.epoch}" if before.epoch else "nothing was out"
            self.say(
                "accepted", f"event {seq} accepts it from {change.instance}, epoch {change.epoch}: {out}", change.step
            )
        elif (change.step, change.epoch) in self._bad:
            self.say(
                "accepted", f"its attempt {change.epoch} had ended badly, and is accepted all the same", change.step
            )


class Parents(Rule):
    """A step begins only when all its parents were accepted. `fed` nodes get data in place of what was left out."""

    def __init__(self, past: Past, say: Say, fed: frozenset[str] = frozenset()) -> None:
        super().__init__(past, say)
        self._fed = fed

    def step_changed(self, seq: int, change: StepChange, node: PlanNode) -> None:
        if change.state not in _BEGUN or self.past.good.issuperset(node.parents):
            return
        missing = set(node.parents) - self.past.good
        if node.name in self._fed:
            missing -= self.past.left_out
        names = ", ".join(self.past.plan.nodes[parent].name for parent in sorted(missing))
        if names:
            self.say("parents", f"it is {change.state} in event {seq}, before {names} was accepted", change.step)


def is_good(state: str) -> bool:
    """Others may read the outputs of a step in that state."""
    return StepState(state) in STEP_GOOD

"""A step's outputs are what its accepted attempt wrote, what earlier accepted attempts wrote, or what the run was given."""

from __future__ import annotations

from plugmesh.contracts.data import referenced_keys
from plugmesh.contracts.run import STEP_GOOD, StepState
from plugmesh.objects.keys import attempt_prefix
from plugmesh.state.records import StoredRun
from scheduler.changes import StepChange
from scheduler.invariants.history import Past, Rule, Say
from scheduler.plan import PlanNode

_ATTEMPT_WORDS = 5


class Visible(Rule):
    """`given` are the objects that the run began with: its inputs, what its params and flow name, what it was fed."""

    def __init__(self, past: Past, say: Say, run: StoredRun, given: frozenset[str]) -> None:
        super().__init__(past, say)
        self._run, self._given = run, set(given)

    def step_changed(self, seq: int, change: StepChange, node: PlanNode) -> None:
        if change.state not in STEP_GOOD:
            return
        keys = {key for reference in (change.outputs or {}).values() for key in referenced_keys(reference)}
        if change.state is StepState.RECOVERED:
            self._given |= keys  # whether they are its origin's is another question
            return
        own = attempt_prefix(self._run.namespace, self._run.id, change.step, change.epoch) + "/"
        for key in sorted(keys - self._given):
            if not key.startswith(own) and not self._is_accepted(key):
                self.say(
                    "visible", f"accepted with epoch {change.epoch}, it shows {key} of another attempt", change.step
                )

    def _is_accepted(self, key: str) -> bool:
        """Whether an attempt of this run wrote it that was accepted before."""
        words = key.split("/")
        if len(words) <= _ATTEMPT_WORDS or words[:3] != ["data", self._run.namespace, self._run.id]:
            return False
        return words[4].isdecimal() and self.past.accepted_epoch(words[3]) == int(words[4])

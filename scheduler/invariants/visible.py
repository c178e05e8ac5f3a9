"""A step's outputs are what its accepted attempt wrote, what earlier accepted attempts wrote, or what the run was given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from plugmesh.contracts.data import JoinedRef, Reference, SpilledRef, referenced_keys
from plugmesh.contracts.run import STEP_GOOD, StepState
from plugmesh.data.named import Named
from plugmesh.objects.keys import attempt_prefix
from plugmesh.state.records import StoredRun
from scheduler.changes import StepChange
from scheduler.invariants.history import Past, Rule, Say
from scheduler.plan import PlanNode

_ATTEMPT_WORDS = 5

Inside = Callable[[Collection[str]], frozenset[str] | None]
"""The objects that spilled references name inside; `None` if that cannot be found out."""


class Visible(Rule):
    """`given` are the objects that the run began with: its inputs, what its params and flow name, what it was fed."""

    def __init__(self, past: Past, say: Say, run: StoredRun, given: Named, inside: Inside) -> None:
        super().__init__(past, say)
        self._run, self._inside = run, inside
        self._given, self._spilled = set(given.keys), set(given.spilled)
        self._unknown = False

    def step_changed(self, seq: int, change: StepChange, node: PlanNode) -> None:
        if change.state not in STEP_GOOD:
            return
        keys = {key for reference in (change.outputs or {}).values() for key in referenced_keys(reference)}
        if change.state is StepState.RECOVERED:  # whether they are its origin's is another question
            self._given |= keys
            self._spilled |= set(_spilled((change.outputs or {}).values()))
            return
        own = attempt_prefix(self._run.namespace, self._run.id, change.step, change.epoch) + "/"
        for key in sorted(keys - self._given):
            if not (key.startswith(own) or self._is_accepted(key) or self._is_given_inside(key)):
                self.say(
                    "visible", f"accepted with epoch {change.epoch}, it shows {key} of another attempt", change.step
                )

    def _is_accepted(self, key: str) -> bool:
        """Whether an attempt of this run wrote it that was accepted before."""
        words = key.split("/")
        if len(words) <= _ATTEMPT_WORDS or words[:3] != ["data", self._run.namespace, self._run.id]:
            return False
        return words[4].isdecimal() and self.past.accepted_epoch(words[3]) == int(words[4])

    def _is_given_inside(self, key: str) -> bool:
        """Whether a long reference that the run began with names it; these are read when there is need to, which is rare."""
        if self._spilled:
            inside = self._inside(self._spilled)
            self._unknown = self._unknown or inside is None
            self._given |= inside or frozenset()
            self._spilled.clear()
        return self._unknown or key in self._given


def _spilled(references: Iterable[Reference]) -> Iterator[str]:
    for reference in references:
        if isinstance(reference, JoinedRef):
            yield from _spilled(reference.parts)
        elif isinstance(reference, SpilledRef):
            yield reference.key

"""A run that has not ended has something that will move it on, and its rows say what it waits for, and until when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from plugmesh.contracts.run import RUN_TERMINAL, RunState, StepState
from plugmesh.state.records import StepRow, StoredRun

_OUT = frozenset({StepState.ASSIGNED, StepState.RUNNING})
_UNTIL = frozenset({StepState.WAITING, StepState.PARKED})


class Progress:
    """Told of each step row of a run; `end` says what is wrong with all of them together. `seen`: a scheduler has taken
    the run up; else its row is as whoever accepted it wrote it."""

    def __init__(self, run: StoredRun, *, seen: bool) -> None:
        self._run, self._seen = run, seen
        self._state = RunState(run.state)
        self._states: Counter[str] = Counter()
        self._moving = 0

    def step(self, row: StepRow) -> Iterator[str]:
        """What is wrong with one step."""
        if self._state in RUN_TERMINAL:
            return
        state = StepState(row.state)
        self._states[row.state] += 1
        self._moving += state is StepState.READY or state in _OUT or row.wake_at is not None
        if state in _UNTIL and row.wake_at is None:
            yield f"it is {state} without an end"
        if state in _UNTIL and not row.reason:
            yield f"it is {state} and does not say why"
        if state in _OUT and row.instance is None:
            yield f"it is {state} on no instance"

    def end(self) -> Iterator[str]:
        """What is wrong with the run."""
        if self._state in RUN_TERMINAL:
            return
        waits_in_line = self._state is RunState.QUEUED and self._run.permit is not None and self._seen
        if (waits_in_line or self._state is RunState.PAUSED) and not self._run.reason:
            yield f"it is {self._state} and does not say why"
        if self._state in {RunState.RUNNING, RunState.CANCELLING} and not self._moving:
            states = ", ".join(f"{count:,} {state}" for state, count in sorted(self._states.items())) or "none"
            yield f"it is {self._state} and nothing will move it on; its steps: {states}"

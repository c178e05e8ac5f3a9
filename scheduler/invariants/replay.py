"""The event rows of a run, replayed, give its row, the rows of its steps, and its attempts.

The rows of a run may be a million, so they are not held beside each other: both sides are reckoned up to one number,
and only where the numbers differ it is looked for the rows that do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from plugmesh.contracts.run import STEP_TERMINAL, RunState
from plugmesh.state.records import AttemptRow, StepRow
from scheduler import runstate
from scheduler.changes import AttemptChange, Change
from scheduler.invariants.history import Say
from scheduler.invariants.reading import RunRows
from scheduler.plan import Plan
from scheduler.restore import restore_run
from scheduler.work import attempt_row, run_update, step_row

_SHOWN = 20
"""So many differing rows of a run are told in full."""
_RUN_COLUMNS = ("state", "reason", "outputs", "started_at", "ended_at")


class Replay:
    """One run from its beginning. `total` and `count` are of the step rows that came out; those are final."""

    def __init__(self, run: RunRows, plan: Plan) -> None:
        fresh = replace(run.stored, state=RunState.QUEUED.value, reason=None, started_at=None, ended_at=None)
        self.state = restore_run(fresh, plan, [])
        self.broken = ""
        self.total = self.count = 0
        self.attempts: dict[tuple[str, int, str], AttemptRow] = {}

    def row(self, changes: list[Change]) -> None:
        """The next event row."""
        for row in self.rows_of(changes):
            self.total += hash(row)
            self.count += 1

    def end(self) -> None:
        """There are no more."""
        for row in self.rest():
            self.total += hash(row)
            self.count += 1

    def rows_of(self, changes: list[Change]) -> Iterator[StepRow]:
        """Apply an event row; the rows of the steps that have ended with it."""
        state = self.state
        try:
            for change in changes:
                if self.broken:
                    return
                state.apply(change)
                if isinstance(change, AttemptChange):
                    self.attempts[change.step, change.epoch, change.state.value] = attempt_row(state, change)
        except (runstate.InvalidTransition, KeyError) as error:
            self.broken = str(error)
        _, touched = state.drain()
        yield from (step_row(state, step) for step in touched.values() if step.state in STEP_TERMINAL)
        for mapped in state.maps.values():  # what the walk would still need of a large run, and nobody does here
            mapped.outputs.clear()
        state.results.clear()

    def rest(self) -> Iterator[StepRow]:
        """The rows of the steps that have not ended."""
        return (step_row(self.state, step) for step in self.state.steps.values())


def compare(run: RunRows, plan: Plan, replayed: Replay, rows: tuple[int, int], say: Say) -> None:
    """Say what differs. `rows` are the number of the run's step rows and the sum of their hashes."""
    if replayed.broken:
        say("replay", f"its events cannot be replayed: {replayed.broken}", "")
        return
    update = run_update(replayed.state)
    for name in _RUN_COLUMNS:
        expected, found = getattr(update, name), getattr(run.stored, name)
        if expected != found:
            say("replay", f"{name} is {found!r}, its events say {expected!r}", "")
    if (replayed.count, replayed.total) != rows:
        _compare_steps(run, plan, say)
    _compare_attempts(run, replayed.attempts, say)


def _compare_steps(run: RunRows, plan: Plan, say: Say) -> None:
    expected = {row.id: hash(row) for row in _final_rows(run, plan)}
    differing: dict[str, StepRow] = {}
    for row in run.steps():
        if expected.pop(row.id, None) != hash(row) and len(differing) < _SHOWN:
            differing[row.id] = row
    missing = set(list(expected)[:_SHOWN])
    shown = {row.id: row for row in _final_rows(run, plan) if row.id in differing or row.id in missing}
    for step in sorted(missing):
        say("replay", f"it has no row, its events say that it is {shown[step].state}", step)
    for step, row in differing.items():
        if step not in shown:
            say("replay", f"its row says that it is {row.state}, and no event is about it", step)
            continue
        for name in StepRow._fields[1:]:
            wanted, found = getattr(shown[step], name), getattr(row, name)
            if wanted != found:
                say("replay", f"{name} is {found!r}, its events say {wanted!r}", step)


def _final_rows(run: RunRows, plan: Plan) -> Iterator[StepRow]:
    replayed = Replay(run, plan)
    for _, changes in run.events():
        yield from replayed.rows_of(changes)
    yield from replayed.rest()


def _compare_attempts(run: RunRows, expected: dict[tuple[str, int, str], AttemptRow], say: Say) -> None:
    for row in run.attempts():
        wanted = expected.pop((row.step, row.epoch, row.state), None)
        if wanted is None:
            say("replay", f"there is a row of attempt {row.epoch}, {row.state}, and no event about it", row.step)
        elif wanted != row:
            say("replay", f"the row of attempt {row.epoch}, {row.state}, is not what its event says", row.step)
    for step, epoch, state in expected:
        say("replay", f"its attempt {epoch}, {state}, has no row", step)

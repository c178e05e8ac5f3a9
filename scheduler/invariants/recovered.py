"""A step that a rerun did not execute has the very outputs that its origin's step was accepted with."""

from __future__ import annotations

import json
from collections.abc import Iterable

import sqlalchemy as sa

from plugmesh.state import schema
from plugmesh.state.records import StepRow, StoredRun
from scheduler.invariants.history import Say
from scheduler.invariants.reading import Snapshot
from scheduler.invariants.steps import is_good

_AT_ONCE = 500


def check_recovered(snapshot: Snapshot, run: StoredRun, rows: Iterable[StepRow], say: Say) -> int:
    """Compare recovered steps with those of the origin; how many could not be, because the origin is gone by now."""
    wanted = {row.id: row for row in rows}
    if not wanted:
        return 0
    if run.origin is None:
        for step in wanted:
            say("recovered", "it is recovered, and its run repeats no other", step)
        return 0
    origin = snapshot.rows(sa.select(schema.run.c.key).where(schema.run.c.id == run.origin))
    if not origin:
        return len(wanted)  # it was removed, as old runs are
    found = dict(_steps(snapshot, int(origin[0][0]), list(wanted)))
    for step, row in wanted.items():
        if step not in found:
            say("recovered", f"its origin {run.origin} has no such step", step)
            continue
        state, outputs = found[step]
        if not is_good(state):
            say("recovered", f"in its origin {run.origin} it is {state}", step)
        elif _document(outputs) != _document(row.outputs):
            say("recovered", f"its outputs are not those of its origin {run.origin}", step)
    return 0


def _steps(snapshot: Snapshot, key: int, names: list[str]) -> Iterable[tuple[str, tuple[str, str | None]]]:
    step = schema.step
    for at in range(0, len(names), _AT_ONCE):
        query = sa.select(step.c.id, step.c.state, step.c.outputs)
        for row in snapshot.rows(query.where(step.c.run == key, step.c.id.in_(names[at : at + _AT_ONCE]))):
            yield row.id, (row.state, row.outputs)


def _document(text: str | None) -> object:
    """A node without outputs has none, or an empty object."""
    return (json.loads(text) if text else None) or {}

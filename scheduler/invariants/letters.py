"""Rejected rows belong to the attempt that a step has ended with, and are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from plugmesh.contracts.data import Reference
from plugmesh.contracts.run import STEP_TERMINAL
from plugmesh.state import schema
from plugmesh.state.dead_letters import DISCARDED, OPEN, REDRIVEN
from scheduler.invariants.objects import Objects
from scheduler.invariants.reading import PAGE_ROWS, Snapshot
from scheduler.invariants.violation import Report, Violation

_REFERENCE: TypeAdapter[Reference] = TypeAdapter(Reference)
_ENDS = frozenset(state.value for state in STEP_TERMINAL)
_letter, _run, _step, _event = schema.dead_letter, schema.run, schema.step, schema.event


def check_letters(snapshot: Snapshot, report: Report, objects: Objects | None) -> Sequence[Violation]:
    """Look at every dead letter. Comes back with what is wrong with objects."""
    about_objects: list[Violation] = []
    after = 0
    while rows := _page(snapshot, after):
        for row in rows:
            report.counts["dead letters"] += 1
            for text in _wrong(row):
                report.add(Violation("letters", text, row.run, row.step))
            if objects is not None and row.key is not None and row.data_gone_at is None:
                about_objects += _wrong_objects(row, objects)
        after = rows[-1].number
    return about_objects


def _page(snapshot: Snapshot, after: int) -> Sequence[Any]:
    snapshot.renew()
    letter = _letter.c
    first = sa.select(sa.func.min(_event.c.seq)).where(_event.c.run == _run.c.key).scalar_subquery()
    columns = (letter.key.label("number"), letter.run, letter.step, letter.epoch, letter.outcome, letter.state)
    more = (letter.ref, letter.edited, letter.redrive, _run.c.key, _run.c.data_gone_at, first.label("first"))
    of_step = (_step.c.state.label("step_state"), _step.c.epoch.label("step_epoch"))
    query = sa.select(*columns, *more, *of_step).outerjoin(_run, _run.c.id == letter.run)
    query = query.outerjoin(_step, sa.and_(_step.c.run == _run.c.key, _step.c.id == letter.step))
    return snapshot.rows(query.where(letter.key > after).order_by(letter.key).limit(PAGE_ROWS))


def _wrong(row: Any) -> Iterator[str]:
    if row.key is None:
        yield "it has rejected rows, and there is no such run"
    elif row.step_state is None:
        if row.first == 1:  # else the run is being removed, and the letter goes last
            yield "it has rejected rows, and the run has no such step"
    elif row.step_state not in _ENDS or row.step_state != row.outcome:
        yield f"its rejected rows are those of a step that has {row.outcome}, and it is {row.step_state}"
    elif row.epoch != row.step_epoch:
        yield f"its rejected rows are of attempt {row.epoch}, and it has ended with attempt {row.step_epoch}"
    if row.state not in {OPEN, REDRIVEN, DISCARDED} or (row.state == REDRIVEN) != (row.redrive is not None):
        yield f"its rejected rows are {row.state}, and the run that got them is {row.redrive}"


def _wrong_objects(row: Any, objects: Objects) -> Iterator[Violation]:
    for text in filter(None, (row.ref, row.edited)):
        try:
            reference = _REFERENCE.validate_json(text)
        except ValueError:
            yield Violation("rows", f"where its rejected rows are cannot be read: {text:.200}", row.run, row.step)
            continue
        for wrong in objects.wrong(reference):
            yield Violation("objects", f"its rejected rows: {wrong}", row.run, row.step)

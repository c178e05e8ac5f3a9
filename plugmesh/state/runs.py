"""Runs in lists, steps by state, and the end of a run's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from plugmesh.contracts.run import RUN_TERMINAL
from plugmesh.errors import Conflict, NotFound
from plugmesh.state import schema
from plugmesh.state.reads import Reader, with_seq
from plugmesh.state.records import StepRow, StoredRun
from plugmesh.state.writes import Writer

SLICE_ROWS = 5_000
"""Rows of a long run are removed so many at a time, so that the commits of others are not held up."""

_FEW = 2_000
"""So many matches are collected and sorted; of more, the newest are soon found by looking through the newest runs."""

_run, _label, _step = schema.run, schema.run_label, schema.step


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are wanted; all conditions hold. `since` and `until` are about `submitted_at`: from, and before."""

    namespace: str | None = None
    flow: str | None = None
    states: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    since: float | None = None
    until: float | None = None


def list_runs(reader: Reader, wanted: RunFilter, *, before: int | None, limit: int) -> list[StoredRun]:
    """Newest first; `before` is the key of the last run of the page before."""
    query = with_seq().limit(limit)
    position: sa.ColumnElement[int] = _run.c.key
    for number, (name, value) in enumerate(_rarest_first(reader, wanted.labels)):
        label = _label.alias(f"label_{number}")
        query = query.join(label, sa.and_(label.c.run == _run.c.key, label.c.name == name, label.c.value == value))
        position = label.c.run if number == 0 else position  # the index of labels is in this order already
    query = query.order_by(position.desc()).where(*_conditions(wanted), *_time(reader, wanted))
    if before is not None:
        query = query.where(position < before)
    return [StoredRun(*row) for row in reader.rows(query)]


def _rarest_first(reader: Reader, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Labels in the order in which they are best looked up: what the first one leaves is looked at one by one."""
    if len(labels) < 2:
        return list(labels.items())

    def count(item: tuple[str, str]) -> int:
        return _few(reader, sa.select(_label.c.run).where(_label.c.name == item[0], _label.c.value == item[1]))

    return sorted(labels.items(), key=count)


def _time(reader: Reader, wanted: RunFilter) -> list[sa.ColumnElement[bool]]:
    """Conditions about the time: by the index of times if few runs match, else without it.

    A database that took the index in any case would sort all runs since last year for the newest fifty.
    """
    conditions = _between(_run.c.submitted_at, wanted)
    if not conditions:
        return []
    matches = sa.select(_run.c.key).where(*conditions)
    if _few(reader, matches) < _FEW:
        return [_run.c.key.in_(matches)]
    return _between(_run.c.submitted_at + 0.0, wanted)


def _between(time: sa.ColumnElement[float], wanted: RunFilter) -> list[sa.ColumnElement[bool]]:
    since = [] if wanted.since is None else [time >= wanted.since]
    return since if wanted.until is None else [*since, time < wanted.until]


def _few(reader: Reader, rows: sa.Select[Any]) -> int:
    """How many rows there are, at most `_FEW`."""
    return int(reader.rows(sa.select(sa.func.count()).select_from(rows.limit(_FEW).subquery()))[0][0])


def _conditions(wanted: RunFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.namespace is not None:
        found.append(_run.c.namespace == wanted.namespace)
    if wanted.flow is not None:
        found.append(_run.c.flow == wanted.flow)
    if wanted.states:
        found.append(_run.c.state.in_(list(wanted.states)))
        if RUN_TERMINAL.isdisjoint(wanted.states):
            found.append(_run.c.ended_at.is_(None))  # lets the index of unfinished runs serve
    return found


def list_steps(reader: Reader, run: StoredRun, *, states: Sequence[str], after: str, limit: int) -> list[StepRow]:
    """Rows of a run's steps in one of `states` (none: in any), in the order of their ids."""
    if not states:
        return reader.steps(run, after=after, limit=limit)
    where = (_step.c.run == run.key, _step.c.id > after, _step.c.state.in_(list(states)))
    rows = reader.rows(sa.select(_step).where(*where).order_by(_step.c.id).limit(limit))
    return [StepRow(run.id, *row[1:]) for row in rows]


def element_steps(reader: Reader, run: StoredRun, node: str) -> list[StepRow]:
    """The rows of a mapped node's elements, in the order of the elements."""
    rows = [StepRow(run.id, *row[1:]) for row in reader.rows(sa.select(_step).where(*_elements(run, node)))]
    return sorted(rows, key=lambda row: int(row.id.rpartition(".")[2]))


def pieces_of(reader: Reader, run: StoredRun) -> dict[str, str]:
    """The nodes of a run that were done in pieces, and where these end, as JSON text."""
    query = sa.select(_step.c.id, _step.c.pieces).where(_step.c.run == run.key, _step.c.pieces.is_not(None))
    return {str(step): str(ends) for step, ends in reader.rows(query)}


def element_counts(reader: Reader, run: StoredRun, node: str) -> dict[str, int]:
    """How many of a mapped node's elements are in each state; those without a row are left out."""
    query = sa.select(_step.c.state, sa.func.count()).where(*_elements(run, node)).group_by(_step.c.state)
    return {str(state): int(count) for state, count in reader.rows(query)}


def _elements(run: StoredRun, node: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Between the first and the last number that an element can have, which the primary key finds in every collation;
    and really of this node: to some collations (and to LIKE in SQLite) large and small letters are the same."""
    prefix = f"{node}."
    among = _step.c.id.between(f"{prefix}0", prefix + "9" * 12)
    return _step.c.run == run.key, among, sa.func.substr(_step.c.id, 1, len(prefix)) == prefix


def delete_run_rows(writer: Writer, run: str) -> bool:
    """Remove a run that has ended, and all rows about it; its objects are the sweeper's.

    One call removes at most a few thousand rows: call again as long as the answer is True. The run's own row goes
    last. Raises `NotFound`, `Conflict` for a run that has not ended.
    """
    return writer.transaction("delete_run", lambda: _delete(writer, run))


def _delete(writer: Writer, run: str) -> bool:
    execute = writer.connection.execute
    found = execute(sa.select(_run.c.key, _run.c.ended_at, _run.c.state).where(_run.c.id == run)).first()
    if found is None:
        raise NotFound(f"there is no run {run!r}: `plugmesh runs` or GET /api/v1/runs lists them")
    if found.ended_at is None:
        raise Conflict(f"run {run} is {found.state}: only a run that has ended can be deleted, so cancel it first")
    for table, column in ((schema.event, "seq"), (_step, "id"), (schema.attempt, "step")):
        if _delete_slice(writer, table, column, int(found.key)):
            return True
    execute(sa.delete(_label).where(_label.c.run == found.key))
    for of_run in (schema.command, schema.run_pin, schema.notification, schema.conviction, schema.dead_letter):
        execute(sa.delete(of_run).where(of_run.c.run == run))
    execute(sa.delete(_run).where(_run.c.key == found.key))
    return False


def _delete_slice(writer: Writer, table: sa.Table, column: str, run: int) -> bool:
    """Remove the first rows of a run; whether there are more."""
    ordered = table.c[column]
    mine = table.c.run == run
    last = writer.connection.execute(
        sa.select(ordered).where(mine).order_by(ordered).offset(SLICE_ROWS - 1).limit(1)
    ).scalar()
    writer.connection.execute(sa.delete(table).where(mine if last is None else sa.and_(mine, ordered <= last)))
    return last is not None

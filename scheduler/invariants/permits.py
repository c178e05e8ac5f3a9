"""Never more runs are under way than their limit allows; places in a line are held by runs that have not ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from plugmesh.contracts.run import Permit
from plugmesh.state import schema
from scheduler.invariants.reading import Snapshot
from scheduler.invariants.violation import Report, Violation

_run, _permit = schema.run, schema.permit
_Line = tuple[str, str]


def check_permits(snapshot: Snapshot, report: Report, *, clock_skew_s: float) -> None:
    """All lines of the mesh, now and over time. `clock_skew_s`: runs that overlap by less may have been one after
    the other, by clocks that differ or were set."""
    snapshot.renew()
    for violation in (*_held(snapshot, report), *_not_held(snapshot), *_over_time(snapshot, clock_skew_s)):
        report.add(violation)


def _held(snapshot: Snapshot, report: Report) -> Iterator[Violation]:
    columns = (_permit.c.namespace, _permit.c.name, _permit.c.place, _permit.c.run)
    of_run = (_run.c.ended_at, _run.c.namespace.label("space"), _run.c.permit, _run.c.id)
    for row in snapshot.rows(sa.select(*columns, *of_run).outerjoin(_run, _run.c.id == _permit.c.run)):
        report.counts["permits"] += 1
        where = f"place {row.place} of {row.name!r} in {row.namespace}"
        wanted = _wanted(row.permit)
        if row.id is None:
            yield Violation("permits", f"{where} is held by it, and there is no such run", row.run)
        elif row.ended_at is not None:
            yield Violation("permits", f"it has ended, and still holds {where}", row.run)
        elif wanted is None or (wanted.name, row.space) != (row.name, row.namespace):
            yield Violation("permits", f"it holds {where}, which it does not need", row.run)
        elif not 0 <= row.place < wanted.limit:
            yield Violation("permits", f"it holds {where}, of which there are {wanted.limit}", row.run)


def _not_held(snapshot: Snapshot) -> Iterator[Violation]:
    begun = (_run.c.permit.is_not(None), _run.c.started_at.is_not(None), _run.c.ended_at.is_(None))
    query = sa.select(_run.c.id, _run.c.permit).outerjoin(_permit, _permit.c.run == _run.c.id)
    for row in snapshot.rows(query.where(*begun, _permit.c.run.is_(None))):
        if (wanted := _wanted(row.permit)) is not None:
            yield Violation("permits", f"it is under way, and holds no place of {wanted.name!r}", row.id)


def _over_time(snapshot: Snapshot, skew_s: float) -> Iterator[Violation]:
    lines: dict[_Line, list[Any]] = {}
    columns = (_run.c.id, _run.c.namespace, _run.c.permit, _run.c.started_at, _run.c.ended_at)
    for row in snapshot.rows(sa.select(*columns).where(_run.c.permit.is_not(None), _run.c.started_at.is_not(None))):
        if (permit := _wanted(row.permit)) is None:
            continue
        line = lines.setdefault((row.namespace, permit.name), [])
        ended_at = None if row.ended_at is None else row.ended_at - skew_s
        if ended_at is not None and ended_at <= row.started_at:
            continue  # it may have ended before anything that seems to overlap with it
        line.append((row.started_at, 1, row.id, permit.limit))
        if ended_at is not None:
            line.append((ended_at, -1, row.id, permit.limit))
    for (namespace, name), line in lines.items():
        under_way: dict[str, int] = {}
        for at, step, run, limit in sorted(line):
            if step < 0:
                under_way.pop(run, None)
                continue
            under_way[run] = limit
            allowed = max(under_way.values())
            if len(under_way) > allowed:
                text = f"when it began at {at}, {len(under_way)} runs of {name!r} in {namespace} were under way, {allowed} may be"
                yield Violation("permits", text, run)


def _wanted(text: str | None) -> Permit | None:
    """`None` if none is wanted, or if it cannot be read, which was said of its run."""
    try:
        return None if text is None else Permit.model_validate_json(text)
    except ValueError:
        return None

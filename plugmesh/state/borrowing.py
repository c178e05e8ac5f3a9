"""Laying a hand on what lies elsewhere, before a run that uses it is made: whoever sweeps leaves it alone from then on."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from plugmesh.state.reads import Reader
from plugmesh.state.schema import file, run, run_borrow, run_data
from plugmesh.state.writes import Writer

RERUNS_SHOWN = 1_000
_SLICE = 500


def borrow(writer: Writer, run_id: str, lenders: Collection[str], at: float) -> frozenset[str]:
    """Hold the data of `lenders` (runs, or files' objects) for the run that is about to be made under `run_id`.

    Returns those whose data is gone, or is to go: then nothing is held. A mark is made in a transaction, too, and
    never on what is held, so there is no moment between them. A borrower that never comes to be is forgotten.
    """

    def body() -> frozenset[str]:
        lost = frozenset(one for part in _slices(lenders) for one in _lost(writer, part))
        if not lost and lenders:
            rows = [{"run": run_id, "lender": lender, "at": at} for lender in sorted(lenders)]
            writer.connection.execute(sa.insert(run_borrow), rows)
        return lost

    return writer.transaction("borrow", body)


def give_back(writer: Writer, run_id: str) -> None:
    """Let go of what was held for a run that was not made."""
    delete = sa.delete(run_borrow).where(run_borrow.c.run == run_id, ~sa.exists().where(run.c.id == run_id))
    writer.transaction("give_back", lambda: writer.connection.execute(delete))


def forget_borrowers(writer: Writer, before: float) -> None:
    """Let go of what was held, before that time, for runs that were not made, or were deleted before they were
    measured."""
    known = (sa.exists().where(table == run_borrow.c.run) for table in (run.c.id, run_data.c.run))
    old = sa.and_(run_borrow.c.at.is_not(None), run_borrow.c.at < before)
    delete = sa.delete(run_borrow).where(old, *(~one for one in known))
    writer.transaction("forget_borrowers", lambda: writer.connection.execute(delete))


def lenders_among(writer: Writer, runs: Collection[str]) -> frozenset[str]:
    """Those of `runs` that others borrow from, inside a transaction."""
    found: set[str] = set()
    for part in _slices(runs):
        query = sa.select(run_borrow.c.lender).where(run_borrow.c.lender.in_(part))
        found.update(str(row[0]) for row in writer.connection.execute(query))
    return frozenset(found)


def reruns_of(reader: Reader, run_id: str) -> list[str]:
    """The runs that repeat this one, oldest first; the first `RERUNS_SHOWN`."""
    query = sa.select(run.c.id).where(run.c.origin == run_id).order_by(run.c.key).limit(RERUNS_SHOWN)
    return [str(row[0]) for row in reader.rows(query)]


def _lost(writer: Writer, lenders: Collection[str]) -> frozenset[str]:
    """Those that are marked or deleted, and those of which nothing is known: whoever swept them may be at it."""
    execute = writer.connection.execute
    marked = sa.select(run_data.c.run).where(run_data.c.run.in_(lenders), run_data.c.data_marked_at.is_not(None))
    deleted = sa.select(file.c.object).where(file.c.object.in_(lenders), file.c.deleted_at.is_not(None))
    lost = {str(row[0]) for query in (marked, deleted) for row in execute(query)}
    tables = (run.c.id, run_data.c.run, file.c.object, run_borrow.c.lender)
    known = {str(row[0]) for column in tables for row in execute(sa.select(column).where(column.in_(lenders)))}
    return frozenset(lost | (set(lenders) - known))


def _slices(values: Collection[str]) -> Iterable[list[str]]:
    ordered = sorted(values)
    for at in range(0, len(ordered), _SLICE):
        yield ordered[at : at + _SLICE]

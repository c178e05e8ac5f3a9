"""What ended runs keep, whom they borrow from, and what is marked to go: the questions of whoever sweeps."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa

from plugmesh.contracts.flow import Flow, Retention
from plugmesh.data.named import NOTHING, Named, named_in
from plugmesh.state.reads import Reader
from plugmesh.state.schema import attempt, dead_letter, file, run, run_borrow, run_data, step

WINDOW = 2_000
"""Runs that one question looks at."""
_STEPS = 1_000
_SLICE = 500
FlowName: TypeAlias = tuple[str, str]
"""Namespace and name."""
Part: TypeAlias = Literal["data", "logs"]
"""What of a run is limited in bytes."""


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A run of which it is not known what it keeps: it has not ended (`ended_at` is None), or not long ago.

    `used` are the objects that its inputs name, and what it took over from another run or was fed with.
    """

    key: int
    run: str
    namespace: str
    flow: str
    ended_at: float | None
    used: Named


@dataclass(frozen=True, slots=True)
class Measured:
    """What one ended run keeps. `lenders` are the other runs and files that its outputs lie in."""

    run: str
    namespace: str
    flow: str
    ended_at: float
    objects: int
    bytes: int
    log_objects: int
    log_bytes: int
    lenders: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Kept:
    """One ended run and what is still there of it. `key` and `revision` are None when its row is gone; then only
    objects are left. `bytes` are those of its data."""

    run: str
    key: int | None
    namespace: str
    flow: str
    ended_at: float
    bytes: int
    data_marked_at: float | None
    data_released_at: float | None
    logs_marked_at: float | None
    logs_released_at: float | None
    events_gone_at: float | None
    revision: int | None
    log_bytes: int = 0

    def unmarked(self, part: Part) -> int:
        """Bytes of that part, as long as it is not to go."""
        if part == "data":
            return self.bytes if self.data_marked_at is None else 0
        return self.log_bytes if self.logs_marked_at is None else 0


# -- questions -------------------------------------------------------------------------------------------------------


def highest_run_key(reader: Reader) -> int:
    """The key of the newest run; 0 if there is none."""
    return int(reader.rows(sa.select(sa.func.coalesce(sa.func.max(run.c.key), 0)))[0][0])


def unmeasured_runs(reader: Reader, after: int) -> list[Unmeasured]:
    """Those of the next `WINDOW` keys behind `after`."""
    return _unmeasured(reader, run.c.key > after, run.c.key <= after + WINDOW, run_data.c.run.is_(None))


def open_runs(reader: Reader, after: int) -> list[Unmeasured]:
    """The next `WINDOW` runs behind key `after` that have not ended."""
    return _unmeasured(reader, run.c.key > after, run.c.ended_at.is_(None))


def _unmeasured(reader: Reader, *where: sa.ColumnElement[bool]) -> list[Unmeasured]:
    columns = (run.c.key, run.c.id, run.c.namespace, run.c.flow, run.c.ended_at, run.c.inputs, run.c.rerun)
    query = sa.select(*columns).outerjoin(run_data, run_data.c.run == run.c.id).where(*where)
    found = []
    for key, run_id, namespace, flow, ended_at, inputs, rerun in reader.rows(query.order_by(run.c.key).limit(WINDOW)):
        used = named_in(inputs, rerun)
        if rerun is not None:
            used |= named_by_run(reader, key)
        found.append(Unmeasured(key, run_id, namespace, flow, ended_at, used))
    return found


def named_by_run(reader: Reader, key: int) -> Named:
    """All objects that the rows of one run name: outputs, artifacts, logs, corrected dead letters."""
    found = NOTHING
    for (outputs,) in reader.rows(sa.select(run.c.outputs).where(run.c.key == key)):
        found |= named_in(outputs)
    after = ""
    while True:
        texts = (step.c.outputs, step.c.artifacts, step.c.log)
        query = sa.select(step.c.id, *texts).where(step.c.run == key, step.c.id > after).order_by(step.c.id)
        rows = reader.rows(query.limit(_STEPS))
        for row in rows:
            found |= named_in(*row[1:])
        if len(rows) < _STEPS:
            break
        after = rows[-1][0]
    for (log,) in reader.rows(sa.select(attempt.c.log).where(attempt.c.run == key, attempt.c.log.is_not(None))):
        found |= named_in(log)
    edited = sa.select(dead_letter.c.edited).join(run, run.c.id == dead_letter.c.run)
    for (letter,) in reader.rows(edited.where(run.c.key == key, dead_letter.c.edited.is_not(None))):
        found |= named_in(letter)
    return found


def inputs_of(reader: Reader, runs: Collection[str]) -> Named:
    """The objects that the inputs of these runs name."""
    found = NOTHING
    for part in _slices(runs):
        for (inputs,) in reader.rows(sa.select(run.c.inputs).where(run.c.id.in_(part))):
            found |= named_in(inputs)
    return found


def lent(reader: Reader, lenders: Collection[str]) -> dict[str, str]:
    """Which of these lenders (runs, or files' objects) an ended run's outputs lie in, and one such run."""
    found: dict[str, str] = {}
    for part in _slices(lenders):
        query = sa.select(run_borrow.c.lender, run_borrow.c.run).where(run_borrow.c.lender.in_(part))
        found.update((str(lender), str(borrower)) for lender, borrower in reader.rows(query))
    return found


def gone(reader: Reader, lenders: Collection[str]) -> frozenset[str]:
    """Those of these lenders (runs, or files' objects) whose data is to go: nobody may begin to use it."""
    found: set[str] = set()
    for part in _slices(lenders):
        marked = sa.select(run_data.c.run).where(run_data.c.run.in_(part), run_data.c.data_marked_at.is_not(None))
        deleted = sa.select(file.c.object).where(file.c.object.in_(part), file.c.deleted_at.is_not(None))
        found.update(str(row[0]) for query in (marked, deleted) for row in reader.rows(query))
    return frozenset(found)


def logs_gone_at(reader: Reader, run_id: str) -> float | None:
    """Since when a run's logs are to go; None if they stay."""
    rows = reader.rows(sa.select(run_data.c.logs_marked_at).where(run_data.c.run == run_id))
    return None if not rows or rows[0][0] is None else float(rows[0][0])


def kept_runs(reader: Reader, after: str, limit: int) -> list[Kept]:
    """Ended and measured runs in the order of their ids."""
    query = _kept().where(run_data.c.run > after).order_by(run_data.c.run).limit(limit)
    return [Kept(*row) for row in reader.rows(query)]


def kept_of_flows(reader: Reader) -> list[tuple[FlowName, int, int]]:
    """Each flow with bytes of data that is not marked: how many, and the newest revision that a kept run is of."""
    data = run_data.c
    query = sa.select(data.namespace, data.flow, sa.func.sum(data.bytes), sa.func.max(run.c.revision))
    query = query.join(run, run.c.id == data.run).where(data.data_marked_at.is_(None), run.c.revision.is_not(None))
    rows = reader.rows(query.group_by(data.namespace, data.flow))
    return [((str(space), str(name)), int(size), int(revision)) for space, name, size, revision in rows]


def oldest_kept(
    reader: Reader, after: tuple[float, str], limit: int, part: Part = "data", flow: FlowName | None = None
) -> list[Kept]:
    """Those (of one flow) of which that part is not marked, those that ended first first."""
    at, last = after
    later = sa.and_(run_data.c.ended_at >= at, sa.or_(run_data.c.ended_at > at, run_data.c.run > last))
    query = _kept().where(run_data.c[f"{part}_marked_at"].is_(None), later)
    if flow is not None:
        query = query.where(run_data.c.namespace == flow[0], run_data.c.flow == flow[1])
    rows = reader.rows(query.order_by(run_data.c.ended_at, run_data.c.run).limit(limit))
    return [Kept(*row) for row in rows]


def _kept() -> sa.Select[Any]:
    data = run_data.c
    names = ("data_marked_at", "data_released_at", "logs_marked_at", "logs_released_at", "events_gone_at")
    columns = (data.run, run.c.key, data.namespace, data.flow, data.ended_at, data.bytes)
    query = sa.select(*columns, *(data[name] for name in names), run.c.revision, data.log_bytes)
    return query.outerjoin(run, run.c.id == data.run)


def flow_retention(reader: Reader, key: int) -> Retention | None:
    """What a revision's flow says about its runs."""
    return Flow.model_validate_json(reader.flow_text(key)).retention


def stale_attempts(reader: Reader, key: int, limit: int) -> list[tuple[str, int]]:
    """Step and epoch of attempts of a run that a later one has replaced."""
    newer = sa.and_(step.c.run == attempt.c.run, step.c.id == attempt.c.step, step.c.epoch > attempt.c.epoch)
    query = sa.select(attempt.c.step, attempt.c.epoch).distinct().join(step, newer).where(attempt.c.run == key)
    return [(str(name), int(epoch)) for name, epoch in reader.rows(query.limit(limit))]


def kept_bytes(reader: Reader, part: Part = "data") -> int:
    """Bytes of that part of all ended runs that are not marked."""
    total = sa.func.coalesce(sa.func.sum(run_data.c["bytes" if part == "data" else "log_bytes"]), 0)
    return int(reader.rows(sa.select(total).where(run_data.c[f"{part}_marked_at"].is_(None)))[0][0])


def first_of_newest(reader: Reader, count: int) -> tuple[float, str] | None:
    """End and id of the run that ended first of the `count` that ended last; None if there are not more than those."""
    newest = sa.select(run.c.ended_at, run.c.id).where(run.c.ended_at.is_not(None))
    rows = reader.rows(newest.order_by(run.c.ended_at.desc(), run.c.id.desc()).offset(count - 1).limit(2))
    return (float(rows[0][0]), str(rows[0][1])) if len(rows) == 2 else None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a run whose objects were found. `key`: it has a row; `objects`: it was measured, with so many
    objects of data; `marked_at`: since when they are to go; `released_at`: since when they are gone."""

    key: int | None
    flow: str
    ended_at: float | None
    objects: int | None = None
    marked_at: float | None = None
    released_at: float | None = None


def known_runs(reader: Reader, runs: Collection[str]) -> dict[str, Known]:
    """Those of these runs of which there is any row."""
    found: dict[str, Known] = {}
    for part in _slices(runs):
        rows = reader.rows(sa.select(run.c.id, run.c.key, run.c.flow, run.c.ended_at).where(run.c.id.in_(part)))
        found.update((str(name), Known(int(key), flow, ended)) for name, key, flow, ended in rows)
        data = run_data.c
        columns = (data.run, data.flow, data.ended_at, data.objects, data.data_marked_at, data.data_released_at)
        for name, flow, ended, objects, marked_at, released_at in reader.rows(
            sa.select(*columns).where(data.run.in_(part))
        ):
            before = found.get(str(name))
            key = None if before is None else before.key
            found[str(name)] = Known(key, flow, ended, int(objects), marked_at, released_at)
    return found


def _slices(values: Collection[str]) -> Iterable[list[str]]:
    ordered = sorted(values)
    for at in range(0, len(ordered), _SLICE):
        yield ordered[at : at + _SLICE]

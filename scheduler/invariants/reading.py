"""Reading a mesh's rows run by run, a window of runs at a time: each window is one snapshot, however long all of it takes.

A single snapshot of a busy mesh would keep its database's log from being reused for as long as the check goes on.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa

from plugmesh.contracts.flow import Flow
from plugmesh.data.named import Named, named_in
from plugmesh.state import schema
from plugmesh.state.records import AttemptRow, StepRow, StoredRun
from scheduler.changes import Change, read_changes
from scheduler.plan import Plan, compile_plan

WINDOW_RUNS = 50
PAGE_ROWS = 500
"""Event rows of a run may be large: so many are held at a time."""
_PLANNED_NODES = 100_000
"""Plans are kept until they have so many nodes in all."""
_ORDER = {"event": "seq", "step": "id", "attempt": "step"}
_END = 2**62

Rows = Sequence[Any]


class Snapshot:
    """Questions of one connection that all see the same moment, until `renew`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._is_sqlite = connection.dialect.name == "sqlite"
        if not self._is_sqlite:
            connection.rollback()
            connection.execution_options(isolation_level="REPEATABLE READ")

    def renew(self) -> None:
        """See the present from now on."""
        self._connection.rollback()
        if self._is_sqlite:  # otherwise each of its questions is a snapshot of its own
            self._connection.exec_driver_sql("BEGIN")

    def close(self) -> None:
        """See nothing any more: the database may reuse its log."""
        self._connection.rollback()

    def rows(self, query: sa.Select[Any]) -> Rows:
        """All rows of any question."""
        return self._connection.execute(query).all()


class Plans:
    """Compiled flows by revision: those that were used last."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Plan, Named]] = OrderedDict()
        self._nodes = 0

    def of(self, snapshot: Snapshot, revision: int) -> tuple[Plan, Named]:
        """The plan, and the objects that the flow itself names. Raises `ValueError` for a flow that cannot be read."""
        if revision not in self._known:
            rows = snapshot.rows(sa.select(schema.revision.c.flow).where(schema.revision.c.key == revision))
            if not rows:
                raise ValueError(f"its revision {revision} is not there")
            text = str(rows[0][0])
            plan = compile_plan(Flow.model_validate_json(text))
            self._known[revision] = plan, named_in(text)
            self._nodes += len(plan.nodes)
            while self._nodes > _PLANNED_NODES and len(self._known) > 1:
                self._nodes -= len(self._known.popitem(last=False)[1][0].nodes)
        self._known.move_to_end(revision)
        return self._known[revision]


@dataclass(frozen=True, slots=True)
class RunRows:
    """One run and all rows about it; a long one's are read a page at a time, whenever they are asked for."""

    stored: StoredRun
    snapshot: Snapshot = field(repr=False)
    held: Mapping[str, Rows] | None = field(repr=False, default=None)

    def events(self) -> Iterator[tuple[int, list[Change]]]:
        """Its event rows in order: number, and changes. Raises `ValueError` or `KeyError` for one that cannot be read."""
        for row in self._rows(schema.event):
            yield row.seq, read_changes(json.loads(row.changes))

    def steps(self) -> Iterator[StepRow]:
        """Its step rows, in the order of their ids."""
        for row in self._rows(schema.step):
            yield StepRow(self.stored.id, *row[1:])

    def attempts(self) -> Iterator[AttemptRow]:
        """Its attempts that became no result."""
        for row in self._rows(schema.attempt):
            yield AttemptRow(self.stored.id, *row[1:])

    def _rows(self, table: sa.Table) -> Iterator[Any]:
        if self.held is not None:
            yield from self.held[table.name]
            return
        mine = sa.select(table).where(table.c.run == self.stored.key).order_by(*list(table.primary_key))
        if table is schema.attempt:
            yield from self.snapshot.rows(mine)
            return
        column = table.c[_ORDER[table.name]]
        page = self.snapshot.rows(mine.limit(PAGE_ROWS))
        while page:
            yield from page
            last = getattr(page[-1], column.name)
            page = self.snapshot.rows(mine.where(column > last).limit(PAGE_ROWS)) if len(page) == PAGE_ROWS else ()


@dataclass(frozen=True, slots=True)
class Window:
    """Some runs in the order of their keys. `strays` are rows of no run: the table, and the key that they name."""

    runs: Sequence[RunRows]
    strays: Sequence[tuple[str, int]]


def windows(snapshot: Snapshot) -> Iterator[Window]:
    """Every run that is there now, window by window; the snapshot is renewed for each."""
    snapshot.renew()
    last = int(snapshot.rows(sa.select(sa.func.coalesce(sa.func.max(schema.run.c.key), 0)))[0][0])
    after = 0
    while after < _END:
        snapshot.renew()
        window, after = _window(snapshot, after, last)
        yield window


def _window(snapshot: Snapshot, after: int, last: int) -> tuple[Window, int]:
    run = schema.run
    query = sa.select(run).where(run.c.key > after, run.c.key <= last).order_by(run.c.key).limit(WINDOW_RUNS)
    stored = [StoredRun(*row) for row in snapshot.rows(query)]
    if not stored:
        return _rest(snapshot, after)
    pages = {table.name: _page(snapshot, table, after, stored[-1].key) for table in _tables()}
    upto = min(_whole_upto(rows, stored[-1].key) for rows in pages.values())
    large = upto < stored[0].key
    upto = max(upto, stored[0].key)
    held: dict[int, dict[str, list[Any]]] = {run.key: {name: [] for name in pages} for run in stored if run.key <= upto}
    strays: dict[tuple[str, int], None] = {}
    for name, rows in pages.items():
        for row in rows:
            if row.run in held:
                held[row.run][name].append(row)
            elif row.run <= upto:
                strays[name, row.run] = None
    found = partial(RunRows, snapshot=snapshot)
    runs = [found(run, held=None if large else held[run.key]) for run in stored if run.key in held]
    return Window(runs, list(strays)), upto


def _rest(snapshot: Snapshot, after: int) -> tuple[Window, int]:
    """What lies behind the last run: rows of runs that began meanwhile, and rows of none."""
    known = sa.select(schema.run.c.key)
    strays = [
        (table.name, int(row[0]))
        for table in _tables()
        for row in snapshot.rows(
            sa.select(table.c.run).distinct().where(table.c.run > after, table.c.run.not_in(known)).limit(PAGE_ROWS)
        )
    ]
    return Window([], strays), _END


def _tables() -> tuple[sa.Table, ...]:
    return schema.event, schema.step, schema.attempt


def _page(snapshot: Snapshot, table: sa.Table, after: int, upto: int) -> Rows:
    query = sa.select(table).where(table.c.run > after, table.c.run <= upto).order_by(*list(table.primary_key))
    return snapshot.rows(query.limit(PAGE_ROWS))


def _whole_upto(rows: Rows, upto: int) -> int:
    """The last run whose rows are all on the page."""
    return upto if len(rows) < PAGE_ROWS else int(rows[-1].run) - 1

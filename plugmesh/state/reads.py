"""The questions: what reload, views and lists ask. Each function is one read on the reader thread's connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from plugmesh.contracts.run import Command
from plugmesh.state import schema
from plugmesh.state.database import Database, wall_clock
from plugmesh.state.records import AttemptRow, EventRow, StepRow, StoredRun, Unfinished
from plugmesh.state.session import Session
from plugmesh.state.statement import Statement, positional

_run = schema.run
_RUN_COLUMNS = list(_run.columns)


class Reader:
    """One reading connection, used by one thread."""

    def __init__(self, database: Database) -> None:
        self._session = Session(database)
        dialect = positional(self._session.connection.dialect)
        step = schema.step
        by_id = with_seq().where(_run.c.id == sa.bindparam("b_id"))
        self._run = Statement(by_id, dialect)
        key = (_run.c.namespace == sa.bindparam("b_namespace"), _run.c.idempotency_key == sa.bindparam("b_key"))
        self._run_by_key = Statement(with_seq().where(*key), dialect)
        wanted = (step.c.run == sa.bindparam("b_run"), step.c.id > sa.bindparam("b_after"))
        page = sa.select(step).where(*wanted).order_by(step.c.id).limit(sa.bindparam("b_limit"))
        self._steps = Statement(page, dialect)

    def rows(self, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
        """Rows of any question."""

        def rows() -> list[tuple[Any, ...]]:
            found = [tuple(row) for row in self._session.connection.execute(query)]
            self._session.connection.rollback()  # ends the snapshot, so that the log can be reused
            return found

        return self._session.ask(rows)

    def _compiled(self, statement: Statement, values: dict[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Rows of a hot question; each statement is its own snapshot."""
        return self._session.ask(lambda: self._session.values(statement, values))

    def documents(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        """Rows of any question, by column."""

        def rows() -> list[dict[str, Any]]:
            found = [dict(row) for row in self._session.connection.execute(query).mappings()]
            self._session.connection.rollback()
            return found

        return self._session.ask(rows)

    def unfinished(self, shard: int) -> Unfinished:
        """Everything about the runs of `shard` that have not ended, and commands that were not carried out."""
        wanted = sa.and_(_run.c.shard == shard, _run.c.ended_at.is_(None))
        runs = [StoredRun(*row) for row in self.rows(with_seq().where(wanted).order_by(_run.c.key))]
        revision, step = schema.revision, schema.step
        keys = sa.select(_run.c.key).where(wanted)
        flows = self.rows(
            sa.select(revision.c.key, revision.c.flow).where(
                revision.c.key.in_(sa.select(_run.c.revision).where(wanted))
            )
        )
        ids = {run.key: run.id for run in runs}
        steps: dict[int, list[StepRow]] = {run.key: [] for run in runs}
        for row in self.rows(sa.select(step).where(step.c.run.in_(keys))):
            steps[row[0]].append(StepRow(ids[row[0]], *row[1:]))
        return Unfinished(runs, {int(k): str(f) for k, f in flows}, steps, self._commands(wanted))

    def _commands(self, wanted: sa.ColumnElement[bool]) -> list[Command]:
        """What was asked of the runs that are `wanted` and was not carried out, oldest first."""
        command = schema.command
        about = command.c.run.in_(sa.select(_run.c.id).where(wanted))
        rows = self.documents(sa.select(command).where(about, command.c.applied_at.is_(None)).order_by(command.c.at))
        fields = ("run", "kind", "actor", "reason", "at")
        return [Command(command=row["id"], **{name: row[name] for name in fields}) for row in rows]

    def run(self, run: str) -> StoredRun | None:
        """One run by its id."""
        rows = self._compiled(self._run, {"b_id": run})
        return StoredRun(*rows[0]) if rows else None

    def run_by_key(self, namespace: str, idempotency_key: str) -> StoredRun | None:
        """The run that was submitted with this idempotency key."""
        rows = self._compiled(self._run_by_key, {"b_namespace": namespace, "b_key": idempotency_key})
        return StoredRun(*rows[0]) if rows else None

    def flow_text(self, revision: int) -> str:
        """A revision's flow as JSON text."""
        table = schema.revision
        return str(self.rows(sa.select(table.c.flow).where(table.c.key == revision))[0][0])

    def steps(self, run: StoredRun, *, after: str = "", limit: int = 1000) -> list[StepRow]:
        """Rows of a run's steps in the order of their ids."""
        rows = self._compiled(self._steps, {"b_run": run.key, "b_after": after, "b_limit": limit})
        return [StepRow(run.id, *row[1:]) for row in rows]

    def step(self, run: StoredRun, step_id: str) -> StepRow | None:
        """One step's row; `None` as long as nothing happened to it."""
        step = schema.step
        rows = self.rows(sa.select(step).where(step.c.run == run.key, step.c.id == step_id))
        return StepRow(run.id, *rows[0][1:]) if rows else None

    def step_counts(self, run: StoredRun) -> dict[str, int]:
        """How many step rows are in each state."""
        step = schema.step
        query = sa.select(step.c.state, sa.func.count()).where(step.c.run == run.key).group_by(step.c.state)
        return {str(state): int(count) for state, count in self.rows(query)}

    def attempts(self, run: StoredRun, step_id: str | None = None) -> list[AttemptRow]:
        """Attempts that did not become a result."""
        table = schema.attempt
        query = sa.select(table).where(table.c.run == run.key).order_by(table.c.at)
        if step_id is not None:
            query = query.where(table.c.step == step_id)
        return [AttemptRow(run.id, *row[1:]) for row in self.rows(query)]

    def events(self, run: StoredRun, *, after: int, limit: int) -> list[EventRow]:
        """Event rows behind number `after`, oldest first."""
        event = schema.event
        query = sa.select(event).where(event.c.run == run.key, event.c.seq > after).order_by(event.c.seq).limit(limit)
        return [EventRow(run.id, *row[1:]) for row in self.rows(query)]

    def commands(self, run: str) -> list[dict[str, Any]]:
        """What was asked of a run, oldest first."""
        table = schema.command
        return self.documents(sa.select(table).where(table.c.run == run).order_by(table.c.at))

    def contracts(self) -> list[str]:
        """The JSON text of every contract ever seen."""
        return [str(row[0]) for row in self.rows(sa.select(schema.contract.c.body))]

    def shards(self) -> list[dict[str, Any]]:
        """Every shard's owner, term and lease."""
        return self.documents(sa.select(schema.shard).order_by(schema.shard.c.id))

    def held_shards(self) -> int:
        """How many shards a scheduler has now: whose lease is not over, by the clock of the database."""
        shard = schema.shard

        def count() -> int:
            connection = self._session.connection
            held = sa.and_(shard.c.owner.is_not(None), shard.c.lease_until >= wall_clock(connection))
            found = connection.execute(sa.select(sa.func.count()).select_from(shard).where(held)).scalar_one()
            connection.rollback()
            return int(found)

        return self._session.ask(count)


def with_seq() -> sa.Select[Any]:
    """Runs in the order of `StoredRun`'s fields: the columns, then the number of the last event."""
    event = schema.event
    last = sa.select(sa.func.coalesce(sa.func.max(event.c.seq), 0)).where(event.c.run == _run.c.key).scalar_subquery()
    return sa.select(*_RUN_COLUMNS, last)

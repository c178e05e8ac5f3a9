"""The transactions that change state. Each function is one transaction on a raw connection of the writer thread.

The hot ones run statements that SQLAlchemy Core compiled once per database, with tuples, straight on the DBAPI
connection: Core per call would double the server's CPU per step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python
from sqlalchemy.dialects import mysql, postgresql, sqlite

from plugmesh.contracts.flow import Flow
from plugmesh.contracts.run import SHARDS, Command, Rerun, RunState, Submission, shard_of
from plugmesh.errors import OwnershipLost, PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.state import schema
from plugmesh.state.database import Database
from plugmesh.state.driver import TRIES_BEATEN
from plugmesh.state.records import Commit, Lease, NotificationRow, RunUpdate, StoredFile
from plugmesh.state.session import Session
from plugmesh.state.statement import Statement, positional
from plugmesh.state.trouble import explained, lost_before_commit, lost_in_commit

T = TypeVar("T")


def _insert(table: sa.Table, dialect: sa.engine.Dialect, columns: Sequence[str]) -> Statement:
    return Statement(sa.insert(table).values({name: sa.bindparam(name) for name in columns}), dialect)


def _upsert(table: sa.Table, dialect: sa.engine.Dialect, columns: Sequence[str]) -> Statement:
    values: dict[str, Any] = {name: sa.bindparam(name) for name in columns}
    keys = [column.name for column in table.primary_key]
    others = [name for name in columns if name not in keys]
    if dialect.name == "mysql":
        on_mysql = mysql.insert(table).values(values)
        return Statement(on_mysql.on_duplicate_key_update({n: on_mysql.inserted[n] for n in others}), dialect)
    insert = (postgresql.insert if dialect.name == "postgresql" else sqlite.insert)(table).values(values)
    changes = {name: insert.excluded[name] for name in others}
    return Statement(insert.on_conflict_do_update(index_elements=keys, set_=changes), dialect)


class Writer:
    """The one writer of this process: a connection that only the writer thread uses."""

    def __init__(self, database: Database, runtime: Runtime) -> None:
        self._runtime, self._database = runtime, database
        self._exclusive, self._check_there = database.exclusive, database.check_there
        self._session = Session(database)
        self._committing = False
        self.retried = 0
        """Transactions that were run again."""
        self._revisions: dict[str, int] = {}
        self._compile(self.connection.dialect)

    @property
    def connection(self) -> sa.Connection:
        """For SQLAlchemy Core, inside a transaction."""
        return self._session.connection

    @property
    def _raw(self) -> Any:
        return self._session.raw

    def _compile(self, dialect: sa.engine.Dialect) -> None:
        dialect = positional(dialect)
        columns = {table.name: [c.name for c in table.columns] for table in schema.metadata.sorted_tables}
        self._dialect = dialect
        self._event = _insert(schema.event, dialect, columns["event"])
        self._step = _upsert(schema.step, dialect, columns["step"])
        self._attempt = _upsert(schema.attempt, dialect, columns["attempt"])
        shard, run, command = schema.shard, schema.run, schema.command
        owned = sa.and_(
            shard.c.id == sa.bindparam("b_id"),
            shard.c.owner == sa.bindparam("b_owner"),
            shard.c.term == sa.bindparam("b_term"),
        )
        position = sa.func.coalesce(sa.bindparam("b_position", type_=sa.String), shard.c.position)
        self._own = Statement(sa.update(shard).where(owned).values(position=position), dialect)
        self._renew = Statement(sa.update(shard).where(owned).values(lease_until=sa.bindparam("b_until")), dialect)
        self._run_update = Statement(
            sa.update(run)
            .where(run.c.key == sa.bindparam("b_key"))
            .values(
                state=sa.bindparam("b_state"),
                reason=sa.bindparam("b_reason"),
                outputs=sa.bindparam("b_outputs"),
                started_at=sa.bindparam("b_started_at"),
                ended_at=sa.bindparam("b_ended_at"),
            ),
            dialect,
        )
        insert = sa.insert(run).values({name: sa.bindparam(name) for name in columns["run"] if name != "key"})
        self._returns_keys = self._session.driver.returns_keys
        self._run_insert = Statement(insert.returning(run.c.key) if self._returns_keys else insert, dialect)
        self._command = _upsert(command, dialect, columns["command"])
        self._conviction = _upsert(schema.conviction, dialect, columns["conviction"])

    def _execute(self, statement: Statement, values: dict[str, Any]) -> Any:
        return self._session.run(statement.text, statement.values(values))

    def transaction(self, name: str, body: Callable[[], T], *, guarded: bool = False) -> T:
        """Run `body` in one transaction. The crash points before and after the commit carry `name`.

        Beside other processes it ends as if it had run alone; `guarded` says that it sees to that itself, and faster: it begins
        with updates of the rows that stand for all others that it relies on. `body` may be run again, from the start, if
        another transaction got in its way or the connection was lost before the commit.

        Raises what `body` raises, `StoreFull` for want of room, `StateUnavailable` when the database cannot be used; its
        text says so if the connection was lost in the commit, and nobody knows what became of it.
        """
        self._check_there()
        tried = 1
        while True:
            try:
                result = self._once(name, body, guarded)
            except BaseException as error:  # noqa: BLE001  `_failed` raises it, unless it is worth another try
                self._failed(error, tried)
            else:
                self._runtime.point(f"state.{name}.after_commit")
                return result
            tried += 1
            self.retried += 1

    def _once(self, name: str, body: Callable[[], T], guarded: bool) -> T:
        self._committing = False
        self._session.begin(guarded)
        result = body()
        self._runtime.point(f"state.{name}.before_commit")
        self._committing = True
        self._session.commit()
        return result

    def _failed(self, error: BaseException, tried: int) -> None:
        self._revisions.clear()
        lost = self._session.undo(error)
        if isinstance(error, Exception) and not isinstance(error, PlugmeshError):
            if lost and self._committing:
                raise lost_in_commit(error) from error
            if tried < (TRIES_BEATEN if lost else self._session.driver.tries(error)):
                return
            if lost:
                raise lost_before_commit(error) from error
        foreseen = explained(error)
        if foreseen is None:
            raise error
        raise foreseen from error

    # -- shards --------------------------------------------------------------------------------------------------

    def acquire(self, owner: str, lease_s: float, held: Collection[int] = ()) -> list[Lease]:
        """Take every shard that is free or whose lease ran out, but those that are `held`; each gets a higher term.

        When the database is exclusive to this process every shard of another owner counts as free. Else the database's
        clock judges the leases: those of the schedulers may differ.
        """
        return self.transaction("acquire", lambda: self._acquire(owner, lease_s, held), guarded=True)

    def _acquire(self, owner: str, lease_s: float, held: Collection[int]) -> list[Lease]:
        now = self.lease_clock()
        shard = schema.shard
        rows = self.connection.execute(sa.select(shard)).mappings().all()
        known = {int(row["id"]): row for row in rows}
        wanted = [number for number in range(SHARDS) if number not in held]
        busy = self._busy([number for number in wanted if number in known and self._free(known[number], owner, now)])
        taken: list[Lease] = []
        for number in wanted:
            row = known.get(number)
            if number in busy or (row is not None and not self._free(row, owner, now)):
                continue
            term = 1 if row is None else int(row["term"]) + 1
            values = {"owner": owner, "term": term, "lease_until": now + lease_s}
            if row is None:
                self.connection.execute(sa.insert(shard).values(id=number, **values))
            elif not self._raise_term(number, int(row["term"]), values):
                continue  # another scheduler was faster
            taken.append(Lease(number, term, None if row is None else row["position"]))
        return taken

    def _busy(self, free: Collection[int]) -> frozenset[int]:
        """Those of these shards whose rows somebody holds: a transaction that goes on, or whose process stands still. The
        others need not wait for its end."""
        if self._exclusive or not free:
            return frozenset()
        ids = schema.shard.c.id
        query = sa.select(ids).where(ids.in_(free)).with_for_update(skip_locked=True)
        return frozenset(free).difference(self.connection.execute(query).scalars())

    def _raise_term(self, number: int, term: int, values: dict[str, Any]) -> bool:
        shard = schema.shard
        same = sa.and_(shard.c.id == number, shard.c.term == term)
        return self.connection.execute(sa.update(shard).where(same).values(**values)).rowcount == 1

    def lease_clock(self) -> float:
        """Unix time by which leases are judged, inside a transaction."""
        return self._runtime.wall() if self._exclusive else self._database.wall(self.connection)

    def _free(self, row: sa.RowMapping, owner: str, now: float) -> bool:
        if row["owner"] in (None, owner):
            return True
        return self._exclusive or float(row["lease_until"]) < now

    def renew(self, owner: str, leases: Iterable[tuple[int, int]], lease_s: float) -> list[int]:
        """Prolong leases (shard, term). Returns the shards that are no longer this owner's."""

        def body() -> list[int]:
            until, lost = self.lease_clock() + lease_s, []
            for shard, term in sorted(leases):  # in order, as a commit: two must not wait for each other
                values = {"b_id": shard, "b_owner": owner, "b_term": term, "b_until": until}
                if self._execute(self._renew, values).rowcount != 1:
                    lost.append(shard)
            return lost

        return self.transaction("renew", body, guarded=True)

    def release(self, owner: str, shards: Iterable[int]) -> None:
        """Give shards back, so that another scheduler can take them at once."""
        shard = schema.shard
        wanted = list(shards)

        def body() -> None:
            self.connection.execute(
                sa.update(shard)
                .where(shard.c.owner == owner, shard.c.id.in_(wanted))
                .values(owner=None, lease_until=0.0)
            )

        self.transaction("release", body, guarded=True)

    # -- the scheduler's group commit ------------------------------------------------------------------------------

    def commit(self, batch: Commit) -> dict[str, int]:
        """Write one batch. Returns the keys of the inserted runs.

        Raises `OwnershipLost` when a shard has another owner or term: nothing is written then.
        """
        return self.transaction("commit", lambda: self._commit(batch), guarded=True)

    def _commit(self, batch: Commit) -> dict[str, int]:
        for shard in sorted(batch.positions):
            term, position = batch.positions[shard]
            values = {"b_id": shard, "b_owner": batch.owner, "b_term": term, "b_position": position}
            if self._execute(self._own, values).rowcount != 1:
                raise OwnershipLost(f"shard {shard} is no longer owned by {batch.owner} with term {term}")
        updates = {update.run: update for update in batch.runs}
        inserted = {
            submission.run: self._insert_run(submission, batch.at, updates.pop(submission.run, None))
            for submission in batch.inserts
        }
        keys = {**batch.keys, **inserted}
        many = self._session.run_many
        if updates:
            in_order = self._run_update.values
            many(self._run_update.text, [in_order(_run_values(keys, update)) for update in updates.values()])
        if batch.events:
            many(self._event.text, [(keys[row[0]], *row[1:]) for row in batch.events])
        if batch.steps:
            many(self._step.text, [(keys[row[0]], *row[1:]) for row in batch.steps])
        if batch.attempts:
            many(self._attempt.text, [(keys[row[0]], *row[1:]) for row in batch.attempts])
        for notification in batch.notifications:
            self._notify(notification, batch.at)
        if batch.released:
            self.connection.execute(sa.delete(schema.permit).where(schema.permit.c.run.in_(batch.released)))
        if batch.letters:
            rows = [{**letter._asdict(), "state": "open", "at": batch.at} for letter in batch.letters]
            self.connection.execute(sa.insert(schema.dead_letter), rows)
        for command in batch.commands:
            self._execute(self._command, _command_values(command, batch.at))
        for module, version in batch.acquitted:
            of_version = sa.and_(schema.conviction.c.module == module, schema.conviction.c.version == version)
            self.connection.execute(sa.delete(schema.conviction).where(of_version))
        for conviction in batch.convictions:
            self._execute(self._conviction, conviction._asdict())
        return inserted

    def _insert_run(self, submission: Submission, at: float, begun: RunUpdate | None) -> int:
        """Add a run; `begun` is what has become of it before it was written, if anything has."""
        flow = submission.flow
        values = {
            "id": submission.run,
            "shard": shard_of(submission.run),
            "namespace": submission.namespace,
            "flow": flow.name,
            "revision": self.revision(flow, at),
            "state": RunState.QUEUED.value if begun is None else begun.state,
            "reason": None if begun is None else begun.reason,
            "inputs": _json(submission.inputs),
            "params": _json(submission.params),
            "labels": _json(submission.labels),
            "outputs": None if begun is None else begun.outputs,
            "idempotency_key": submission.idempotency_key,
            "actor": submission.actor,
            "origin": None if submission.rerun is None else submission.rerun.origin,
            "timeout_s": submission.timeout_s,
            "submitted_at": submission.submitted_at,
            "started_at": None if begun is None else begun.started_at,
            "ended_at": None if begun is None else begun.ended_at,
            "request_hash": submission.request_hash,
            "flow_revision": submission.flow_revision,
            "notify": _json(submission.notify) if submission.notify else None,
            "data_gone_at": None,
            "priority": submission.priority,
            "deadline": submission.deadline,
            "permit": None if submission.permit is None else submission.permit.model_dump_json(),
            "rerun": None if submission.rerun is None else _rerun_json(submission.rerun, begun is not None),
            "planned": None if submission.planned is None else submission.planned.model_dump_json(exclude_none=True),
        }
        cursor = self._execute(self._run_insert, values)
        key = int(cursor.fetchone()[0] if self._returns_keys else cursor.lastrowid)
        if submission.labels:
            labels = [{"name": name, "value": value, "run": key} for name, value in submission.labels.items()]
            self.connection.execute(sa.insert(schema.run_label), labels)
        return key

    def _notify(self, row: NotificationRow, at: float) -> None:
        values = {"id": f"{row.run}.{row.number}", "run": row.run, "namespace": row.namespace, "url": row.url}
        due = {"state": "pending", "attempts": 0, "next_at": at, "created_at": at}
        self.connection.execute(sa.insert(schema.notification).values(**values, **due))

    def revision(self, flow: Flow, at: float) -> int:
        """The key of a canonical flow, which is added if it is new. Inside a transaction."""
        digest = flow.digest
        if (key := self._revisions.get(digest)) is not None:
            return key
        table = schema.revision
        found = self.connection.execute(sa.select(table.c.key).where(table.c.digest == digest)).scalar()
        if found is None:
            values = {"digest": digest, "namespace": flow.namespace, "name": flow.name, "created_at": at}
            made = self.connection.execute(sa.insert(table).values(flow=flow.model_dump_json(), **values))
            found = made.inserted_primary_key[0]  # type: ignore[index]
        self._revisions[digest] = int(found)
        return int(found)

    # -- what the gateway and the registry write ---------------------------------------------------------------------

    def submit(self, submission: Submission, at: float) -> None:
        """Add a run without any event: the owner of its shard begins it (`plugmesh.state.arrivals`).

        Raises SQLAlchemy's or the driver's `IntegrityError` when its idempotency key is taken.
        """
        self.transaction("submit", lambda: self._insert_run(submission, at, None), guarded=True)

    def append_command(self, command: Command) -> None:
        """Add a command for the owner of the run's shard."""
        values = {**_command_values(command, 0.0), "applied_at": None}
        self.transaction("command", lambda: self._execute(self._command, values), guarded=True)

    def record_contract(self, name: str, version: str, digest: str, body: str) -> None:
        """Keep a contract; a newer text of the same promise replaces the older one."""
        columns = [column.name for column in schema.contract.columns]
        statement = _upsert(schema.contract, self._dialect, columns)
        values = {"name": name, "version": version, "digest": digest, "body": body, "seen_at": self._runtime.wall()}
        self.transaction("contract", lambda: self._execute(statement, values), guarded=True)

    def put_file(self, file: StoredFile) -> None:
        """Add a version; the file's name points at it from now on."""
        self.transaction(
            "file", lambda: self.connection.execute(sa.insert(schema.file).values(**file.row())), guarded=True
        )

    def mesh_value(self, name: str, default: str) -> str:
        """The mesh's setting `name`; the first caller's `default` stays."""

        def body() -> str:
            table = schema.mesh
            found = self.connection.execute(sa.select(table.c.value).where(table.c.name == name)).scalar()
            if found is None:
                self.connection.execute(sa.insert(table).values(name=name, value=default))
            return default if found is None else str(found)

        return self.transaction("mesh", body)


def _run_values(keys: dict[str, int], update: RunUpdate) -> dict[str, Any]:
    return {
        "b_key": keys[update.run],
        "b_state": update.state,
        "b_reason": update.reason,
        "b_outputs": update.outputs,
        "b_started_at": update.started_at,
        "b_ended_at": update.ended_at,
    }


def _command_values(command: Command, applied_at: float) -> dict[str, Any]:
    return {
        "id": command.command,
        "run": command.run,
        "kind": command.kind,
        "actor": command.actor,
        "reason": command.reason,
        "at": command.at,
        "applied_at": applied_at,
    }


def _rerun_json(rerun: Rerun, begun: bool) -> str:
    """What reload has to know of a rerun; once it has begun, what was recovered and skipped is in the rows of its steps."""
    return rerun.model_dump_json(exclude={"recovered", "skipped"} if begun else None, exclude_none=True)


def _json(values: Any) -> str:
    if not values:
        return "{}"
    try:
        return to_json(values, exclude_none=True).decode()
    except PydanticSerializationError:  # half a character: no UTF-8, but JSON can say it
        return json.dumps(to_jsonable_python(values, exclude_none=True), separators=(",", ":"))

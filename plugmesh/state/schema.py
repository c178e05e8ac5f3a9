"""The tables. JSON is stored as text; times are Unix seconds; `run.key` is the integer that other tables refer to."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
)

from plugmesh.state.columns import KEY, TEXT, string

metadata = MetaData()

mesh = Table(
    "mesh",
    metadata,
    Column("name", string(64), primary_key=True),
    Column("value", TEXT, nullable=False),
)

shard = Table(
    "shard",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("owner", string(64)),
    Column("term", Integer, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("position", string(200)),
)

revision = Table(
    "revision",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("digest", string(80), nullable=False, unique=True),
    Column("namespace", string(100), nullable=False),
    Column("name", string(200), nullable=False),
    Column("flow", TEXT, nullable=False),
    Column("created_at", Double, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("id", string(64), nullable=False, unique=True),
    Column("shard", Integer, nullable=False),
    Column("namespace", string(100), nullable=False),
    Column("flow", string(200), nullable=False),
    Column("revision", KEY, ForeignKey("revision.key"), nullable=False),
    Column("state", string(16), nullable=False),
    Column("reason", TEXT),
    Column("inputs", TEXT, nullable=False),
    Column("params", TEXT, nullable=False),
    Column("labels", TEXT, nullable=False),
    Column("outputs", TEXT),
    Column("idempotency_key", string(200)),
    Column("actor", string(200), nullable=False),
    Column("origin", string(64)),
    Column("timeout_s", Double),
    Column("submitted_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("request_hash", string(64)),
    Column("flow_revision", Integer),
    Column("notify", TEXT),
    Column("data_gone_at", Double),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("deadline", Double),
    Column("permit", TEXT),
    Column("rerun", TEXT),
    Column("planned", TEXT),
    UniqueConstraint("namespace", "idempotency_key"),
)
_unfinished = run.c.ended_at.is_(None)
Index("run_unfinished", run.c.shard, sqlite_where=_unfinished, postgresql_where=_unfinished)
Index("run_unfinished_newest", run.c.key, sqlite_where=_unfinished, postgresql_where=_unfinished)
Index("run_unfinished_in_shard", run.c.shard, run.c.ended_at).ddl_if(dialect="mysql")
Index("run_unfinished_first", run.c.ended_at).ddl_if(dialect="mysql")
"""Reload asks by shard, lists ask for the newest; neither may read the runs that have ended. MySQL has no indexes of some rows
only: there those that are wanted lie together in the index (each entry of which ends with the key of its row)."""
Index("run_submitted", run.c.submitted_at)
Index("run_of_namespace", run.c.namespace, run.c.key)
Index("run_of_flow", run.c.flow, run.c.key)
"""For lists, which are in the order of the keys."""
_again = run.c.origin.is_not(None)
Index("run_origin", run.c.origin, sqlite_where=_again, postgresql_where=_again)
"""For the reruns of a run."""

run_label = Table(
    "run_label",
    metadata,
    Column("name", string(100), primary_key=True),
    Column("value", string(200), primary_key=True),
    Column("run", KEY, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""The labels of runs once more, for lists that ask for one of them."""
Index("run_label_run", run_label.c.run)

permit = Table(
    "permit",
    metadata,
    Column("namespace", string(100), primary_key=True),
    Column("name", string(500), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("run", string(64), nullable=False, index=True),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)
"""The runs that are under way of flows that limit them. The places of a line are numbered from 0, so that two schedulers
cannot give out the same one."""

run_pin = Table(
    "run_pin",
    metadata,
    Column("run", string(64), primary_key=True),
    Column("actor", string(200), nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("at", Double, nullable=False),
    Column("until", Double),
)
"""Runs that a person wants to keep, whatever retention says."""

event = Table(
    "event",
    metadata,
    Column("run", KEY, primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("changes", TEXT, nullable=False),
)
"""With a rowid in SQLite: without one, a row of more than a quarter of a page gets a page for itself, as most of these would."""

step = Table(
    "step",
    metadata,
    Column("run", KEY, primary_key=True, autoincrement=False),
    Column("id", string(250), primary_key=True),
    Column("state", string(16), nullable=False),
    Column("reason", TEXT),
    Column("epoch", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("instance", string(64)),
    Column("version", string(64)),
    Column("outputs", TEXT),
    Column("error", TEXT),
    Column("stats", TEXT),
    Column("log", TEXT),
    Column("ready_at", Double),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("wake_at", Double),
    Column("progress", TEXT),
    Column("artifacts", TEXT),
    Column("pieces", TEXT),
    sqlite_with_rowid=False,
)

attempt = Table(
    "attempt",
    metadata,
    Column("run", KEY, primary_key=True, autoincrement=False),
    Column("step", string(250), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("state", string(16), primary_key=True),
    Column("instance", string(64)),
    Column("reason", TEXT),
    Column("error", TEXT),
    Column("log", TEXT),
    Column("at", Double, nullable=False),
    Column("stats", TEXT),
    sqlite_with_rowid=False,
)
"""Attempts that did not become the step's result; the accepted one is the step row itself."""

command = Table(
    "command",
    metadata,
    Column("id", string(64), primary_key=True),
    Column("run", string(64), nullable=False, index=True),
    Column("kind", string(32), nullable=False),
    Column("actor", string(200), nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("at", Double, nullable=False),
    Column("applied_at", Double),
)

contract = Table(
    "contract",
    metadata,
    Column("name", string(200), primary_key=True),
    Column("version", string(64), primary_key=True),
    Column("digest", string(80), nullable=False),
    Column("body", TEXT, nullable=False),
    Column("seen_at", Double, nullable=False),
)

file = Table(
    "file",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("namespace", string(100), nullable=False),
    Column("name", string(300), nullable=False),
    Column("object", string(512), nullable=False, unique=True),
    Column("bytes", BigInteger, nullable=False),
    Column("hash", string(100), nullable=False),
    Column("media_type", string(200), nullable=False),
    Column("actor", string(200), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("deleted_at", Double),
)
Index("file_versions", file.c.namespace, file.c.name, file.c.key)
"""Each row is a version; the newest one that is not deleted is what the name points at."""

saved_flow = Table(
    "saved_flow",
    metadata,
    Column("namespace", string(100), primary_key=True),
    Column("name", string(200), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("deleted_at", Double),
)
"""Flows by name. `number` is the newest revision's; it goes on rising when a deleted name is used again."""

saved_revision = Table(
    "saved_revision",
    metadata,
    Column("namespace", string(100), primary_key=True),
    Column("name", string(200), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("revision", KEY, ForeignKey("revision.key"), nullable=False),
    Column("media_type", string(100), nullable=False),
    Column("text", TEXT, nullable=False),
    Column("message", TEXT, nullable=False),
    Column("actor", string(200), nullable=False),
    Column("created_at", Double, nullable=False),
)
"""What was saved under a name: the text as its author wrote it, and the canonical flow that it means."""

module_switch = Table(
    "module_switch",
    metadata,
    Column("module", string(200), primary_key=True),
    Column("version", string(64), primary_key=True),
    Column("reason", TEXT, nullable=False),
    Column("actor", string(200), nullable=False),
    Column("at", Double, nullable=False),
    Column("kind", string(16), nullable=False, server_default="disabled"),
)
"""Modules that a person has `disabled`, or the mesh has `quarantined`; the version `*` stands for all of them."""

conviction = Table(
    "conviction",
    metadata,
    Column("module", string(200), primary_key=True),
    Column("version", string(64), primary_key=True),
    Column("run", string(64), primary_key=True),
    Column("step", string(250), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("trace", TEXT, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)
"""That a module version ended the process that ran it; a row for each run, of the last time. They go when the version is
enabled again."""
Index("conviction_run", conviction.c.run)

setting = Table(
    "setting",
    metadata,
    Column("name", string(100), primary_key=True),
    Column("value", TEXT, nullable=False),
    Column("actor", string(200), nullable=False),
    Column("at", Double, nullable=False),
)
"""Settings that were changed while the mesh ran; the value is JSON."""

notification = Table(
    "notification",
    metadata,
    Column("id", string(80), primary_key=True),
    Column("run", string(64), nullable=False, index=True),
    Column("namespace", string(100), nullable=False),
    Column("url", TEXT, nullable=False),
    Column("state", string(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Double),
    Column("status", Integer),
    Column("error", TEXT),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
)
"""Webhooks to call: made in the transaction that ends the run, `pending` until `delivered` or `failed`."""
_due = notification.c.next_at.is_not(None)
Index("notification_due", notification.c.next_at, sqlite_where=_due, postgresql_where=_due)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("id", string(320), nullable=False, unique=True),
    Column("run", string(64), nullable=False, index=True),
    Column("namespace", string(100), nullable=False),
    Column("flow", string(200), nullable=False),
    Column("step", string(250), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("module", string(270), nullable=False),
    Column("outcome", string(16), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("reasons", TEXT, nullable=False),
    Column("ref", TEXT, nullable=False),
    Column("edited", TEXT),
    Column("state", string(16), nullable=False),
    Column("redrive", string(64)),
    Column("actor", string(200)),
    Column("reason", TEXT),
    Column("at", Double, nullable=False),
    Column("changed_at", Double),
)
"""The rows that a step rejected, written in the transaction that ended the step; `outcome` is the state that it ended in.
`open` until the rows were given to another run (`redriven`) or given up (`discarded`)."""
Index("dead_letter_state", dead_letter.c.state, dead_letter.c.key)
Index("dead_letter_flow", dead_letter.c.flow, dead_letter.c.key)

run_data = Table(
    "run_data",
    metadata,
    Column("run", string(64), primary_key=True),
    Column("namespace", string(100), nullable=False),
    Column("flow", string(200), nullable=False),
    Column("ended_at", Double, nullable=False),
    Column("objects", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("log_objects", Integer, nullable=False),
    Column("log_bytes", BigInteger, nullable=False),
    Column("measured_at", Double, nullable=False),
    Column("data_marked_at", Double),
    Column("data_released_at", Double),
    Column("logs_marked_at", Double),
    Column("logs_released_at", Double),
    Column("events_gone_at", Double),
)
"""What a run that has ended keeps in the object store, and what of it was marked and released since. The row outlives
the run until nothing of it is left."""
_kept = run_data.c.data_marked_at.is_(None)
Index("run_data_oldest", run_data.c.ended_at, run_data.c.run, sqlite_where=_kept, postgresql_where=_kept)
Index("run_data_kept", run_data.c.data_marked_at, run_data.c.ended_at).ddl_if(dialect="mysql")

run_borrow = Table(
    "run_borrow",
    metadata,
    Column("run", string(64), primary_key=True),
    Column("lender", string(512), primary_key=True),
    Column("at", Double),
)
"""Outputs of an ended run that lie elsewhere: with another run (its id), or in a file (the object's key). `at` is when a
rerun that was about to be made laid its hand on them; it stays until that run has ended and was measured."""
Index("run_borrow_lender", run_borrow.c.lender)

plan_answer = Table(
    "plan_answer",
    metadata,
    Column("question", string(64), primary_key=True),
    Column("answer", TEXT, nullable=False),
    Column("at", Double, nullable=False),
)
"""What modules answered to the planner's questions, by the questions' keys."""
Index("plan_answer_oldest", plan_answer.c.at)

scheduler = Table(
    "scheduler",
    metadata,
    Column("id", string(64), primary_key=True),
    Column("lease_until", Double, nullable=False),
    Column("draining", Integer, nullable=False, server_default="0"),
)
"""The schedulers of a mesh that has several, by the database's clock; one that is draining takes no shards."""

process = Table(
    "process",
    metadata,
    Column("id", string(64), primary_key=True),
    Column("role", string(32), nullable=False),
    Column("host", string(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", string(64), nullable=False),
    Column("knows", string(32), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
)
"""The processes that have the database open, where several can; `knows` is the newest schema that each was made for."""

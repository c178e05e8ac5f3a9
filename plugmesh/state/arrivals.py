"""What gateways have written for the owners of shards: runs that nobody has begun yet, and commands."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from plugmesh.contracts.run import Command, RunState
from plugmesh.state.reads import Reader, with_seq
from plugmesh.state.records import StoredRun, Unfinished
from plugmesh.state.schema import command, event, revision, run

_OPEN = run.c.ended_at.is_(None)


def arrived(reader: Reader, shards: Collection[int], runs: Collection[str] | None = None, *, limit: int) -> Unfinished:
    """Runs of `shards` that have no event yet, of `runs` if they are named, and commands that were not carried out; the
    oldest first, at most `limit` of each."""
    begun = sa.exists().where(event.c.run == run.c.key)
    wanted = [run.c.shard.in_(shards), _OPEN, run.c.state == RunState.QUEUED.value, ~begun]
    if runs is not None:
        wanted.append(run.c.id.in_(runs))
    rows = reader.rows(with_seq().where(*wanted).order_by(run.c.key).limit(limit))
    found = [StoredRun(*row) for row in rows]
    flows: dict[int, str] = {}
    if found:
        revisions = {one.revision for one in found}
        query = sa.select(revision.c.key, revision.c.flow).where(revision.c.key.in_(revisions))
        flows = {int(key): str(text) for key, text in reader.rows(query)}
    return Unfinished(found, flows, {one.key: [] for one in found}, _commands(reader, shards, runs, limit))


def _commands(reader: Reader, shards: Collection[int], runs: Collection[str] | None, limit: int) -> list[Command]:
    ours = command.c.run.in_(sa.select(run.c.id).where(run.c.shard.in_(shards), _OPEN))
    wanted = [command.c.applied_at.is_(None), ours if runs is None else command.c.run.in_(runs)]
    rows = reader.documents(sa.select(command).where(*wanted).order_by(command.c.at).limit(limit))
    fields = ("run", "kind", "actor", "reason", "at")
    return [Command(command=row["id"], **{name: row[name] for name in fields}) for row in rows]

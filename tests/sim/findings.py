"""What must be true of a simulated mesh when everything is over, beside the invariants that its tables must keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from plugmesh.errors import ObjectMissing
from plugmesh.state import schema
from scheduler.invariants.violation import Violation
from tests.sim.client import Client
from tests.sim.executors import UPSERT_ROWS, Outside
from tests.sim.instance import Instance
from tests.sim.modules import SINK, UPSERT, expected_outputs
from tests.sim.objects import MemoryStore
from tests.sim.server import Server


def of_ends(client: Client) -> Iterator[Violation]:
    """Every run ended as it may, and no promise was broken."""
    for job in client.carried:
        end = client.ends[job.name]
        if end["state"] not in job.may_end:
            yield Violation("ends", f"{job.name} has {end['state']}: {end.get('reason')}")
    for promise in client.broken_promises:
        yield Violation("idempotency", promise)


def of_servers(servers: Sequence[Server | None]) -> Iterator[Violation]:
    """All servers are there, and remember nothing of what has ended."""
    for server in servers:
        if server is None or not server.ready:
            yield Violation("progress", "a server is not there at the end")
            continue
        board = server.engine.board
        rest = {
            "runs": len(board.runs),
            "leases": len(board.leases),
            "steps in line": len(board.placement),
            "parked steps": len(board.parked),
            "departures": len(board.departures),
        }
        for what, count in rest.items():
            if count:
                yield Violation("leftovers", f"{server.process.name} still has {count} {what}")


def of_instances(instances: Sequence[Instance | None]) -> Iterator[Violation]:
    """No instance works for anyone any more."""
    for instance in instances:
        if instance is not None and instance.process.alive and instance.supervisor._attempts.held:
            held = [attempt.id for attempt in instance.supervisor._attempts.held.values()]
            yield Violation("leftovers", f"{instance.process.name} still holds {held}")


def of_outputs(connection: sa.Connection, store: MemoryStore, client: Client) -> Iterator[Violation]:
    """Every run that succeeded has exactly the bytes that its flow computes."""
    for job in client.carried:
        if client.ends.get(job.name, {}).get("state") != "succeeded":
            continue
        query = sa.select(schema.run.c.outputs).where(schema.run.c.id == client.promised[job.name])
        text = connection.execute(query).scalar_one()
        for name, expected in expected_outputs(job.flow).items():
            found = [_content(store, reference["key"]) for reference in json.loads(text)[name]]
            if found != expected:
                yield Violation("result", f"{job.name}: output {name} is {found}, not {expected}")


def _content(store: MemoryStore, key: str) -> bytes | None:
    try:
        return bytes(store.read(key))
    except ObjectMissing:
        return None


def of_sinks(connection: sa.Connection, outside: Outside, client: Client) -> Iterator[Violation]:
    """Every sink whose step succeeded has had its effect: those that are idempotent, all of it."""
    run, step = schema.run, schema.step
    query = sa.select(run.c.id, step.c.id).join(step, run.c.key == step.c.run).where(step.c.state == "succeeded")
    done = {(run_id, step_id) for run_id, step_id in connection.execute(query)}
    written = set(outside.table.values())
    for job in client.carried:
        for name, node in job.flow["nodes"].items():
            at = (client.promised[job.name], name)
            if at not in done:
                continue
            where, row = "/".join(at), f"{client.roots[job.name]}/{name}"
            if node["module"] == SINK.name and where not in outside.effects:
                yield Violation("effects", f"the sink {where} has succeeded and had no effect")
            if node["module"] == UPSERT.name and not written.issuperset(f"{row}/{n}" for n in range(UPSERT_ROWS)):
                yield Violation("effects", f"the sink {where} has succeeded and did not write all of its rows")


def of_progress(connection: sa.Connection) -> str:
    """The runs that have not ended, and those of their steps that have not, as SQL has them."""
    run, step = schema.run, schema.step
    shown: Any = (run.c.id, run.c.state, step.c.id, step.c.state, step.c.epoch, step.c.instance, step.c.reason)
    query = sa.select(*shown).join(step, run.c.key == step.c.run, isouter=True)
    query = query.where(run.c.ended_at.is_(None), step.c.ended_at.is_(None))
    return "\n".join(f"    {tuple(row)}" for row in connection.execute(query))

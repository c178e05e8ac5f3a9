"""Questions that are asked all the time read what they are about, not all that ever was: servers say how they go about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from plugmesh.contracts.flow import Flow, Node
from plugmesh.state.arrivals import arrived
from plugmesh.state.borrowing import reruns_of
from plugmesh.state.database import Database
from plugmesh.state.notifications import due_notifications
from plugmesh.state.reads import Reader
from plugmesh.state.retention import oldest_kept, open_runs
from plugmesh.state.runs import RunFilter, list_runs
from plugmesh.state.schema import notification, revision, run, run_data
from tests.databases import SERVERS, migrated

RUNS, OPEN, SHARDS = 8_000, 40, 32
FLOW = Flow(name="f", nodes={"a": Node(module="x.y")})
FEW = RUNS // 10

QUESTIONS: list[tuple[str, Callable[[Reader], Any], str, set[str]]] = [
    ("unfinished", lambda one: one.unfinished(3), "run", {"run_unfinished", "run_unfinished_in_shard"}),
    ("arrived", lambda one: arrived(one, [3, 5], limit=10), "run",
     {"run_unfinished", "run_unfinished_newest", "run_unfinished_in_shard"}),
    ("open", lambda one: open_runs(one, 0), "run", {"run_unfinished_newest", "run_unfinished_first"}),
    ("list", lambda one: list_runs(one, RunFilter(states=["running"]), before=None, limit=5), "run",
     {"run_unfinished_newest", "run_unfinished_first"}),
    ("reruns", lambda one: reruns_of(one, "r-1"), "run", {"run_origin"}),
    ("kept", lambda one: oldest_kept(one, (0.0, ""), 5), "run_data", {"run_data_oldest", "run_data_kept"}),
    ("due", lambda one: due_notifications(one, 1e4, None, 5), "notification", {"notification_due"}),
]  # fmt: skip


@pytest.fixture(scope="module", params=SERVERS)
def old_mesh(request: pytest.FixtureRequest, kept_databases: Callable[[str], str]) -> Iterator[Database]:
    """Thousands of runs, nearly all of them ended, marked and told."""
    database = migrated(kept_databases(request.param))
    with database.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        _fill(connection)
        connection.exec_driver_sql("COMMIT")
        for table in (run, run_data, notification):
            connection.exec_driver_sql(f"ANALYZE {'' if request.param == 'postgres' else 'TABLE'} {table.name}")
    yield database
    with database.connect() as connection:
        for table in (notification, run_data, run, revision):
            connection.execute(table.delete())
    database.close()


def _fill(connection: sa.Connection) -> None:
    flow = {"digest": "d", "namespace": "default", "name": "f", "flow": FLOW.model_dump_json(), "created_at": 1.0}
    connection.execute(sa.insert(revision).values(**flow))
    key = connection.execute(sa.select(revision.c.key)).scalar_one()
    every = range(RUNS)
    connection.execute(sa.insert(run), [_run(number, key) for number in every])
    connection.execute(sa.insert(run_data), [_data(number) for number in every])
    connection.execute(sa.insert(notification), [_notification(number) for number in every])


def _is_open(number: int) -> bool:
    return number % (RUNS // OPEN) == 0


def _run(number: int, revision: int) -> dict[str, Any]:
    return {
        "id": f"r-{number}", "shard": number % SHARDS, "namespace": "default", "flow": "f", "revision": revision,
        "state": "running" if _is_open(number) else "succeeded", "inputs": "{}", "params": "{}", "labels": "{}",
        "actor": "me", "submitted_at": float(number), "ended_at": None if _is_open(number) else float(number),
        "origin": "r-1" if number == 2 else None,
    }  # fmt: skip


def _data(number: int) -> dict[str, Any]:
    values = dict.fromkeys(("objects", "bytes", "log_objects", "log_bytes"), 0)
    marked = None if number >= RUNS - OPEN else 1.0
    more = {"namespace": "default", "flow": "f", "ended_at": float(number), "measured_at": 1.0}
    return {"run": f"r-{number}", **more, **values, "data_marked_at": marked}


def _notification(number: int) -> dict[str, Any]:
    due = float(number) if _is_open(number) else None
    values = {"namespace": "default", "url": "http://x", "state": "pending", "attempts": 0, "created_at": 1.0}
    return {"id": f"r-{number}.0", "run": f"r-{number}", **values, "next_at": due}


@pytest.mark.parametrize(
    ("question", "table", "indexes"), [one[1:] for one in QUESTIONS], ids=[one[0] for one in QUESTIONS]
)
def test_a_question_about_a_few_rows_has_an_index(old_mesh, question, table, indexes):
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, values: Any, *rest: Any) -> None:
        asked.append((statement, values))

    sa.event.listen(old_mesh.engine, "before_cursor_execute", note)
    question(Reader(old_mesh))
    sa.event.remove(old_mesh.engine, "before_cursor_execute", note)
    used, rows = explained(old_mesh, asked[0], table)
    assert used in indexes
    assert rows < FEW


def explained(database: Database, asked: tuple[str, Any], table: str) -> tuple[str | None, float]:
    """The index by which the rows of a table are found, and how many the server thinks these are."""
    statement, values = asked
    with database.connect() as connection:
        if connection.dialect.name == "mysql":
            rows = connection.exec_driver_sql(f"EXPLAIN {statement}", values).mappings()
            (found,) = [row for row in rows if row["table"] == table]
            return found["key"], int(found["rows"])
        answer = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
    plan = answer if isinstance(answer, list) else json.loads(answer)
    return next(scan for scan in _scans(plan[0]["Plan"]) if scan[0] is not None and scan[2] in {table, None})[:2]


def _scans(plan: dict[str, Any]) -> Iterator[tuple[str | None, float, str | None]]:
    yield plan.get("Index Name"), plan["Plan Rows"], plan.get("Relation Name")
    for below in plan.get("Plans", ()):
        yield from _scans(below)

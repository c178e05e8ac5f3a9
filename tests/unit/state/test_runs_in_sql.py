"""Lists of runs and steps, and what is left of a run that is deleted."""

from typing import Any

import pytest
import sqlalchemy

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import SHARDS, Command, Submission, shard_of
from plugmesh.errors import Conflict, NotFound
from plugmesh.runtime import SystemRuntime
from plugmesh.state import runs as runs_in_sql
from plugmesh.state import schema
from plugmesh.state.database import Database
from plugmesh.state.migrate import upgrade
from plugmesh.state.reads import Reader
from plugmesh.state.records import AttemptRow, Commit, EventRow, NotificationRow, RunUpdate, StepRow
from plugmesh.state.runs import (
    RunFilter,
    delete_run_rows,
    element_counts,
    element_steps,
    list_runs,
    list_steps,
)
from plugmesh.state.store import State

FLOW = Flow(name="test", nodes={"a": Node(module="test.step")})


@pytest.fixture
async def state(database_url):
    opened = await State.open(database_url, SystemRuntime())
    await opened.acquire("me", 60.0)
    yield opened
    await opened.close()


async def insert(state, *runs, **rows):
    submissions = [
        run if isinstance(run, Submission) else Submission(run=run, flow=FLOW, submitted_at=1.0) for run in runs
    ]
    positions: dict[int, tuple[int, str | None]] = dict.fromkeys(range(SHARDS), (1, None))
    return await state.commit(Commit(owner="me", positions=positions, inserts=submissions, **rows))


async def listed(state, before=None, limit=10, **wanted):
    return [run.id for run in await state.read(list_runs, RunFilter(**wanted), before=before, limit=limit)]


def step_row(run, step, state="succeeded"):
    values: dict[str, Any] = dict.fromkeys(StepRow._fields)
    values |= {"run": run, "id": step, "state": state, "epoch": 1, "failures": 0, "losses": 0}
    return StepRow(**values)


async def end(state, run, keys, **rows):
    update = RunUpdate(run, "succeeded", None, None, 1.0, 2.0)
    await state.commit(Commit(owner="me", positions={shard_of(run): (1, None)}, keys=keys, runs=[update], **rows))


async def test_runs_come_newest_first_in_pages(state):
    await insert(state, *[f"r-{number}" for number in range(5)])
    first = await state.read(list_runs, RunFilter(namespace="default"), before=None, limit=2)
    second = await state.read(list_runs, RunFilter(namespace="default"), before=first[-1].key, limit=2)
    assert [run.id for run in first + second] == ["r-4", "r-3", "r-2", "r-1"]


async def test_a_page_does_not_move_when_runs_are_added(state):
    await insert(state, "r-1", "r-2", "r-3")
    first = await state.read(list_runs, RunFilter(), before=None, limit=2)
    await insert(state, "r-4")
    assert await listed(state, before=first[-1].key) == ["r-1"]


async def test_labels_all_have_to_match_and_pages_go_on_among_them(state):
    def labelled(run, **labels):
        return Submission(run=run, flow=FLOW, labels=labels)

    await insert(state, labelled("r-1", a="1"), labelled("r-2", a="1", b="2"), labelled("r-3", a="2", b="2"))
    await insert(state, labelled("r-4", a="1", b="2"))
    assert await listed(state, labels={"a": "1"}) == ["r-4", "r-2", "r-1"]
    assert await listed(state, labels={"a": "1", "b": "2"}) == ["r-4", "r-2"]
    newest = (await state.read(list_runs, RunFilter(labels={"a": "1"}), before=None, limit=1))[0]
    assert await listed(state, before=newest.key, labels={"a": "1"}) == ["r-2", "r-1"]


async def test_times_are_from_and_before(state):
    await insert(state, *[Submission(run=f"r-{at}", flow=FLOW, submitted_at=float(at)) for at in range(5)])
    assert await listed(state, since=1.0, until=3.0) == ["r-2", "r-1"]


async def test_times_of_many_runs_are_from_and_before_too(state, monkeypatch):
    monkeypatch.setattr(runs_in_sql, "_FEW", 2)
    await insert(state, *(Submission(run=f"r-{at}", flow=FLOW, submitted_at=float(at)) for at in range(6)))
    assert await listed(state, since=1.0, until=4.0) == ["r-3", "r-2", "r-1"]
    assert await listed(state, since=4.0) == ["r-5", "r-4"]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (RunFilter(states=("queued", "running")), "run_unfinished_newest"),
        (RunFilter(namespace="default"), "run_of_namespace"),
        (RunFilter(flow="sales"), "run_of_flow"),
        (RunFilter(since=5.0), "run_submitted"),
        (RunFilter(since=5.0, until=6.0, namespace="default"), "run_submitted"),
        (RunFilter(labels={"team": "ops"}), "label_0 USING PRIMARY KEY (name=? AND value=?"),
        (RunFilter(labels={"team": "ops", "day": "Mon"}), "run_label_run"),
    ],
)
def test_a_list_reads_only_what_it_shows(tmp_path, wanted, index):
    database = Database(f"sqlite:///{tmp_path}/state.db")
    with database.connect() as connection:
        upgrade(connection)
        asked = []
        sqlalchemy.event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
        list_runs(Reader(database), wanted, before=100, limit=1)
        question, values = asked[-1]
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}", values).all()]
    database.close()
    assert any(index in line for line in plan)
    assert [line for line in plan if line.startswith("SCAN run") and "INDEX" not in line] == []


async def test_steps_are_listed_by_state(state):
    keys = await insert(state, "r-1")
    await end(state, "r-1", keys, steps=[step_row("r-1", "a"), step_row("r-1", "b", "failed"), step_row("r-1", "c")])
    run = await state.read(Reader.run, "r-1")
    found = await state.read(list_steps, run, states=["succeeded"], after="a", limit=10)
    assert [row.id for row in found] == ["c"]


async def test_elements_of_a_node_are_told_from_those_of_a_node_that_is_called_alike(state):
    keys = await insert(state, "r-1")
    names = ["a", "a.10", "a.9", "A.1", "ab.1"]
    await end(state, "r-1", keys, steps=[step_row("r-1", name) for name in names])
    run = await state.read(Reader.run, "r-1")
    assert await state.read(element_counts, run, "a") == {"succeeded": 2}
    assert [row.id for row in await state.read(element_steps, run, "a")] == ["a.9", "a.10"]


async def test_a_run_is_deleted_when_it_has_ended_and_not_before(state):
    await insert(state, "r-1")
    with pytest.raises(Conflict, match="r-1 is queued"):
        await state.write(delete_run_rows, "r-1")
    with pytest.raises(NotFound):
        await state.write(delete_run_rows, "r-0")


async def test_nothing_is_left_of_a_deleted_run_and_nothing_of_another_is_gone(state, monkeypatch):
    monkeypatch.setattr(runs_in_sql, "SLICE_ROWS", 2)
    keys = await insert(state, *[Submission(run=run, flow=FLOW, labels={"a": "1"}) for run in ("r-1", "r-2")])
    for run in keys:
        await end(
            state,
            run,
            keys,
            steps=[step_row(run, f"a.{number}") for number in range(5)],
            events=[EventRow(run, number, 1.0, "[]") for number in range(4)],
            attempts=[AttemptRow(run, "a.1", 1, "lost", None, None, None, None, 1.0)],
            notifications=[NotificationRow(run, 0, "default", "http://a")],
        )
        await state.append_command(Command(command=f"c-{run}", run=run, kind="cancel"))
    rows = await row_counts(state)
    while await state.write(delete_run_rows, "r-1"):
        pass
    assert await row_counts(state) == {table: count / 2 for table, count in rows.items()}
    assert await listed(state, labels={"a": "1"}) == ["r-2"]


async def row_counts(state):
    tables = [schema.run, schema.run_label, schema.event, schema.step, schema.attempt, schema.command]
    tables.append(schema.notification)
    return {table.name: len(await state.read(Reader.rows, table.select())) for table in tables}

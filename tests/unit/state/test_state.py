"""The transactions and questions of State, on every database."""

import json

import pytest
import sqlalchemy

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.module import ModuleContract
from plugmesh.contracts.run import SHARDS, Command, Submission, shard_of
from plugmesh.errors import ConfigurationError, Conflict, OwnershipLost, StateUnavailable
from plugmesh.runtime import SystemRuntime
from plugmesh.state.database import Database
from plugmesh.state.migrate import upgrade
from plugmesh.state.reads import Reader
from plugmesh.state.records import AttemptRow, Commit, EventRow, RunUpdate, StepRow
from plugmesh.state.runs import RunFilter, list_runs
from plugmesh.state.store import State
from tests.databases import new_database
from tests.schemas import check_schema

FLOW = Flow(name="test", nodes={"a": Node(module="test.step")})


@pytest.fixture
async def state(database_url):
    opened = await State.open(database_url, SystemRuntime())
    yield opened
    await opened.close()


@pytest.fixture
async def file_state(tmp_path):
    opened = await State.open(new_database(tmp_path), SystemRuntime())
    yield opened
    await opened.close()


def submission(run="r-1", **fields):
    return Submission(run=run, flow=FLOW, submitted_at=1.0, **fields)


def step_row(run="r-1", state="ready", epoch=0):
    empty = dict.fromkeys(StepRow._fields)
    return StepRow(**{**empty, "run": run, "id": "a", "state": state, "epoch": epoch, "failures": 0, "losses": 0})


def commit_of(*submissions, owner="me", term=1):
    positions: dict[int, tuple[int, str | None]] = {shard_of(each.run): (term, None) for each in submissions}
    return Commit(owner=owner, positions=positions, inserts=list(submissions), at=2.0)


async def insert(state, *submissions):
    await state.acquire("me", 10.0)
    return await state.commit(commit_of(*submissions))


async def test_a_run_and_its_rows_are_written_in_one_transaction(state):
    await state.acquire("me", 10.0)
    batch = commit_of(submission())
    batch.events.append(EventRow("r-1", 1, 2.0, "[]"))
    batch.steps.append(step_row())
    batch.attempts.append(AttemptRow("r-1", "a", 1, "lost", "i", "gone", None, None, 2.0))
    batch.runs.append(RunUpdate("r-1", "running", None, None, 2.0, None))
    keys = await state.commit(batch)
    run = await state.read(Reader.run, "r-1")
    assert (run.key, run.state, run.seq) == (keys["r-1"], "running", 1)
    assert await state.read(Reader.steps, run) == [step_row()]
    assert [row.reason for row in await state.read(Reader.attempts, run)] == ["gone"]
    assert await state.read(Reader.step_counts, run) == {"ready": 1}


async def test_an_older_term_writes_nothing(state):
    await state.acquire("me", 10.0)
    with pytest.raises(OwnershipLost) as lost:
        await state.commit(commit_of(submission(), term=0))
    assert lost.value.code == "ownership-lost"
    assert await state.read(Reader.run, "r-1") is None


async def test_one_lost_shard_undoes_the_whole_commit(state):
    await state.acquire("me", 10.0)
    batch = commit_of(submission())
    batch.positions[(shard_of("r-1") + 1) % SHARDS] = (99, None)
    with pytest.raises(OwnershipLost):
        await state.commit(batch)
    assert await state.read(Reader.run, "r-1") is None


async def test_each_change_of_owner_raises_the_term(state):
    first = await state.acquire("me", 10.0)
    await state.release("me", range(SHARDS))
    second = await state.acquire("you", 10.0)
    assert {lease.term for lease in first} == {1}
    assert {lease.term for lease in second} == {2}


async def test_a_lease_that_someone_else_took_is_not_renewed(state):
    await state.acquire("me", 10.0)
    await state.release("me", [0])
    await state.acquire("you", 10.0, range(1, SHARDS))
    assert await state.renew("me", [(shard, 1) for shard in range(SHARDS)], 10.0) == [0]


async def test_the_position_stays_when_a_commit_names_none(state):
    await state.acquire("me", 10.0)
    await state.commit(Commit(owner="me", positions={3: (1, "boot:7")}))
    await state.commit(Commit(owner="me", positions={3: (1, None)}))
    await state.release("me", [3])
    leases = await state.acquire("you", 10.0)
    assert {lease.shard: lease.position for lease in leases}[3] == "boot:7"


async def test_unfinished_has_what_a_new_owner_needs_and_no_more(state):
    await insert(state, submission("r-1"), submission("r-2"))
    ended = commit_of()
    ended.positions = {shard_of("r-2"): (1, None)}
    ended.keys = {"r-2": (await state.read(Reader.run, "r-2")).key}
    ended.runs.append(RunUpdate("r-2", "succeeded", None, None, 1.0, 2.0))
    await state.commit(ended)
    await state.append_command(Command(command="c-1", run="r-1", kind="cancel"))
    found = await state.unfinished(shard_of("r-1"))
    assert [run.id for run in found.runs] == ["r-1"]
    assert [command.command for command in found.commands] == ["c-1"]
    assert [Flow.model_validate_json(text) for text in found.flows.values()] == [FLOW]
    if shard_of("r-2") != shard_of("r-1"):
        assert (await state.unfinished(shard_of("r-2"))).runs == []


async def test_a_command_that_was_carried_out_is_not_carried_out_again(state):
    keys = await insert(state, submission())
    command = Command(command="c-1", run="r-1", kind="cancel")
    await state.append_command(command)
    await state.commit(
        Commit(owner="me", positions={shard_of("r-1"): (1, None)}, keys=keys, commands=[command], at=9.0)
    )
    assert (await state.unfinished(shard_of("r-1"))).commands == []


async def test_an_idempotency_key_is_used_once_a_namespace(state):
    await insert(state, submission("r-1", idempotency_key="k"))
    assert (await state.read(Reader.run_by_key, "default", "k")).id == "r-1"
    assert await state.read(Reader.run_by_key, "other", "k") is None
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await state.commit(commit_of(submission("r-2", idempotency_key="k")))
    assert await state.read(Reader.run, "r-2") is None


async def test_equal_flows_share_a_revision(state):
    await insert(state, submission("r-1"))
    await state.commit(commit_of(submission("r-2")))
    first, second = [await state.read(Reader.run, run) for run in ("r-1", "r-2")]
    assert first.revision == second.revision
    assert json.loads(await state.read(Reader.flow_text, first.revision))["name"] == "test"


async def test_a_contract_of_the_same_version_is_replaced(state):
    await state.record(ModuleContract(name="m", doc="old"))
    await state.record(ModuleContract(name="m", doc="new"))
    assert [contract.doc for contract in await state.load()] == ["new"]


async def test_a_mesh_value_is_set_by_the_first_who_asks(state):
    assert await state.mesh_value("id", "one") == "one"
    assert await state.mesh_value("id", "two") == "one"


async def test_a_second_process_is_kept_out_with_a_word(file_state, tmp_path):
    with pytest.raises(Conflict, match="in use by another Plugmesh server"):
        Database(f"sqlite:///{tmp_path}/state.db")


@pytest.mark.parametrize("url", ["nonsense", "oracle://x", "sqlite:///x.db?synchronous=off"])
def test_a_url_that_cannot_be_served_is_refused(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError):
        Database(url)


async def test_a_file_that_is_no_database_is_named_with_the_ways_out(tmp_path):
    (tmp_path / "state.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StateUnavailable, match=r"file is not a database.*another folder") as refused:
        await State.open(f"sqlite:///{tmp_path}/state.db", SystemRuntime())
    assert refused.value.code == "state-unavailable"


@pytest.mark.parametrize("other", [False, True])
async def test_a_file_that_was_removed_or_replaced_takes_nothing_more_until_it_is_back(file_state, tmp_path, other):
    await insert(file_state, submission())
    (tmp_path / "state.db").rename(tmp_path / "elsewhere.db")
    if other:
        (tmp_path / "state.db").touch()
    with pytest.raises(StateUnavailable, match="was removed or replaced while this server has it open"):
        await file_state.acquire("me", 10.0)
    (tmp_path / "elsewhere.db").rename(tmp_path / "state.db")
    assert await file_state.acquire("me", 10.0)


def test_the_migrations_make_the_tables_of_the_schema(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.db")
    with database.connect() as connection:
        upgrade(connection)
        check_schema(connection)
    database.close()


def test_a_database_of_a_newer_plugmesh_is_refused(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.db")
    with database.connect() as connection:
        upgrade(connection)
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(ConfigurationError, match="newer version"):
            upgrade(connection)
    database.close()


def test_a_list_of_unfinished_runs_does_not_read_the_finished_ones(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.db")
    with database.connect() as connection:
        upgrade(connection)
        asked: list[str] = []
        sqlalchemy.event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        list_runs(Reader(database), RunFilter(states=("queued", "running")), before=None, limit=1)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[-1]}", ("queued", "running", 0, 1, 0)).all()
        assert "run_unfinished_newest" in str(plan)
    database.close()

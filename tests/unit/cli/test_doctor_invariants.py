"""What `plugmesh doctor --invariants` says of a data folder."""

import asyncio
import json
import os
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from plugmesh.cli.app import whole_app
from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import Submission
from plugmesh.runtime import SystemRuntime
from plugmesh.state.records import Commit, EventRow, RunUpdate
from plugmesh.state.store import State

FLOW = Flow(name="one", nodes={"only": Node(module="some.module")})
BEGUN = '[{"change":"run","state":"running","at":1.0},{"change":"step","step":"only","state":"ready","at":1.0}]'
CANCELLED = (
    '[{"change":"run","state":"cancelling","at":2.0,"reason":"cancelled by local"},'
    '{"change":"step","step":"only","state":"cancelled","at":2.0,"reason":"cancelled"},'
    '{"change":"run","state":"cancelled","at":2.0,"reason":"cancelled by local"}]'
)


async def build(folder: Path) -> None:
    """A data folder with three runs that were cancelled; what their steps became was never written."""
    state = await State.open(f"sqlite:///{folder}/made.db", SystemRuntime())
    shards = {lease.shard: (lease.term, None) for lease in await state.acquire("test", 60.0)}
    commit = Commit(owner="test", positions=dict(shards), at=1.0)
    for run in ("run-a", "run-b", "run-c"):
        commit.inserts.append(Submission(run=run, flow=FLOW, submitted_at=1.0))
        commit.events += [EventRow(run, 1, 1.0, BEGUN), EventRow(run, 2, 2.0, CANCELLED)]
        commit.runs.append(RunUpdate(run, "cancelled", "cancelled by local", None, 1.0, 2.0))
    await state.commit(commit)
    await state.close()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The database, as nobody has it open."""
    folder = tmp_path_factory.mktemp("made")
    asyncio.run(build(folder))
    database = sqlite3.connect(folder / "made.db")
    database.execute(f"VACUUM INTO '{folder / 'copy.db'}'")
    database.close()
    return (folder / "copy.db").read_bytes()


@pytest.fixture
def data(image: bytes, tmp_path: Path) -> Path:
    (tmp_path / "state.db").write_bytes(image)
    return tmp_path


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(whole_app(), ["doctor", *arguments], prog_name="plugmesh")


def test_what_is_violated_is_said_with_run_step_and_rule_and_what_to_do(data: Path) -> None:
    done = doctor("--invariants", "--data", str(data))
    assert done.exit_code == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["VIOLATED", "replay"] in [line[:2] for line in lines]
    assert ["ok", "terminal"] in [line[:2] for line in lines]
    told = " ".join(done.stdout.split())
    assert "run run-b, step only: it has no row, its events say that it is cancelled" in told
    assert "checked: 3 runs, 15 events, 0 steps" in told
    assert "3 violations" in told
    assert "report it as a bug" in told


def test_with_json_all_of_it_is_one_document(data: Path) -> None:
    done = doctor("--invariants", "--data", str(data), "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["ok"], document["checked"]["runs"]) == (1, False, 3)
    assert {"name": "replay", "says": "the events of a run, replayed, give its rows", "violations": 3} in document[
        "invariants"
    ]
    assert document["violations"][0] == {
        "invariant": "replay",
        "text": "it has no row, its events say that it is cancelled",
        "run": "run-a",
        "step": "only",
    }


def test_a_mesh_in_order_is_well_and_nothing_of_it_is_changed(data: Path) -> None:
    database = sqlite3.connect(data / "state.db")
    database.execute("DELETE FROM event")
    database.commit()
    database.close()
    before = (data / "state.db").read_bytes()
    done = doctor("--invariants", "--hashes", "--data", str(data))
    assert done.exit_code == 0
    assert "3 runs (of 3 the events are gone)" in done.stdout
    assert "every invariant holds" in done.stdout
    assert [(path.name, path.read_bytes()) for path in data.iterdir()] == [("state.db", before)]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--invariants", "--data", os.devnull), 4, "give the data folder of a mesh"),
        (("--hashes",), 2, "give both"),
    ],
)
def test_what_cannot_be_checked_says_why(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = doctor(*arguments)
    assert (done.exit_code, words in done.stderr) == (code, True)


def test_a_damaged_or_older_database_is_no_violation(data: Path) -> None:
    database = sqlite3.connect(data / "state.db")
    database.execute("DROP TABLE attempt")
    database.close()
    done = doctor("--invariants", "--data", str(data))
    assert done.exit_code == 2
    assert "start the mesh once with this version" in " ".join(done.stderr.split())

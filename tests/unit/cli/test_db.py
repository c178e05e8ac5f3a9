"""What `plugmesh db` says of a database, and does to it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from plugmesh.cli.app import whole_app
from plugmesh.cli.commands.db import _todo
from plugmesh.state.database import Database
from plugmesh.state.migrate import HEAD, Migration
from plugmesh.state.processes import Process
from plugmesh.state.schema_version import SchemaVersion
from plugmesh.state.standing import Standing
from tests.databases import new_database

OLD = Path(__file__).resolve().parents[2] / "upgrade" / "dumps" / "v0.1.0.sql"
SERVER = "postgresql://db/mesh"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLUGMESH_STATE", raising=False)


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(whole_app(), [*arguments, "--data", str(folder)])


def said(folder: Path, *arguments: str) -> Any:
    done = run(folder, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The data folder of a mesh of the version before."""
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.executescript(OLD.read_text())
    return tmp_path


def test_the_status_says_what_is_missing_and_changes_nothing(old: Path) -> None:
    before = (old / "state.db").read_bytes()
    document = said(old, "db", "status")
    assert (document["schema"], document["knows"], document["works"]) == ("0004", HEAD, False)
    assert [one["revision"] for one in document["missing"]] == [HEAD]
    assert document["todo"] == "the next `plugmesh up` upgrades it"
    told = " ".join(run(old, "db", "status").stdout.split())  # lines are as long as the terminal is wide
    assert "Several schedulers over one database (beside processes that know 0004)" in told
    assert (old / "state.db").read_bytes() == before


def test_an_upgrade_says_what_it_did_and_a_second_one_has_nothing_to_do(old: Path) -> None:
    assert f"the database has schema {HEAD} now" in run(old, "db", "upgrade").stdout
    assert said(old, "db", "upgrade") == {"schema": HEAD, "done": []}
    document = said(old, "db", "status")
    assert (document["schema"], document["oldest"], document["works"]) == (HEAD, "0004", True)
    assert document["todo"] == "nothing to do"


def test_a_database_that_a_server_has_open_is_looked_at_and_not_upgraded(tmp_path: Path) -> None:
    database = Database(new_database(tmp_path))
    assert said(tmp_path, "db", "status")["inUseBy"].isdecimal()
    refused = run(tmp_path, "db", "upgrade")
    database.close()
    assert refused.exit_code == 1
    assert "in use by another Plugmesh server" in " ".join(refused.stderr.split())  # wrapped


def test_where_there_is_none_yet_the_first_server_makes_it(tmp_path: Path) -> None:
    assert said(tmp_path / "nowhere", "db", "status")["todo"] == "nothing to do: the first server makes the tables"
    assert run(tmp_path / "nowhere", "db", "upgrade").exit_code == 4
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"nonsense" * 200)
    done = run(tmp_path, "db", "status")
    assert done.exit_code == 2
    assert "state.db?synchronous=full cannot be read" in done.stderr.replace("\n", "")


def process(knows: str) -> Process:
    return Process("p", "gateway", "host", 1, "0.1", knows, 0.0)


@pytest.mark.parametrize(
    ("found", "todo"),
    [
        (Standing(SchemaVersion(HEAD, HEAD)), "nothing to do"),
        (Standing(SchemaVersion("9999", HEAD)), "nothing to do"),
        (Standing(SchemaVersion("9999", "9998")), "a newer Plugmesh has upgraded it: use that version"),
        (
            Standing(SchemaVersion("0004", "0004"), (Migration(HEAD, "more", "0004"),), (process("0004"),)),
            "run `plugmesh db upgrade`: all processes go on meanwhile",
        ),
        (
            Standing(SchemaVersion("0004", "0003"), (Migration(HEAD, "more", "0004"),), (process("0003"),)),
            "replace the processes that cannot go on, then run `plugmesh db upgrade`",
        ),
    ],
)
def test_it_says_what_to_do_about_a_database_on_a_server(found: Standing, todo: str) -> None:
    assert _todo(SERVER, found) == todo

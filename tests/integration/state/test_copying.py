"""`db copy`: all rows of one database in another one, of whatever kind, and the mesh goes on there."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from plugmesh.errors import ConfigurationError, Conflict, NotFound, StateUnavailable
from plugmesh.runtime import SystemRuntime
from plugmesh.state.attendance import Attendance
from plugmesh.state.copying import TABLES, copy_rows, copy_state, empty_target
from plugmesh.state.database import Database
from plugmesh.state.records import StoredFile
from plugmesh.state.schema import contract, file, mesh, revision, run
from plugmesh.state.settings import save_setting
from plugmesh.state.snapshot import snapshot
from plugmesh.state.store import State
from plugmesh.state.writes import Writer
from tests.databases import migrated
from tests.integration.scheduler.mesh import Mesh
from tests.integration.scheduler.test_engine import chain
from tests.waiting import wait_until


def count(url: str, table: sa.Table) -> int:
    database = Database(url)
    with database.connect() as connection:
        found = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    database.close()
    return int(found)


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def small_url(file_url: str) -> str:
    """A database with a row in it, of a mesh that is stopped."""
    database = migrated(file_url)
    with database.connect() as connection:
        connection.execute(sa.insert(mesh).values(name="id", value="zero\0 and \U0001f642"))
    database.close()
    return file_url


async def under_way(tmp_path: Path, url: str = "") -> str:
    """A mesh that has ended a run, has another one under way, and stops; that run's id."""
    mesh = await Mesh(tmp_path, url=url).start()
    instance = await mesh.instance()
    await mesh.ended(await mesh.submit(chain(2), labels={"team": "blue"}))
    await mesh.state.put_file(
        StoredFile("default", "ä\U0001f642.csv", "files/default/x", 2**40, "h", "text/csv", "me", 1.5)
    )
    await mesh.state.write(save_setting, "retention_runs", "7", "me", 0.1)
    instance.answer = lambda message: instance.done(message) if message.step == "n0" else instance.accept(message)
    going = await mesh.submit(chain(3))
    await wait_until(lambda: [message.step for message in instance.assigned][-1:] == ["n1"])
    await mesh.stop()
    return going


async def ends(tmp_path: Path, url: str, run: str) -> None:
    """The run goes on with the database at `url`, and others can be made."""
    mesh = await Mesh(tmp_path, url=url).start()
    second = await mesh.instance("i-2")
    assert (await mesh.ended(run)).state == "succeeded"
    assert [message.step for message in second.assigned] == ["n1", "n2"]
    assert (await mesh.ended(await mesh.submit(chain(1)))).state == "succeeded"
    await mesh.stop()


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt of an instance that is not there any more is lost soon."""
    for name in ("scheduler.leases.LEASE_S", "scheduler.leases.ACCEPT_S"):
        monkeypatch.setattr(name, 0.5)


async def test_runs_under_way_go_on_with_a_server_and_back_in_a_file(tmp_path, server_url, file_url, short_leases):
    run = await under_way(tmp_path)
    there = copy_state(file_url, server_url)
    assert {one.name: one.rows for one in there}["run"] == 2
    await ends(tmp_path, server_url, run)
    (tmp_path / "back").mkdir()
    back = f"sqlite:///{tmp_path / 'back' / 'state.db'}"
    assert {one.name: one.rows for one in copy_state(server_url, back)}["run"] == 3
    assert copy_state(back, f"sqlite:///{tmp_path / 'again.db'}") == copy_state(
        server_url, f"sqlite:///{tmp_path / 'twice.db'}"
    )
    mesh = await Mesh(tmp_path, url=back).start()
    await mesh.instance("i-3")
    assert (await mesh.ended(await mesh.submit(chain(1)))).state == "succeeded"
    await mesh.stop()


async def test_a_run_under_way_on_a_server_goes_on_in_a_file(tmp_path, server_url, short_leases):
    run = await under_way(tmp_path, server_url)
    (tmp_path / "file").mkdir()
    target = f"sqlite:///{tmp_path / 'file' / 'state.db'}"
    copy_state(server_url, target)
    await ends(tmp_path, target, run)


def test_every_kind_of_row_comes_along(server_url, small_url, tmp_path):
    """One row in each table, with the largest and strangest values that its columns take."""
    database = Database(small_url)
    with database.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.execute(sa.delete(mesh))
        for table in TABLES:
            connection.execute(sa.insert(table).values({one.name: extreme(one) for one in table.columns}))
    database.close()
    assert [one.rows for one in copy_state(small_url, server_url)] == [1] * len(TABLES)
    assert [one.rows for one in copy_state(server_url, f"sqlite:///{tmp_path / 'back.db'}")] == [1] * len(TABLES)


def extreme(column: sa.Column) -> object:
    if column.foreign_keys:
        return 2**40
    if isinstance(column.type, sa.Double):
        return 1.7976931348623157e300 if column.nullable else 1795271167.1234567
    if isinstance(column.type, sa.BigInteger) or column.table.autoincrement_column is column:
        return 2**40
    if isinstance(column.type, sa.Integer):
        return 2**31 - 1
    length = getattr(column.type, "length", None)
    return "\U0001f642" * length if length is not None else '{"a":"\\u0000 \\\\ \' %s :x \U0001f642"}' + "x" * 100_000


def test_a_zero_character_is_kept_as_the_database_keeps_it(server_url, small_url):
    copy_state(small_url, server_url)
    assert count(server_url, mesh) == 1


def test_a_database_that_is_not_empty_is_left_alone(server_url, small_url):
    copy_state(small_url, server_url)
    with pytest.raises(Conflict, match="not empty"):
        copy_state(small_url, server_url)


def test_who_is_killed_in_the_middle_leaves_nothing_and_begins_again(server_url, small_url):
    def killed(table: str, rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_state(small_url, server_url, killed)
    assert count(server_url, mesh) == 0
    assert copy_state(small_url, server_url)


def test_what_reads_back_otherwise_is_not_kept(server_url, small_url):
    def changed(table: str, rows: int) -> None:
        empty.execute(sa.update(mesh).values(value="other"))

    with (
        pytest.raises(StateUnavailable, match="the tables mesh read back otherwise"),
        snapshot(small_url) as rows,
        empty_target(server_url) as empty,
    ):
        copy_rows(rows, empty, changed)
    assert count(server_url, mesh) == 0


def test_a_text_that_is_too_long_for_a_server_is_named(server_url, small_url):
    database = Database(small_url)
    with database.connect() as connection:
        values = {"name": "a.b", "version": "1.0.0-" + "x" * 90, "digest": "d", "body": "{}", "seen_at": 1.0}
        connection.execute(sa.insert(contract).values(**values))
    database.close()
    with pytest.raises(ConfigurationError, match="table contract has a version of 96 characters"):
        copy_state(small_url, server_url)
    assert count(server_url, mesh) == 0


def test_a_file_that_a_server_has_open_is_not_copied(small_url, tmp_path):
    open_ = Database(small_url)
    with pytest.raises(Conflict, match="in use by another Plugmesh server"):
        copy_state(small_url, f"sqlite:///{tmp_path / 'other.db'}")
    open_.close()


@pytest.fixture
async def served(server_url):
    state = await State.open(server_url, SystemRuntime())
    yield state
    await state.close()


async def test_a_database_that_a_process_works_with_is_not_copied(served, server_url, tmp_path):
    there = Attendance(served, SystemRuntime(), "gateway")
    await there.start()
    with pytest.raises(Conflict, match=r"gateway on .* stop all servers"):
        copy_state(server_url, f"sqlite:///{tmp_path / 'other.db'}")
    await there.stop()


async def test_a_database_whose_shards_somebody_holds_is_not_copied(served, server_url, tmp_path):
    await served.acquire("an older scheduler", 60.0)
    with pytest.raises(Conflict, match="an older scheduler works with"):
        copy_state(server_url, f"sqlite:///{tmp_path / 'other.db'}")


async def test_a_server_that_begins_meanwhile_is_noticed_before_anything_is_kept(served, server_url, tmp_path):
    await served.write(Writer.mesh_value, "id", "m")
    target = f"sqlite:///{tmp_path / 'other.db'}"
    began: list[str] = []

    def begin(table: str, rows: int) -> None:
        began.append(table)
        writer = Writer(Database(server_url), SystemRuntime())
        writer.acquire("a new scheduler", 60.0)

    with pytest.raises(Conflict, match="a new scheduler works with"):
        copy_state(server_url, target, begin)
    assert began == ["mesh"]
    assert count(target, mesh) == 0


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(NotFound, match="there is no database"):
        copy_state(f"sqlite:///{tmp_path / 'none.db'}", f"sqlite:///{tmp_path / 'other.db'}")
    assert not (tmp_path / "none.db").exists()


def test_numbers_go_on_behind_those_that_are_there(server_url, small_url):
    database = Database(small_url)
    with database.connect() as connection:
        values = {"key": 41, "digest": "d", "namespace": "n", "name": "f", "flow": "{}", "created_at": 1.0}
        connection.execute(sa.insert(revision).values(**values))
    database.close()
    copy_state(small_url, server_url)
    target = Database(server_url)
    with target.connect() as connection:
        insert = sa.insert(revision).values(digest="e", namespace="n", name="f", flow="{}", created_at=1.0)
        made = connection.execute(insert).inserted_primary_key
        assert made is not None
        assert made[0] == 42
    target.close()
    assert {count(server_url, one) for one in (run, file)} == {0}

"""A backup of a mesh that works, and the mesh that is made from it; what is cut off, changed, ahead or behind."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from plugmesh.backup.folder import MANIFEST, BackupFolder, content_of
from plugmesh.backup.restoring import look, restore
from plugmesh.backup.taking import take
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.messages import Done
from plugmesh.errors import ConfigurationError, Conflict, NotFound, ObjectCorrupt, ObjectMissing, StoreFull
from plugmesh.objects.hold import HOLDS, holding
from plugmesh.objects.local import LocalStore
from plugmesh.objects.open import open_store
from plugmesh.runtime import SystemRuntime
from plugmesh.state.reads import Reader
from plugmesh.state.records import StoredFile
from plugmesh.state.store import State
from scheduler.invariants.folder import check_folder
from tests.e2e.tmpfs import small_disk
from tests.integration.scheduler.mesh import Mesh
from tests.integration.scheduler.sweep_house import GRACE_S, House
from tests.integration.scheduler.test_engine import chain
from tests.waiting import wait_until

pytestmark = pytest.mark.full
RUNTIME = SystemRuntime(seed=7)


class Working(Mesh):
    """A mesh whose steps hand files on, and which has a run under way."""

    def put(self, key: str, content: bytes = b"content") -> str:
        writer = self.objects.create(key)
        writer.write(content)
        writer.commit()
        return key

    def filed(self, instance, message) -> None:
        key = self.put(
            f"data/default/{message.run}/{message.step}/{message.epoch}/x-{instance.name}", message.step.encode()
        )
        ref = FileRef(name="f", key=key, bytes=2, hash="h")
        instance.send(message, Done(**instance.who(message), outputs={"out": ref}))

    async def work(self) -> tuple[str, str]:
        """A run that has ended, and one that waits for the answer of its second step."""
        instance = await self.instance()
        instance.answer = lambda message: self.filed(instance, message)
        ended = await self.submit(chain(2))
        await self.ended(ended)
        await self.state.put_file(
            StoredFile("default", "f.csv", self.put("files/default/v1", b"a,b"), 3, "h", "text/csv", "me", 1.0)
        )
        instance.answer = lambda message: (
            self.filed(instance, message) if message.step == "n0" else instance.accept(message)
        )
        going = await self.submit(chain(3))
        await wait_until(lambda: [message.step for message in instance.assigned][-1:] == ["n1"])
        return ended, going

    async def goes_on(self, run: str) -> None:
        """The run that was under way ends here, and new ones are made."""
        instance = await self.instance("i-after")
        instance.answer = lambda message: self.filed(instance, message)
        assert (await self.ended(run)).state == "succeeded"
        assert [message.step for message in instance.assigned] == ["n1", "n2"]
        assert (await self.ended(await self.submit(chain(1)))).state == "succeeded"

    @property
    def database(self) -> str:
        return self.url or f"sqlite:///{self.folder / 'state.db'}"


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("scheduler.leases.LEASE_S", "scheduler.leases.ACCEPT_S"):
        monkeypatch.setattr(name, 0.5)


@pytest.fixture
async def mesh(tmp_path: Path):
    mesh = Working(tmp_path / "mesh")
    mesh.folder.mkdir()
    await mesh.start()
    yield mesh
    await mesh.stop()


@pytest.fixture
def folder(tmp_path: Path) -> BackupFolder:
    return BackupFolder(tmp_path / "backup")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


async def taken(mesh: Working, folder: BackupFolder):
    return await asyncio.to_thread(take, folder, mesh.database, mesh.objects, RUNTIME)


def restored(folder: BackupFolder, target: Path, *, partial: bool = False):
    store = LocalStore(target / "objects")
    return restore(folder, look(folder), f"sqlite:///{target / 'state.db'}", store, RUNTIME, partial=partial)


def keys(store, prefix: str = "data/") -> set[str]:
    return {one.key for one in store.list(prefix)}


async def test_a_mesh_that_works_is_taken_and_goes_on_somewhere_else(mesh, folder, target):
    ended, going = await mesh.work()
    manifest = await taken(mesh, folder)
    assert manifest.missing == ()
    assert keys(mesh.objects, HOLDS) == set()
    restored(folder, target)
    other = Working(target)
    await other.start()
    await other.goes_on(going)
    assert (await other.run(ended)).state == "succeeded"
    assert keys(other.objects, f"data/default/{ended}/") == keys(mesh.objects, f"data/default/{ended}/")
    await other.stop()
    assert check_folder(target, hashes=False).violations == []


async def test_what_came_after_the_rows_is_taken_along_and_harmless(mesh, folder, target):
    """Objects ahead: the step's file is in the store, and no row names it yet."""
    _, going = await mesh.work()
    ahead = mesh.put(f"data/default/{going}/n1/1/x-late", b"late")
    await taken(mesh, folder)
    restored(folder, target)
    other = Working(target)
    await other.start()
    assert ahead in keys(other.objects)
    await other.goes_on(going)
    await other.stop()


async def test_rows_of_yesterday_are_put_beside_the_objects_of_today(mesh, folder, target):
    """Objects ahead in the store itself: only with a word for it, and nothing there is written again."""
    _, going = await mesh.work()
    await taken(mesh, folder)
    newer = mesh.put("data/default/r-newer/n0/1/x-1")
    database, looked = f"sqlite:///{target / 'state.db'}", look(folder)
    with pytest.raises(Conflict, match="1 objects that are not in the backup"):
        restore(folder, looked, database, mesh.objects, RUNTIME)
    done = restore(folder, looked, database, mesh.objects, RUNTIME, ahead=True)
    assert (done.objects, done.there_before, done.ahead) == (0, len(looked.whole), 1)
    assert newer in keys(mesh.objects)
    state = await State.open(database, RUNTIME)
    found = await state.read(Reader.run, going)
    assert found is not None
    assert found.state == "running"
    await state.close()


async def test_objects_that_are_behind_are_named_with_their_runs_and_files(mesh, folder, target):
    ended, _ = await mesh.work()
    key = next(one for one in keys(mesh.objects) if f"/{ended}/n1/" in one)
    mesh.objects.delete(key)
    mesh.objects.delete("files/default/v1")
    manifest = await taken(mesh, folder)
    # The run's outputs are those of its last step: both name the object.
    assert {*manifest.missing} == {
        f"run {ended}: its outputs ({key})", f"run {ended}: step n1 ({key})", "file default/f.csv (files/default/v1)",
    }  # fmt: skip
    with pytest.raises(ObjectMissing, match=rf"the rows name 3 objects .*{ended}.*--partial"):
        restored(folder, target)
    assert not (target / "state.db").exists()
    assert restored(folder, target, partial=True).rows > 0
    other = Working(target)
    await other.start()
    assert (await other.run(ended)).state == "succeeded"
    await other.stop()


async def test_a_changed_byte_of_an_object_is_found_and_said_whose_it_is(mesh, folder, target):
    ended, _ = await mesh.work()
    await taken(mesh, folder)
    key = next(one for one in keys(mesh.objects) if f"/{ended}/n0/" in one)
    change(folder.object(key))
    with pytest.raises(ObjectMissing, match=rf"run {ended}: step n0"):
        restored(folder, target)
    assert restored(folder, target, partial=True).rows > 0
    assert key not in keys(LocalStore(target / "objects"))


def change(path: Path, at: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["state.db", "objects.jsonl"])
async def test_a_changed_byte_of_the_rows_or_of_the_list_ends_it(mesh, folder, target, name):
    await mesh.work()
    await taken(mesh, folder)
    change(folder.path / name, 50)
    with pytest.raises(ObjectCorrupt, match=rf"{name} is not as it was written"):
        restored(folder, target, partial=True)
    assert not (target / "state.db").exists()


async def test_a_backup_that_was_cut_off_is_none(mesh, folder, target, monkeypatch):
    await mesh.work()

    def killed(self, key, pieces):
        raise KeyboardInterrupt

    monkeypatch.setattr(BackupFolder, "add_object", killed)
    with pytest.raises(KeyboardInterrupt):
        take(folder, mesh.database, mesh.objects, RUNTIME)
    monkeypatch.undo()
    with pytest.raises(NotFound, match="cut off"):
        restored(folder, target)
    with pytest.raises(Conflict, match="cut off"):
        await taken(mesh, folder)
    assert keys(mesh.objects, HOLDS) == set()


async def test_a_backup_whose_end_is_missing_is_found_out(mesh, folder, target):
    await mesh.work()
    await taken(mesh, folder)
    lines = folder.lines.read_bytes().splitlines(keepends=True)
    folder.lines.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(ObjectCorrupt):
        restored(folder, target)


async def test_the_folder_of_another_backup_is_not_touched(mesh, folder):
    await taken(mesh, folder)
    before = (folder.path / MANIFEST).read_bytes()
    with pytest.raises(Conflict, match="has a backup in it"):
        await taken(mesh, folder)
    assert (folder.path / MANIFEST).read_bytes() == before


async def test_a_mesh_is_not_restored_over_another_one(mesh, folder, target):
    await mesh.work()
    await taken(mesh, folder)
    restored(folder, target)
    with pytest.raises(Conflict, match="not empty"):
        restored(folder, target)


async def test_who_was_killed_while_restoring_begins_again(mesh, folder, target, monkeypatch):
    await mesh.work()
    await taken(mesh, folder)

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("plugmesh.backup.restoring.copy_rows", killed)
    with pytest.raises(KeyboardInterrupt):
        restored(folder, target)
    monkeypatch.undo()
    done = restored(folder, target)
    assert done.objects == 0
    assert done.there_before > 0


async def test_another_object_under_the_same_key_is_no_place_for_a_backup(mesh, folder, target):
    ended, _ = await mesh.work()
    await taken(mesh, folder)
    key = next(one for one in keys(mesh.objects) if f"/{ended}/n0/" in one)
    writer = LocalStore(target / "objects").create(key)
    writer.write(b"of another mesh")
    writer.commit()
    with pytest.raises(Conflict, match="another object"):
        restored(folder, target)


async def test_a_backup_of_an_older_schema_is_upgraded_on_its_way(mesh, folder, target):
    _, going = await mesh.work()
    await taken(mesh, folder)
    downgraded(folder)
    restored(folder, target)
    state = await State.open(f"sqlite:///{target / 'state.db'}", RUNTIME)
    found = await state.read(Reader.run, going)
    assert found is not None
    assert found.state == "running"
    await state.close()


def downgraded(folder: BackupFolder) -> None:
    """As version 0.1 would have left it: without what the migration 0005 makes."""
    with closing(sqlite3.connect(folder.state)) as connection:
        for statement in ("DROP TABLE scheduler", "DROP TABLE process", "DROP TABLE schema_revision"):
            connection.execute(statement)
        connection.execute("UPDATE alembic_version SET version_num = '0004'")
        connection.commit()
    manifest = folder.manifest().model_copy(update={"revision": "0004", "state": content_of(folder.state)})
    (folder.path / MANIFEST).write_text(manifest.model_dump_json())


async def test_a_backup_of_a_newer_schema_is_for_a_newer_version(mesh, folder, target):
    await taken(mesh, folder)
    manifest = folder.manifest().model_copy(update={"revision": "9999", "version": "9.9"})
    (folder.path / MANIFEST).write_text(manifest.model_dump_json())
    with pytest.raises(ConfigurationError, match=r"restore it with version 9\.9"):
        restored(folder, target)


async def test_a_full_disk_ends_a_backup_and_says_so(mesh, tmp_path):
    await mesh.work()
    mesh.put("data/default/r-x/n0/1/x-large", b"x" * 8 * 2**20)
    with small_disk(tmp_path / "disk", 4 * 2**20) as disk:
        with pytest.raises(StoreFull, match="no room for the backup"):
            await taken(mesh, BackupFolder(disk.path / "backup"))
        assert not (disk.path / "backup" / MANIFEST).exists()
        disk.fill()
        with pytest.raises(StoreFull, match="no room for the backup"):
            await taken(mesh, BackupFolder(disk.path / "another"))


async def test_a_full_disk_ends_a_restore_and_what_is_there_is_used_again(mesh, folder, tmp_path, target):
    await mesh.work()
    for number in range(4):
        mesh.put(f"data/default/r-x/n0/1/x-{number}", b"x" * 2 * 2**20)
    await taken(mesh, folder)
    looked, database = look(folder), f"sqlite:///{target / 'state.db'}"
    with small_disk(tmp_path / "disk", 5 * 2**20) as disk:
        store = LocalStore(disk.path / "objects", keep_free_bytes=0)
        with pytest.raises(StoreFull):
            restore(folder, looked, database, store, RUNTIME)
        state = await State.open(database, RUNTIME)
        assert await state.mesh_value("id", "none") == "none"
        await state.close()


async def test_nothing_is_swept_while_a_backup_is_being_taken(tmp_path):
    house = House(tmp_path)
    await house.start()
    await house.run("r-1")
    house.machine.ahead += 11 * 86_400
    await house.sweeper.round(whole=True)
    assert (await house.stored("r-1")).data_gone_at is not None
    house.machine.ahead += GRACE_S + 1
    with holding(house.store, house.machine) as hold:
        now(house, hold)
        await house.sweeper.round(whole=True)
        assert len(house.there()) == 2
    await house.sweeper.round(whole=True)
    assert house.there() == {"data/default/r-1/a/1/n-log.jsonl"}
    await house.state.close()


async def test_what_was_found_before_a_hold_began_is_not_deleted_after_it(tmp_path, monkeypatch):
    house = House(tmp_path)
    await house.start()
    await house.run("r-1")
    house.machine.ahead += 11 * 86_400
    await house.sweeper.round(whole=True)
    house.machine.ahead += GRACE_S + 1
    holds: list[Any] = []

    def begin(name: str) -> None:
        if name == "sweep.before_release" and not holds:
            holds.append(holding(house.store, house.machine))
            now(house, holds[0].__enter__())

    monkeypatch.setattr(house.machine, "point", begin)
    await house.sweeper.round(whole=True)
    assert len(house.there()) == 2
    holds[0].__exit__(None, None, None)
    await house.sweeper.round(whole=True)
    assert len(house.there()) == 1
    await house.state.close()


def now(house: House, hold) -> None:
    """The hold was written at the time of the test's clock, which is not that of the machine's files."""
    path = house.folder / "objects" / "objects" / hold._keys[-1]
    os.utime(path, (house.machine.wall(), house.machine.wall()))


async def test_a_hold_that_nobody_renews_means_nothing_soon(tmp_path):
    house = House(tmp_path)
    await house.start()
    await house.run("r-1")
    holding(house.store, house.machine).__enter__()
    await house.sweep(11, rounds=2)
    assert len(house.there()) == 1
    await house.state.close()


async def test_a_manifest_says_what_is_in_it(mesh, folder):
    await mesh.work()
    manifest = await taken(mesh, folder)
    written = json.loads((folder.path / MANIFEST).read_text())
    assert written["objects"] == manifest.objects == len([one for one in folder.objects.rglob("*") if one.is_file()])
    assert {one["name"]: one["rows"] for one in written["tables"]}["run"] == 2


@pytest.fixture
def any_store(request: pytest.FixtureRequest):
    return open_store(request.getfixturevalue("minio_url"), RUNTIME)


async def test_a_mesh_moves_from_files_to_servers_and_back(mesh, folder, target, server_url, any_store, tmp_path):
    """Rows from SQLite to a server, objects from files to S3; from there both to files."""
    _, going = await mesh.work()
    await taken(mesh, folder)
    restore(folder, look(folder), server_url, any_store, RUNTIME)
    assert {one.key for one in any_store.list("data/")} == keys(mesh.objects)
    state = await State.open(server_url, RUNTIME)
    await state.acquire("works", 60.0)
    again = BackupFolder(tmp_path / "again")
    manifest = await asyncio.to_thread(take, again, server_url, any_store, RUNTIME)
    assert manifest.missing == ()
    await state.close()
    restored(again, target)
    other = Working(target)
    await other.start()
    await other.goes_on(going)
    await other.stop()

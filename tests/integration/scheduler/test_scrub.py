"""What a mesh keeps is read again and compared with its hashes: what changed is named with its run, step, port and column."""

import asyncio
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from plugmesh.cli.app import whole_app
from plugmesh.contracts.data import FileRef, Reference
from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import Submission
from plugmesh.data.digest import content_hash
from plugmesh.data.reference import spill
from plugmesh.data.table import write_table
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from plugmesh.state.records import Commit, StepRow, StoredFile
from plugmesh.state.store import State
from scheduler.invariants.folder import open_database
from scheduler.scrub import PIECE_BYTES, Scrubbed, Scrubber, scrub_folder, steady

RUN, TABLE = "run-1", pa.table({"id": pa.array(range(500), pa.int64()), "total": pa.array([n / 2 for n in range(500)])})


async def _build(folder: Path, outputs: dict[str, Reference], file: FileRef) -> None:
    state = await State.open(f"sqlite:///{folder}/state.db", SystemRuntime())
    leases = {lease.shard: (lease.term, None) for lease in await state.acquire("test", 60.0)}
    commit = Commit(owner="test", positions=dict(leases), at=1.0)
    commit.inserts.append(Submission(run=RUN, flow=Flow(name="f", nodes={"a": Node(module="m.m")}), submitted_at=1.0))
    keys = await state.commit(commit)
    values: dict[str, Any] = dict.fromkeys(StepRow._fields)
    text = json.dumps({port: ref.model_dump(mode="json") for port, ref in outputs.items()})
    row = {
        **values,
        "run": RUN,
        "id": "a",
        "state": "succeeded",
        "epoch": 1,
        "failures": 0,
        "losses": 0,
        "outputs": text,
    }
    second = Commit(owner="test", positions=dict(leases), keys=keys, at=2.0)
    second.steps.append(StepRow(**row))
    await state.commit(second)
    await state.put_file(StoredFile("default", "a.csv", file.key, file.bytes, file.hash, "text/csv", "local", 1.0))
    await state.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A mesh with a table, a spilled reference to another table, and an uploaded file."""
    store = LocalStore(tmp_path / "objects", keep_free_bytes=0)
    out = write_table(store, f"data/default/{RUN}/a/out", TABLE)
    other = write_table(store, f"data/default/{RUN}/a/other", TABLE.select(["id"]))
    spilled = spill(store, f"data/default/{RUN}/a/ref", other, limit_bytes=0)
    writer = store.create("files/default/1")
    writer.write(b"a,b\n1,2\n")
    writer.commit()
    file = FileRef(name="a.csv", key="files/default/1", bytes=8, hash=content_hash(b"a,b\n1,2\n"))
    asyncio.run(_build(tmp_path, {"out": out, "other": spilled}, file))
    return tmp_path


def harm(data: Path, key: str, change: Callable[[bytes], bytes] = lambda old: old[:-1] + bytes([old[-1] ^ 1])) -> None:
    """Change the bytes of an object behind the mesh's back."""
    path = data / "objects/objects" / key
    path.write_bytes(change(path.read_bytes()))


def places(found: Scrubbed) -> list[tuple[str, str]]:
    return [(str(one.place), one.code) for one in found.damages]


def test_what_is_whole_is_read_once(data: Path) -> None:
    found = scrub_folder(data)
    assert (found.damages, found.pieces) == ([], 5)  # a file, two columns, a spilled reference, a column
    assert found.bytes > 3 * 500 * 8


def test_a_changed_value_is_found_with_its_column(data: Path) -> None:
    harm(
        data,
        f"data/default/{RUN}/a/out",
        lambda old: old.replace(TABLE["total"].chunk(0).buffers()[1].to_pybytes()[-8:], b"x" * 8),
    )
    assert places(scrub_folder(data)) == [("run run-1, step a, port 'out', column 'total'", "object-corrupt")]


def test_a_table_behind_a_spilled_reference_is_read_too(data: Path) -> None:
    harm(data, f"data/default/{RUN}/a/other", lambda old: old[: len(old) // 2])
    assert places(scrub_folder(data)) == [("run run-1, step a, port 'other', column 'id'", "object-corrupt")]


def test_a_damaged_reference_and_a_damaged_file_are_found(data: Path) -> None:
    harm(data, f"data/default/{RUN}/a/ref")
    harm(data, "files/default/1")
    assert places(scrub_folder(data)) == [
        ("file 'default/a.csv'", "object-corrupt"),
        ("run run-1, step a, port 'other'", "object-corrupt"),
    ]


def test_a_file_that_becomes_shorter_while_it_is_read_is_found(tmp_path: Path) -> None:
    large = b"x" * (PIECE_BYTES + 1)
    writer = LocalStore(tmp_path / "objects", keep_free_bytes=0).create("files/default/1")
    writer.write(large)
    writer.commit()
    file = FileRef(name="a.csv", key="files/default/1", bytes=len(large), hash=content_hash(large))
    asyncio.run(_build(tmp_path, {}, file))
    store = LocalStore(tmp_path / "objects", read_only=True)

    with open_database(tmp_path) as connection:
        scrubber = Scrubber(
            connection, store, lambda size: harm(tmp_path, file.key, lambda old: b""), lambda size: None
        )
        scrubber.scrub()

    assert places(scrubber.found) == [("file 'default/a.csv'", "object-corrupt")]


def test_what_is_not_there_is_found(data: Path) -> None:
    (data / "objects/objects/files/default/1").unlink()
    assert places(scrub_folder(data)) == [("file 'default/a.csv'", "object-missing")]


def test_what_the_disk_cannot_read_is_found_and_the_rest_is_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, real = scrub_folder(data), os.pread
    bad_sector = (data / "objects/objects/files/default/1").stat().st_ino

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == bad_sector:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    found = scrub_folder(data)
    assert [(one.code, bool(one.place.file)) for one in found.damages] == [("object-corrupt", True)]
    assert found.pieces == whole.pieces


def test_it_is_no_faster_than_it_may_be() -> None:
    clock = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    pace = steady(100.0, lambda: clock[0], sleep)
    for _ in range(10):
        pace(50)
        clock[0] += 0.1  # reading takes time, too
    assert sum(slept) == pytest.approx(5.0 - 0.9)


def _doctor(*arguments: str) -> Result:
    return CliRunner().invoke(whole_app(), ["doctor", "--scrub", *arguments], prog_name="plugmesh")


def test_the_command_says_what_is_damaged(data: Path) -> None:
    good = _doctor("--data", str(data))
    assert good.exit_code == 0
    assert "all data is what was written" in good.stdout
    harm(data, "files/default/1")
    bad = _doctor("--data", str(data))
    assert bad.exit_code == 1
    assert "file 'default/a.csv': object files/default/1: its bytes" in bad.stdout.replace("\n", " ")
    told = json.loads(_doctor("--data", str(data), "--json").stdout)
    assert (told["ok"], told["damages"][0]["file"], told["damages"][0]["code"]) == (
        False,
        "default/a.csv",
        "object-corrupt",
    )


def test_the_command_reads_what_the_settings_name(
    data: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = str(tmp_path_factory.mktemp("nothing"))
    monkeypatch.setenv("PLUGMESH_STATE", f"sqlite:///{data}/state.db")
    monkeypatch.setenv("PLUGMESH_OBJECTS", f"file://{data}/objects")
    good = json.loads(_doctor("--data", nothing, "--json").stdout)
    assert (good["ok"], good["pieces"]) == (True, scrub_folder(data).pieces)
    harm(data, "files/default/1")
    bad = json.loads(_doctor("--data", nothing, "--json").stdout)
    assert [damage["file"] for damage in bad["damages"]] == ["default/a.csv"]


def test_a_folder_without_a_mesh_is_said(tmp_path: Path) -> None:
    assert "there is no state.db" in _doctor("--data", str(tmp_path)).output

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugmesh.errors import ConfigurationError, Conflict, ObjectMissing, StoreFull
from plugmesh.objects import local_reader
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def put(store: LocalStore, key: str, data: bytes) -> None:
    writer = store.create(key)
    writer.write(data)
    writer.commit()


def files(folder: Path) -> list[str]:
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name != "boot")


def fail_write(error: int, after_bytes: int) -> Any:
    real, room = os.write, after_bytes

    def write(fd: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(error, os.strerror(error))
        written = real(fd, data[:room])
        room -= written
        return written

    return write


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_store_full_and_leaves_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    writer = store.create("k")
    monkeypatch.setattr(os, "write", fail_write(error, after_bytes=10))
    with pytest.raises(StoreFull, match="object k"):
        writer.write(b"x" * 100)
    assert files(tmp_path) == []


def test_full_disk_at_commit_is_store_full(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = store.create("k")
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StoreFull):
        writer.commit()
    assert files(tmp_path) == []


def test_short_writes_are_continued(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
        put(store, "k", b"0123456789")
    assert bytes(store.read("k")) == b"0123456789"


def test_a_durable_store_flushes_the_bytes_before_the_name_and_the_name_before_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path, keep_free_bytes=0, durable=True)
    happened: list[str] = []
    link, flush = os.link, os.fsync

    def linked(source: str, target: str) -> None:
        link(source, target)
        happened.append("named")

    def flushed(fd: int) -> None:
        flush(fd)
        happened.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tmp_path))

    monkeypatch.setattr(os, "link", linked)
    monkeypatch.setattr(os, "fsync", flushed)
    put(store, "runs/r-1/a", b"bytes")
    assert happened[0].startswith("tmp/")
    assert happened[1:] == ["named", "objects/runs/r-1", "objects/runs", "objects"]


def test_watermark_refuses_new_objects(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, keep_free_bytes=1 << 60)
    with pytest.raises(StoreFull, match="keep_free_bytes"):
        store.create("k")
    assert files(tmp_path) == []


def test_watermark_stops_a_large_object_midway(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = store.create("k")
    monkeypatch.setattr(store._folder, "keep_free_bytes", 1 << 60)
    writer.write(b"small")
    with pytest.raises(StoreFull):
        writer.write(bytes(20 * 1024 * 1024))
    assert files(tmp_path) == []


def test_opening_removes_what_dead_writers_left_and_spares_the_living(store: LocalStore, tmp_path: Path) -> None:
    script = (
        "import sys, os; from pathlib import Path; from plugmesh.objects.local import LocalStore\n"
        "LocalStore(Path(sys.argv[1])).create('dead').write(b'half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, cwd=Path(__file__).parents[3])
    writer = store.create("living")
    writer.write(b"whole")
    assert len(files(tmp_path)) == 2
    LocalStore(tmp_path)
    assert len(files(tmp_path)) == 1
    writer.commit()
    assert files(tmp_path) == ["objects/living"]


def test_left_over_name_of_a_committed_object_is_harmless(store: LocalStore, tmp_path: Path) -> None:
    put(store, "k", b"data")
    os.link(tmp_path / "objects/k", tmp_path / "tmp/1-1")  # killed between link and unlink
    again = LocalStore(tmp_path)
    assert files(tmp_path) == ["objects/k"]
    assert bytes(again.read("k")) == b"data"


def test_file_with_our_pid_from_another_container_is_not_touched(store: LocalStore, tmp_path: Path) -> None:
    foreign = tmp_path / f"tmp/{os.getpid()}-0"
    foreign.write_bytes(b"foreign")
    put(store, "k", b"mine")
    assert foreign.read_bytes() == b"foreign"
    assert bytes(store.read("k")) == b"mine"


def test_temporary_file_that_was_removed_under_us_is_an_error(store: LocalStore, tmp_path: Path) -> None:
    writer = store.create("k")
    for name in files(tmp_path):
        (tmp_path / name).unlink()
    with pytest.raises(ObjectMissing, match="vanished"):
        writer.commit()


def test_empty_folders_go_with_their_last_object(store: LocalStore, tmp_path: Path) -> None:
    put(store, "a/b/c", b"")
    put(store, "a/d", b"")
    store.delete("a/b/c")
    assert not (tmp_path / "objects/a/b").exists()
    assert files(tmp_path) == ["objects/a/d"]


def test_key_may_take_the_place_of_an_empty_folder(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "objects/a/b").mkdir(parents=True)
    put(store, "a/b", b"object")
    assert bytes(store.read("a/b")) == b"object"


def test_object_and_folder_of_one_name_exclude_each_other(store: LocalStore) -> None:
    put(store, "a/b", b"")
    for key in ("a", "a/b/c", "a/b/c/d"):
        with pytest.raises(Conflict, match="choose another key"):
            put(store, key, b"")


def test_columns_of_one_object_share_one_mapping(store: LocalStore) -> None:
    put(store, "k", bytes(1 << 20))
    first, second = store.read("k", 0, 100_000), store.read("k", 200_000, 10)
    assert first.obj is second.obj


def test_mapping_is_dropped_with_its_last_holder(store: LocalStore) -> None:
    put(store, "k", bytes(1 << 20))
    view = store.read("k", 10, 100_000)
    assert len(store._reader._maps) == 1
    del view
    assert len(store._reader._maps) == 0


def test_deleted_and_written_anew_is_read_anew(store: LocalStore) -> None:
    put(store, "k", b"1" * 100_000)
    old = store.read("k")
    store.delete("k")
    put(store, "k", b"2" * 100_000)
    assert bytes(store.read("k")[:3]) == b"222"
    assert bytes(old[:3]) == b"111"


def test_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="object store"):
        LocalStore(tmp_path / "file" / "store")


def test_crash_points_stand_before_and_after_the_object_becomes_visible(tmp_path: Path) -> None:
    class Recording(SystemRuntime):
        def point(self, name: str) -> None:
            seen.append((name, files(tmp_path / "objects")))

    seen: list[tuple[str, list[str]]] = []
    put(LocalStore(tmp_path, Recording()), "k", b"")
    assert seen == [("objects.commit.before_rename", []), ("objects.commit.after_rename", ["k"])]


def test_more_objects_can_be_held_than_there_are_file_descriptors(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_reader, "most_maps", lambda: 2)
    for number in range(5):
        put(store, f"k{number}", bytes([number]) * 100_000)
    views = [store.read(f"k{number}", 1) for number in range(5)]
    assert len(store._reader._maps) == 2
    assert [bytes(view[:1]) for view in views] == [bytes([number]) for number in range(5)]
    assert all(view.readonly and len(view) == 99_999 for view in views)


def test_short_reads_are_continued(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "k", b"0123456789")
    real = os.pread
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", lambda fd, length, offset: real(fd, min(length, 3), offset))
        assert bytes(store.read("k", 1)) == b"123456789"


def test_a_store_that_was_removed_is_named_with_the_way_out(tmp_path: Path) -> None:
    store = LocalStore(root := tmp_path / "store")
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(ObjectMissing, match="was removed while it is in use: put the folder back"):
        put(store, "k", b"x")
    (tmp_path / "elsewhere").rename(root)
    put(store, "k", b"x")

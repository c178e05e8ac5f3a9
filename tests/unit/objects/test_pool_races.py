"""What happens between two steps of the protocol of files that are written again: somebody else comes, or the end."""

import errno
import fcntl
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugmesh.errors import ConfigurationError, NotReachable, ObjectMissing, StoreFull
from plugmesh.objects import local_reader
from plugmesh.objects.local import LocalStore

MIB = 1024 * 1024
A, B, C = (random.Random(seed).randbytes(2 * MIB + seed) for seed in (1, 2, 3))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, keep_free_bytes=0)


@pytest.fixture
def other(tmp_path: Path, store: LocalStore) -> LocalStore:
    """The same store as another process has it."""
    return LocalStore(tmp_path, keep_free_bytes=0)


def put(store: LocalStore, key: str, data: bytes) -> None:
    writer = store.create(key, len(data))
    writer.write(data)
    writer.commit()


def free(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "free"))


def at_first(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, event: Callable[..., object]) -> None:
    """Let `event` happen just before the first call of a function of a module."""
    real: Callable[..., Any] = getattr(module, name)

    def called(*args: Any) -> Any:
        monkeypatch.setattr(module, name, real)
        event(*args)
        return real(*args)

    monkeypatch.setattr(module, name, called)


def killed(work: Callable[[], object]) -> None:
    """Do it in a process that ends in the middle of what follows."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_a_reader_who_comes_late_does_not_get_the_next_object(
    store: LocalStore, other: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def somebody_else(*_: Any) -> None:
        other.delete("a")
        put(other, "b", B)

    put(store, "a", A)
    at_first(monkeypatch, fcntl, "flock", somebody_else)
    with pytest.raises(ObjectMissing):
        store.read("a")
    assert store.read("b") == B


def test_a_reader_waits_while_the_writer_still_holds_what_it_has_named(
    store: LocalStore, other: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "a", A)
    fd = os.open(tmp_path / "objects/a", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    monkeypatch.setattr(local_reader, "_PATIENCE_S", 0.0)
    with pytest.raises(NotReachable, match="object a"):
        other.read("a")
    monkeypatch.setattr(local_reader, "_PATIENCE_S", 60.0)
    letting_go = threading.Timer(0.01, os.close, [fd])
    letting_go.start()
    assert other.read("a") == A
    letting_go.join()


def test_an_object_that_goes_while_a_reader_waits_is_missing(
    store: LocalStore, other: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "a", A)
    store.delete("a")
    put(store, "b", B)
    fd = os.open(tmp_path / "objects/b", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    at_first(monkeypatch, time, "sleep", lambda _: other.delete("b"))
    with pytest.raises(ObjectMissing):
        store.read("b")
    os.close(fd)


def test_a_file_that_somebody_takes_for_abandoned_is_not_written(
    store: LocalStore, other: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "a", A)
    store.delete("a")

    def somebody_else(*_: Any) -> None:
        assert other.remove_abandoned() == 1
        put(other, "b", B)

    at_first(monkeypatch, fcntl, "flock", somebody_else)
    put(store, "c", C)
    assert store.read("b") == B
    assert store.read("c") == C
    assert os.listdir(tmp_path / "tmp") == []


def test_what_a_killed_writer_had_taken_is_free_again(store: LocalStore, other: LocalStore, tmp_path: Path) -> None:
    put(store, "a", A)
    store.delete("a")
    before = free(tmp_path)
    killed(lambda: other.create("b", len(B)).write(B[:MIB]))
    assert (free(tmp_path), len(os.listdir(tmp_path / "tmp"))) == ([], 1)
    store.remove_abandoned()
    assert free(tmp_path) == before
    put(store, "c", C)
    assert store.read("c") == C


def test_a_second_name_that_a_killed_writer_left_is_removed_and_harms_nobody(store: LocalStore, tmp_path: Path) -> None:
    put(store, "a", A)
    os.link(tmp_path / "objects/a", tmp_path / "tmp/9-9")
    store.delete("a")
    assert free(tmp_path) == []  # it has another name, whoever that belongs to
    assert store.remove_abandoned() == 1
    assert len(free(tmp_path)) == 1


def test_a_forked_child_does_not_undo_what_its_parent_writes(store: LocalStore, tmp_path: Path) -> None:
    put(store, "a", A)
    store.delete("a")
    writer = store.create("b", len(B))
    writer.write(B[:MIB])
    killed(writer.abort)
    killed(lambda: put(store, "child", C))
    writer.write(B[MIB:])
    writer.commit()
    assert store.read("b") == B
    assert os.listdir(tmp_path / "tmp") == []


def test_code_that_closes_our_descriptors_does_not_make_us_write_elsewhere(store: LocalStore, tmp_path: Path) -> None:
    put(store, "a", A)
    store.delete("a")
    put(store, "b", B)  # kept open from now on
    (kept,) = store._pool._kept.values()
    os.close(kept.fd)
    stranger = os.open(tmp_path / "stranger", os.O_RDWR | os.O_CREAT)
    assert stranger == kept.fd
    store.delete("b")
    put(store, "c", C)
    os.write(stranger, b"still open")
    os.close(stranger)
    assert (tmp_path / "stranger").read_bytes() == b"still open"
    assert store.read("c") == C


def test_files_that_are_kept_open_are_let_go_when_they_are_gone(store: LocalStore, other: LocalStore) -> None:
    for turn in range(3):
        put(store, f"a{turn}", A)
        store.delete(f"a{turn}")
    assert len(store._pool._kept) == 1
    open_files = len(os.listdir("/proc/self/fd"))
    other._pool.give_up(1 << 40)
    assert len(store._pool._kept) == 1
    put(store, "c", C)
    assert len(store._pool._kept) == 0
    assert len(os.listdir("/proc/self/fd")) == open_files - 2


def test_room_of_a_file_that_another_process_keeps_open_comes_back_when_it_is_given_up(
    store: LocalStore, other: LocalStore
) -> None:
    put(store, "a", A)
    store.delete("a")
    put(store, "b", B)  # kept open from now on, perhaps by a process that never writes again
    store.delete("b")
    (kept,) = store._pool._kept.values()
    assert os.fstat(kept.fd).st_blocks
    assert other._pool.give_up(1 << 40)
    assert os.fstat(kept.fd).st_blocks == 0
    put(store, "c", C)
    assert store.read("c") == C


def test_what_is_still_read_keeps_its_bytes_when_it_is_given_up(
    store: LocalStore, other: LocalStore, tmp_path: Path
) -> None:
    put(store, "a", A)
    view = store.read("a")
    store.delete("a")
    assert other._pool.give_up(1 << 40)
    assert free(tmp_path) == os.listdir(tmp_path / "tmp") == []
    assert view == A


def test_another_name_of_a_file_keeps_its_bytes_when_it_is_given_up(
    store: LocalStore, other: LocalStore, tmp_path: Path
) -> None:
    put(store, "a", A)
    store.delete("a")
    (name,) = free(tmp_path)
    os.link(tmp_path / "free" / name, tmp_path / "backup")
    other._pool.give_up(1 << 40)
    assert free(tmp_path) == []
    assert (tmp_path / "backup").read_bytes() == A


def test_more_is_not_kept_open_than_may_be(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugmesh.objects.kept_files._KEPT_FILES", 2)
    for number in range(4):
        put(store, f"a{number}", A)
    for number in range(4):
        store.delete(f"a{number}")
    for number in range(4):
        put(store, f"b{number}", B)
    assert len(store._pool._kept) == 2
    assert [store.read(f"b{number}") == B for number in range(4)] == [True] * 4


def no_room(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> None:
    """Writing fails as long as there are free files."""
    real = getattr(os, name)

    def write(*args: Any) -> int:
        if free(folder):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(real(*args))

    monkeypatch.setattr(os, name, write)


@pytest.mark.parametrize(("name", "size"), [("write", 100_000), ("pwrite", 2_240_000)])
def test_a_full_disk_takes_the_free_files_first(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    for key, data in (("a", A), ("b", B + bytes(4 * MIB)), ("c", C)):
        put(store, key, data)
    for key in ("a", "b", "c"):
        store.delete(key)
    no_room(monkeypatch, tmp_path, name)
    data = random.Random(4).randbytes(size)  # the larger one goes beyond what the taken file has
    put(store, "d", data)
    assert free(tmp_path) == []
    assert store.read("d") == data


def test_the_watermark_takes_the_free_files_first(store: LocalStore, tmp_path: Path) -> None:
    put(store, "a", A)
    store.delete("a")
    lacking = store._folder.lacking(0)
    store._folder.keep_free_bytes = -lacking + MIB
    put(store, "b", b"small")
    assert free(tmp_path) == []
    store._folder.keep_free_bytes = 1 << 60
    with pytest.raises(StoreFull, match="keep_free_bytes"):
        store.create("c")


def test_a_full_disk_in_the_middle_leaves_nothing_that_can_be_seen(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    put(store, "a", A)
    store.delete("a")
    writer = store.create("b", len(B))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreFull, match="object b"):
        writer.write(B + bytes(MIB))
    assert list(store.list("")) == []
    assert os.listdir(tmp_path / "tmp") == []
    monkeypatch.undo()
    put(store, "c", C)
    assert store.read("c") == C


def test_a_process_without_descriptors_writes_new_files(
    store: LocalStore, other: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "a", A)
    store.delete("a")
    real = os.open

    def limited(path: Any, flags: int, *mode: int) -> int:
        if "/free/" in str(path):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", limited)
    put(other, "b", B)
    assert other.read("b") == B


def test_the_folder_of_free_files_may_be_removed_at_any_time(store: LocalStore, tmp_path: Path) -> None:
    put(store, "a", A)
    (tmp_path / "free").rmdir()
    assert store.delete("a")
    put(store, "b", B)
    assert store.read("b") == B
    with pytest.raises(ConfigurationError):
        store.create("..", 2 * MIB)


def test_a_forked_child_neither_keeps_a_new_file_locked_nor_removes_it(store: LocalStore, other: LocalStore) -> None:
    writer = store.create("a", len(A))
    writer.write(A)
    waiting, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(end)
            writer.abort()
            os.read(waiting, 1)
        finally:
            os._exit(0)
    keeps = os.fork()
    if keeps == 0:
        os.close(end)
        os.read(waiting, 1)
        os._exit(0)
    try:
        writer.commit()
        assert other.read("a") == A
    finally:
        os.close(end)
        os.close(waiting)
        os.waitpid(pid, 0)
        os.waitpid(keeps, 0)

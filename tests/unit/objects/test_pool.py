"""Files of deleted objects are written again, and nobody who reads is disturbed."""

import gc
import os
import random
from pathlib import Path

import pytest

from plugmesh.errors import ObjectCorrupt, ObjectMissing
from plugmesh.objects.extent import LARGE_BYTES, file_size
from plugmesh.objects.local import LocalStore

MIB = 1024 * 1024


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, keep_free_bytes=0)


def content(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def put(store: LocalStore, key: str, data: bytes, hint: int | None = -1) -> None:
    writer = store.create(key, len(data) if hint == -1 else hint)
    for start in range(0, len(data), 256 * 1024):
        writer.write(data[start : start + 256 * 1024])
    assert writer.commit().bytes == len(data)


def inode_of(folder: Path, key: str) -> int:
    return (folder / "objects" / key).stat().st_ino


def free(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "free"))


def test_the_file_of_a_deleted_object_is_written_again(store: LocalStore, tmp_path: Path) -> None:
    first, second = content(1, 3 * MIB), content(2, 3 * MIB - 5000)
    put(store, "a", first)
    inode = inode_of(tmp_path, "a")
    assert store.delete("a")
    assert free(tmp_path) == [f"{file_size(3 * MIB)}-{inode}"]
    put(store, "b", second)
    assert inode_of(tmp_path, "b") == inode
    assert free(tmp_path) == os.listdir(tmp_path / "tmp") == []
    assert bytes(store.read("b")) == second
    with pytest.raises(ObjectMissing):
        store.read("a")


@pytest.mark.parametrize("process", ["this", "another"])
def test_it_goes_on_as_long_as_the_sizes_fit(store: LocalStore, tmp_path: Path, process: str) -> None:
    inodes = set()
    for turn in range(6):
        data = content(turn, 2 * MIB + turn * 1000)
        put(store, f"k{turn}", data)
        if process == "another":
            store = LocalStore(tmp_path, keep_free_bytes=0)
        assert bytes(store.read(f"k{turn}")) == data
        assert bytes(store.read(f"k{turn}", 1 * MIB, 50)) == data[MIB : MIB + 50]
        assert [item.bytes for item in store.list("")] == [len(data)]
        inodes.add(inode_of(tmp_path, f"k{turn}"))
        store.delete(f"k{turn}")
    assert len(inodes) == 1


@pytest.mark.parametrize("hint", [MIB, 3 * MIB, 3 * MIB + 1, None])
def test_a_wrong_hint_does_no_harm(store: LocalStore, tmp_path: Path, hint: int | None) -> None:
    for turn, size in enumerate((3 * MIB, 3 * MIB + 1, 200 * 1024, 4 * MIB, 0, 3 * MIB - 1)):
        data = content(turn, size)
        put(store, f"k{turn}", data, hint)
        assert bytes(store.read(f"k{turn}")) == data
        assert [item.bytes for item in store.list("")] == [size]
        with pytest.raises(ObjectCorrupt):
            store.read(f"k{turn}", 0, size + 1)
        store.delete(f"k{turn}")


def test_no_byte_of_an_earlier_object_can_be_read(store: LocalStore) -> None:
    put(store, "secret", b"s" * (4 * MIB))
    store.delete("secret")
    put(store, "short", b"x" * (MIB // 2), hint=4 * MIB)
    for offset, length in ((0, MIB), (MIB, None), (4 * MIB, 1), (MIB // 2, 1)):
        with pytest.raises(ObjectCorrupt):
            store.read("short", offset, length)
    assert bytes(store.read("short")) == b"x" * (MIB // 2)


def test_what_somebody_reads_is_not_written_again(store: LocalStore, tmp_path: Path) -> None:
    data = content(1, 2 * MIB)
    put(store, "a", data)
    here, elsewhere = store.read("a", 5, 100_000), LocalStore(tmp_path).read("a")
    store.delete("a")
    put(store, "b", content(2, 2 * MIB))
    assert bytes(here) == data[5:100_005]
    del here
    put(store, "c", content(3, 2 * MIB))
    assert bytes(elsewhere) == data
    assert len(free(tmp_path)) == 1
    del elsewhere
    gc.collect()
    put(store, "d", content(4, 2 * MIB))
    assert free(tmp_path) == []


def test_a_second_name_of_a_file_keeps_its_bytes(store: LocalStore, tmp_path: Path) -> None:
    data = content(1, 2 * MIB)
    put(store, "a", data)
    os.link(tmp_path / "objects/a", tmp_path / "backup")
    store.delete("a")
    assert free(tmp_path) == []
    put(store, "b", content(2, 2 * MIB))
    store.delete("b")
    os.link(tmp_path / "free" / free(tmp_path)[0], tmp_path / "late")
    put(store, "c", content(3, 2 * MIB))
    assert (tmp_path / "backup").read_bytes()[: 2 * MIB] == data
    assert (tmp_path / "late").read_bytes()[: 2 * MIB] == content(2, 2 * MIB)


def test_an_object_that_is_not_finished_leaves_its_file_free(store: LocalStore, tmp_path: Path) -> None:
    put(store, "a", content(1, 2 * MIB))
    store.delete("a")
    writer = store.create("b", 2 * MIB)
    writer.write(content(2, MIB))
    assert free(tmp_path) == []
    writer.abort()
    assert len(free(tmp_path)) == 1
    assert list(store.list("")) == []
    put(store, "c", data := content(3, 2 * MIB))
    assert bytes(store.read("c")) == data


def test_small_objects_are_removed_as_ever(store: LocalStore, tmp_path: Path) -> None:
    put(store, "a", bytes(LARGE_BYTES - 1))
    store.delete("a")
    assert free(tmp_path) == []


def test_a_pool_of_nothing_is_none(tmp_path: Path) -> None:
    put(LocalStore(tmp_path), "a", bytes(2 * MIB))
    LocalStore(tmp_path).delete("a")
    assert len(free(tmp_path)) == 1
    store = LocalStore(tmp_path, pool_bytes=0)
    assert free(tmp_path) == []
    put(store, "b", bytes(2 * MIB))
    store.delete("b")
    assert free(tmp_path) == []


def test_the_pool_does_not_become_larger_than_it_may(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, keep_free_bytes=0, pool_bytes=10 * MIB)
    for number in range(12):
        put(store, f"k{number}", bytes(2 * MIB), hint=None)
    for number in range(12):
        store.delete(f"k{number}")
        assert sum(path.stat().st_size for path in (tmp_path / "free").iterdir()) <= 10 * MIB
    assert free(tmp_path)


def test_a_new_boot_of_the_machine_empties_the_pool(store: LocalStore, tmp_path: Path) -> None:
    put(store, "a", bytes(2 * MIB))
    store.delete("a")
    LocalStore(tmp_path)
    assert len(free(tmp_path)) == 1
    (tmp_path / "boot").write_text("another boot")
    LocalStore(tmp_path)
    assert free(tmp_path) == []


@pytest.mark.parametrize("size", [MIB, MIB + 65536, 16 * MIB])
def test_an_object_whose_end_looks_like_a_trailer_is_read_whole(store: LocalStore, tmp_path: Path, size: int) -> None:
    put(store, "model", content(1, 1 * MIB), hint=None)
    store.delete("model")
    put(store, "long", content(2, MIB - 100))  # with a trailer at its end
    trailer = (tmp_path / "objects/long").read_bytes()[-64:]
    for pool_bytes in (0, 64 * MIB):
        other = LocalStore(tmp_path, pool_bytes=pool_bytes)
        data = content(3, size - 64) + trailer
        put(other, f"forged{pool_bytes}", data, hint=None)
        assert bytes(other.read(f"forged{pool_bytes}")) == data


def test_a_descriptor_is_of_the_bytes_of_the_object_and_protects_them(store: LocalStore, tmp_path: Path) -> None:
    data = content(1, 2 * MIB + 7)
    put(store, "a", data)
    fd = store.descriptor("a")
    assert fd is not None
    store.delete("a")
    put(store, "b", content(2, 2 * MIB))
    assert os.pread(fd, 3 * MIB, 0) == data
    os.close(fd)
    put(store, "c", content(3, 2 * MIB))
    assert (tmp_path / "objects/c").stat().st_size == file_size(2 * MIB + 7)
    assert store.descriptor("c") is None

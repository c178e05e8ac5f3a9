"""On which file systems files are written again."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from plugmesh.objects import pool
from plugmesh.objects.local import LocalStore
from plugmesh.objects.volume import Volume, volume_of, works

MIB = 1024 * 1024
_MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
28 27 0:40 / /srv/nfs rw - nfs4 server:/ rw
29 27 0:41 / /srv/nfs/here rw master:2 propagate_from:3 - btrfs /dev/vdb rw
30 27 0:42 / /srv/with\\040space rw - cifs //server rw
31 27 0:43 / /data rw - nfs server:/ rw
32 27 0:44 / /data rw - overlay overlay rw
33 27 0:45 / /xfs rw - xfs /dev/vdc rw
broken
"""


@pytest.mark.parametrize(
    ("folder", "locks", "in_place"),
    [
        ("/home/mesh", True, True),
        ("/srv/nfs", False, False),
        ("/srv/nfsx", True, True),
        ("/srv/nfs/here/objects", True, False),
        ("/srv/with space/objects", False, False),
        ("/data/objects", True, False),
        ("/xfs", True, False),
    ],
)
def test_the_mount_that_is_nearest_and_last_counts(tmp_path: Path, folder: str, locks: bool, in_place: bool) -> None:
    (tmp_path / "mounts").write_text(_MOUNTS)
    assert volume_of(folder, tmp_path / "mounts") == Volume(locks, in_place)
    assert volume_of(folder, tmp_path / "none") == Volume(locks=False, in_place=False)


def put(store: LocalStore, key: str, data: bytes) -> None:
    writer = store.create(key, len(data))
    writer.write(data)
    writer.commit()


def test_what_works_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    path, fd = store._folder.new_tmp()
    assert works(path, fd)
    monkeypatch.setattr("plugmesh.objects.volume._is_locked", lambda _: False)
    assert not works(path, fd)
    os.close(fd)


@pytest.mark.parametrize("volume", [Volume(locks=False, in_place=False), "broken"])
def test_where_locks_do_not_work_everything_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, volume: Volume | str
) -> None:
    if isinstance(volume, str):
        monkeypatch.setattr(pool, "works", lambda *_: False)
    else:
        monkeypatch.setattr(pool, "volume_of", lambda _: volume)
    store = LocalStore(tmp_path, keep_free_bytes=0)
    put(store, "a", b"1" * 2 * MIB)
    view = store.read("a")
    store.delete("a")
    assert os.listdir(tmp_path / "free") == []
    put(store, "b", b"2" * 2 * MIB)
    assert bytes(store.read("b")) == b"2" * 2 * MIB
    assert bytes(view) == b"1" * 2 * MIB


def test_where_maps_may_meet_a_full_disk_files_are_written_again_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "volume_of", lambda _: Volume(locks=True, in_place=False))
    store = LocalStore(tmp_path, keep_free_bytes=0)
    for number in range(4):
        data = bytes([number]) * (2 * MIB)
        put(store, f"k{number}", data)
        assert store.read(f"k{number}") == data
        store.delete(f"k{number}")
    assert len(os.listdir(tmp_path / "free")) == 1
    assert all(kept.map is None for kept in store._pool._kept.values())


def test_a_disk_that_is_full_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = LocalStore(tmp_path, keep_free_bytes=0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        assert store._pool.volume().locks
    assert store._pool._volume is None
    assert store._pool.volume() == volume_of(str(tmp_path))
    assert store._pool._volume is not None


def test_a_store_without_locks_at_all_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    store = LocalStore(tmp_path, keep_free_bytes=0)
    put(store, "a", b"1" * 2 * MIB)
    monkeypatch.setattr("fcntl.flock", none)
    assert bytes(store.read("a")) == b"1" * 2 * MIB


def test_a_file_with_holes_is_not_written_through_a_map(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, keep_free_bytes=0)
    (tmp_path / "objects/restored").touch()
    os.truncate(tmp_path / "objects/restored", 2 * MIB + 1)
    store.delete("restored")
    taken = store._pool.take(2 * MIB)
    assert taken is not None
    assert (taken.written, taken.map) == (0, None)
    store._pool.done(taken, keep=False)


def test_folders_on_two_disks_are_no_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, real = LocalStore(tmp_path, keep_free_bytes=0), os.stat
    there = real(Path("/proc"))
    monkeypatch.setattr(os, "stat", lambda path: there if str(path).endswith("/free") else real(path))
    put(store, "a", bytes(2 * MIB))
    assert store.delete("a")
    monkeypatch.undo()
    assert os.listdir(tmp_path / "free") == []

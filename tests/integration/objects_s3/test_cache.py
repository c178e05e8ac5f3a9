"""The cache of objects of one host, without a server."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from plugmesh.objects.s3.cache import Cache
from plugmesh.objects.s3.spans import Span
from plugmesh.runtime import SystemRuntime

SIZE = 20_000


class Clock(SystemRuntime):
    """Time that passes when it is looked at."""

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.seconds = time.time()

    def wall(self) -> float:
        self.seconds += 1
        return self.seconds


def make(folder: Path, limit: int = 100 * SIZE, store: str = "one", booted_at: float = 0.0) -> Cache:
    return Cache(folder / "cache", limit, store, Clock(), booted_at)


def keep(cache: Cache, key: str, data: bytes, start: int = 0, total: int | None = None) -> Any:
    file = cache.begin(key, len(data))
    if file is None:
        return None
    file.put(0, data)
    return cache.publish(key, file, Span(start, start + len(data), total or start + len(data)))


def kept(cache: Cache, key: str) -> bytes | None:
    for span in cache.spans(key):
        view = cache.view(key, span)
        if view is not None:
            return bytes(view)
    return None


@pytest.mark.parametrize("size", [0, 5, SIZE])
def test_what_one_keeps_the_others_have(tmp_path: Path, size: int) -> None:
    assert keep(make(tmp_path), "k", b"x" * size) == b"x" * size
    other = make(tmp_path)
    assert other.spans("k") == [Span(0, size, size)]
    assert kept(other, "k") == b"x" * size
    assert kept(other, "l") is None


def test_stores_that_share_a_folder_do_not_mix(tmp_path: Path) -> None:
    keep(make(tmp_path, store="one"), "k", b"1")
    assert kept(make(tmp_path, store="two"), "k") is None


def test_who_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = make(tmp_path, limit=4 * SIZE)
    for number in range(3):
        keep(cache, str(number), bytes(SIZE))
    assert kept(cache, "0") is not None
    keep(cache, "3", bytes(SIZE))
    keep(cache, "4", bytes(SIZE))
    assert [number for number in range(5) if kept(cache, str(number)) is not None] == [0, 3, 4]


def test_what_somebody_has_open_stays(tmp_path: Path) -> None:
    cache = make(tmp_path, limit=3 * SIZE)
    held = keep(cache, "held", b"h" * SIZE)
    for number in range(10):
        keep(make(tmp_path, limit=3 * SIZE), str(number), bytes(SIZE))
    assert held == b"h" * SIZE
    assert kept(cache, "held") == b"h" * SIZE


def test_what_finds_no_room_is_not_kept(tmp_path: Path) -> None:
    cache = make(tmp_path, limit=2 * SIZE)
    held = [keep(cache, str(number), bytes(SIZE)) for number in range(3)]
    assert [view is not None for view in held] == [True, True, False]
    assert keep(cache, "large", bytes(3 * SIZE)) is None


def test_a_file_of_another_length_is_none(tmp_path: Path) -> None:
    keep(make(tmp_path), "k", bytes(SIZE))
    (entry,) = (path for path in (tmp_path / "cache" / "entries").rglob("*") if path.is_file())
    os.truncate(entry, SIZE - 1)
    assert kept(make(tmp_path), "k") is None
    assert not entry.exists()


def test_what_is_older_than_the_machines_start_is_not_trusted(tmp_path: Path) -> None:
    keep(make(tmp_path), "k", bytes(SIZE))
    assert kept(make(tmp_path, booted_at=time.time() + 60), "k") is None
    assert make(tmp_path).spans("k") == []


def test_a_full_disk_only_means_that_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = make(tmp_path)
    file = cache.begin("k", 10)
    assert file is not None

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        file.append(memoryview(b"0123456789"))
    assert file.publish(0, 10, 10) is None
    assert list((tmp_path / "cache" / "unfinished").iterdir()) == []
    assert keep(cache, "k", b"1") == b"1"


def test_a_writer_that_does_not_know_how_much_comes_keeps_it_all(tmp_path: Path) -> None:
    cache = make(tmp_path)
    file = cache.begin("k", 0)
    assert file is not None
    for _ in range(5):
        file.append(memoryview(b"x" * SIZE))
    descriptor = file.publish(0, 5 * SIZE, 5 * SIZE)
    assert descriptor is not None
    os.close(descriptor)
    assert kept(make(tmp_path), "k") == b"x" * (5 * SIZE)
    assert int.from_bytes((tmp_path / "cache" / "room").read_bytes(), "little") == 5 * SIZE


def test_what_a_writer_gives_up_takes_no_room(tmp_path: Path) -> None:
    cache = make(tmp_path)
    file = cache.begin("k", SIZE)
    assert file is not None
    file.drop()
    file.drop()
    assert int.from_bytes((tmp_path / "cache" / "room").read_bytes(), "little") == 0
    assert kept(cache, "k") is None


def test_what_is_forgotten_stays_with_who_has_it(tmp_path: Path) -> None:
    cache = make(tmp_path)
    held = keep(cache, "k", b"x" * SIZE)
    cache.forget("k")
    assert cache.spans("k") == []
    assert held == b"x" * SIZE
    assert int.from_bytes((tmp_path / "cache" / "room").read_bytes(), "little") == 0

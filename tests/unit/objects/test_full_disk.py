"""A disk that is really full: a file that is written again needs no room, and whatever else does fails in words."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugmesh.errors import StoreFull
from plugmesh.objects.local import LocalStore
from tests.e2e.tmpfs import SmallDisk, small_disk

MIB = 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 24 * MIB) as disk:
        yield disk


def put(store: LocalStore, key: str, data: bytes) -> None:
    writer = store.create(key, len(data))
    for start in range(0, len(data), MIB):
        writer.write(data[start : start + MIB])
    writer.commit()


def test_what_is_free_is_used_first_and_then_given_up(disk: SmallDisk) -> None:
    store = LocalStore(disk.path / "store", keep_free_bytes=0)
    first, second = (random.Random(seed).randbytes(6 * MIB) for seed in (1, 2))
    put(store, "a", first)
    put(store, "kept", second)
    store.delete("a")
    disk.fill()
    put(store, "b", second)  # into the file of `a`
    assert store.read("b") == second
    with pytest.raises(StoreFull):
        put(store, "c", first)
    store.delete("b")
    put(store, "d", first[: 2 * MIB])  # another size: the free file has to make room
    assert store.read("d") == first[: 2 * MIB]
    assert store.read("kept") == second
    assert os.listdir(disk.path / "store" / "tmp") == []
    assert {item.key for item in store.list("")} == {"kept", "d"}


def test_a_file_that_would_have_to_become_longer_is_an_error_and_no_signal(disk: SmallDisk) -> None:
    script = (
        "import sys; from pathlib import Path; from plugmesh.errors import StoreFull\n"
        "from plugmesh.objects.local import LocalStore; from tests.unit.objects.test_full_disk import put\n"
        "store = LocalStore(Path(sys.argv[1]), keep_free_bytes=0); put(store, 'a', bytes(4_100_000)); store.delete('a')\n"
        "room = open(sys.argv[2], 'wb', 0)\n"
        "try:\n"
        "    while True: room.write(bytes(65536))\n"
        "except OSError: pass\n"
        "try: put(store, 'b', bytes(4_600_000))\n"
        "except StoreFull: print('full', list(store.list('')))\n"
    )
    command = [sys.executable, "-c", script, str(disk.path / "store"), str(disk.path / "ballast")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert (ended.returncode, ended.stdout) == (0, "full []\n"), ended.stderr

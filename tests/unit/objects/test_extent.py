"""What a file's size and trailer say about the object in it."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.errors import ObjectCorrupt
from plugmesh.objects.extent import (
    BLOCK_BYTES,
    LARGE_BYTES,
    TRAILER_BYTES,
    Extent,
    file_size,
    is_long,
    read_extent,
    reused_size,
    write_extent,
)
from plugmesh.objects.local import LocalStore

lengths = st.integers(LARGE_BYTES, 1 << 45)


@given(lengths)
def test_a_file_holds_its_object_and_trailer_and_wastes_little(length: int) -> None:
    size = file_size(length)
    assert is_long(size)
    assert length + TRAILER_BYTES <= size <= (length + TRAILER_BYTES) * 9 / 8 + BLOCK_BYTES


@given(lengths, lengths)
def test_more_never_needs_a_smaller_file(one: int, other: int) -> None:
    assert (one <= other) <= (file_size(one) <= file_size(other))


@given(lengths)
def test_there_are_few_sizes(length: int) -> None:
    size = file_size(length)
    assert file_size(size - TRAILER_BYTES) == size
    assert reused_size(size) == size
    assert reused_size(length) in {length, size}


@given(st.integers(0, 1 << 45))
def test_only_large_files_of_whole_blocks_are_long(size: int) -> None:
    assert is_long(size) == (size >= LARGE_BYTES and size % BLOCK_BYTES == 0)


def test_a_trailer_says_what_was_written_into_it_and_damage_is_seen(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    size, extent = file_size(LARGE_BYTES), Extent(1_000_000, 1_040_000)
    write_extent(fd, size, extent)
    assert os.fstat(fd).st_size == size
    assert read_extent(fd, size) == extent
    for byte in range(16, 36):
        before = os.pread(fd, 1, size - TRAILER_BYTES + byte)
        os.pwrite(fd, bytes([before[0] ^ 1]), size - TRAILER_BYTES + byte)
        with pytest.raises(ObjectCorrupt):
            read_extent(fd, size)
        os.pwrite(fd, before, size - TRAILER_BYTES + byte)
    assert read_extent(fd, size) == extent
    os.close(fd)


def test_a_file_of_an_older_store_has_no_trailer_and_is_all_object(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects/old").write_bytes(b"o" * LARGE_BYTES)
    store = LocalStore(tmp_path)
    assert store.read("old") == b"o" * LARGE_BYTES
    assert [item.bytes for item in store.list("")] == [LARGE_BYTES]


def test_a_damaged_object_is_named(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    writer = store.create("k")
    writer.write(bytes(LARGE_BYTES))  # of a size that needs a trailer
    writer.commit()
    size = (tmp_path / "objects/k").stat().st_size
    with (tmp_path / "objects/k").open("r+b") as file:
        file.seek(size - 40)
        file.write(b"\xff")
    with pytest.raises(ObjectCorrupt, match="object k: the end of the file"):
        store.read("k")
    assert [item.bytes for item in store.list("")] == [size]

"""How long an object is, when its file may be longer: a file that is used again keeps the size that it has.

A file of `LARGE_BYTES` or more whose size is a whole number of `BLOCK_BYTES` ends in a trailer that says it. Every other
file is its object, byte for byte. So the size alone says which of both a file is, whoever wrote it.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass

from plugmesh.errors import ObjectCorrupt

LARGE_BYTES = 1024 * 1024
"""Files below this are never used again: making a new one costs less than asking."""

BLOCK_BYTES = 64 * 1024
TRAILER_BYTES = 64

_MAGIC = b"plugmesh extent\n"
_FIELDS = struct.Struct("<16sQQ")
_CHECK = struct.Struct("<I")
_STEPS = 4  # sizes between two powers of two: 2**(_STEPS - 1), so that at most an eighth of a file is not used


@dataclass(frozen=True, slots=True)
class Extent:
    """`bytes` is the object's length. The first `written` bytes of the file are on the disk: whoever writes there again
    needs no new room."""

    bytes: int
    written: int


def is_long(size: int) -> bool:
    """Whether a file of that size ends in a trailer."""
    return size >= LARGE_BYTES and size % BLOCK_BYTES == 0


def file_size(length: int) -> int:
    """The size of a file with a trailer for an object of `length` bytes: one of few, so that other objects fit."""
    need = length + TRAILER_BYTES
    step = max(BLOCK_BYTES, 1 << (need.bit_length() - _STEPS))
    return -(-need // step) * step


def reused_size(size: int) -> int:
    """The size that a file has, or is given, with its next object."""
    return size if is_long(size) else file_size(size)


def write_extent(fd: int, size: int, extent: Extent) -> None:
    """Make the file of `fd` `size` bytes long (it may not be longer) and write its trailer. Raises `OSError`."""
    fields = _FIELDS.pack(_MAGIC, extent.bytes, extent.written)
    trailer = (fields + _CHECK.pack(zlib.crc32(fields))).ljust(TRAILER_BYTES, b"\0")
    if os.fstat(fd).st_size < size:
        os.ftruncate(fd, size)
    os.pwrite(fd, trailer, size - TRAILER_BYTES)


def read_extent(fd: int, size: int) -> Extent:
    """What the file of `fd`, `size` bytes long, says. One without a trailer, as older stores have, is all object.
    Raises `ObjectCorrupt` if the trailer is damaged."""
    if not is_long(size):
        return Extent(size, 0)
    trailer = os.pread(fd, TRAILER_BYTES, size - TRAILER_BYTES)
    if not trailer.startswith(_MAGIC):
        return Extent(size, 0)
    fields = trailer[: _FIELDS.size]
    _, length, written = _FIELDS.unpack(fields)
    if trailer[_FIELDS.size :][: _CHECK.size] != _CHECK.pack(zlib.crc32(fields)) or length > size - TRAILER_BYTES:
        raise ObjectCorrupt("the end of the file, which says how long the object is, is damaged")
    return Extent(length, min(written, size - TRAILER_BYTES))

"""What a step prints: where it is written, how it is cut, and the JSON lines that are kept of it.

Python's own output is written as JSON text sequences (RFC 7464: a record separator, then JSON, then a newline), so
that it can lie in one file with the bytes that C code and child processes write to the same descriptor.
"""

from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass

HEAD_BYTES = 256 * 1024
TAIL_BYTES = 256 * 1024
COMPACT_BYTES = 4 * (HEAD_BYTES + TAIL_BYTES)
"""A log file larger than this loses its middle while the step goes on."""
LINE_CHARS = 32 * 1024
"""A longer line is cut."""
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_RS = b"\x1e"
_QUOTED = json.encoder.encode_basestring
_CUT = "plugmesh: {} bytes were cut here"


@dataclass(frozen=True, slots=True)
class StepLog:
    """A step's log as it is kept: JSON lines."""

    data: bytes
    lines: int
    cut: bool


def record(at: float, level: str, stream: str, text: str) -> bytes:
    """One line of Python's output, as it is written to the file."""
    if len(text) > LINE_CHARS:
        text = f"{text[:LINE_CHARS]}… ({len(text) - LINE_CHARS:,} more characters were cut here)"
    line = f'{{"at": {at:.6f}, "level": "{level}", "stream": "{stream}", "text": {_QUOTED(text)}}}\n'
    return _RS + line.encode(errors="replace")


def read_log(fd: int) -> StepLog | None:
    """The log in a file, or `None` if nothing was written."""
    size = os.fstat(fd).st_size
    if size == 0:
        return None
    if size <= HEAD_BYTES + TAIL_BYTES:
        return as_lines(os.pread(fd, size, 0))
    head, tail = os.pread(fd, HEAD_BYTES, 0), os.pread(fd, TAIL_BYTES, size - TAIL_BYTES)
    middle = note(size - HEAD_BYTES - TAIL_BYTES)
    return as_lines(_whole_head(head) + middle + _whole_tail(tail), True)


def give_back_room(fd: int, size: int) -> bool:
    """Give the room that the middle of a large file takes back to the disk; what is where stays as it is, so that who
    reads the file at the same time is not disturbed. False where the file system cannot do that."""
    if size <= COMPACT_BYTES:
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    length = ctypes.c_longlong(size - HEAD_BYTES - TAIL_BYTES)
    return bool(libc.fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_longlong(HEAD_BYTES), length) == 0)


def as_lines(data: bytes, cut: bool = False) -> StepLog:
    """JSON lines for records and raw text, in the order they were written."""
    lines: list[bytes] = []
    for number, part in enumerate(data.split(_RS)):
        body, newline, rest = part.partition(b"\n")
        document = _record(body) if number and newline else None
        if document is None:
            rest = part
        else:
            lines.append(body + b"\n")
        lines.extend(_line(_raw(text)) for text in rest.decode(errors="replace").splitlines() if text)
    return StepLog(b"".join(lines), len(lines), cut)


def _record(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _raw(text: str) -> dict[str, object]:
    return {"at": None, "level": "info", "stream": "raw", "text": text[:LINE_CHARS]}


def note(count: int) -> bytes:
    """The line that says how much is missing."""
    return _RS + _line({"at": None, "level": "warning", "stream": "mesh", "text": _CUT.format(count)})


def _line(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode(errors="replace") + b"\n"


def _whole_head(head: bytes) -> bytes:
    """Without its last, broken line."""
    return head[: head.rfind(b"\n") + 1] or head


def _whole_tail(tail: bytes) -> bytes:
    """Without its first, broken line."""
    return tail[tail.find(b"\n") + 1 :] or tail

"""A step's log as it lies in the object store, and how to read it.

It is JSON lines: `at` (Unix time, or null), `level`, `stream` (`stdout`, `stderr`, `log`, `raw` for what C code and
child processes wrote, `mesh` for remarks of Plugmesh) and `text`. A short attempt leaves one object. One that lasts
longer leaves numbered *chunks*, `<prefix>/log-1.jsonl` and so on, while it runs: its lines can be read before it ends.
Of a log that grows too long the chunks in the middle are deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import from_json

from plugmesh.contracts.messages import LogRef
from plugmesh.errors import ObjectMissing
from plugmesh.objects.port import ObjectStore

LEVELS = ("debug", "info", "warning", "error", "critical")
Line = dict[str, Any]
"""One line: `n` (its number, from 1; it stays the same while the log grows), `at`, `level`, `stream`, `text`."""


def chunk_key(prefix: str, number: int) -> str:
    """The key of a chunk of the log of the attempt whose objects begin with `prefix`; the first is number 1."""
    return f"{prefix}/log-{number}.jsonl"


def finished_lines(store: ObjectStore, log: LogRef) -> Iterator[Line]:
    """The lines of an attempt that has ended. Raises `ObjectMissing`, while reading, when the log is gone."""
    if not log.chunks:
        return _numbered(_parsed(store.read(log.key)), 1)
    prefix = log.key.rpartition("/")[0]
    return _in_chunks(store, prefix, range(1, log.chunks + 1))


def live_lines(store: ObjectStore, prefix: str) -> Iterator[Line]:
    """The lines so far of an attempt that runs; none as long as it has run for less than a few seconds."""
    found = [_number(stored.key) for stored in store.list(prefix + "/")]
    last = max((number for number in found if number is not None), default=0)
    return _in_chunks(store, prefix, range(1, last + 1))


def chosen(lines: Iterable[Line], *, after: int = 0, level: str | None = None, search: str = "") -> Iterator[Line]:
    """Lines numbered above `after`, of `level` and above, with `search` in their text (in upper or lower case)."""
    least = LEVELS.index(level) if level in LEVELS else 0
    wanted = search.casefold()
    for line in lines:
        if line["n"] <= after or _rank(line.get("level")) < least:
            continue
        if not wanted or wanted in str(line.get("text", "")).casefold():
            yield line


def _in_chunks(store: ObjectStore, prefix: str, numbers: Iterable[int]) -> Iterator[Line]:
    following, missing = 1, False
    for number in numbers:
        try:
            data = store.read(chunk_key(prefix, number))
        except ObjectMissing:
            missing = True
            continue
        for line in _numbered(_parsed(data), following):
            if missing and line["n"] > 1:
                yield _gap(line["n"] - 1)
            missing, following = False, line["n"] + 1
            yield line


def _gap(number: int) -> Line:
    return {"n": number, "at": None, "level": "warning", "stream": "mesh", "text": "plugmesh: lines were cut here"}


def _parsed(data: memoryview) -> Iterator[Line]:
    for text in bytes(data).split(b"\n"):
        if text:
            try:
                line = from_json(text)
            except ValueError:
                line = None
            yield line if isinstance(line, dict) else {"level": "info", "text": text.decode(errors="replace")}


def _numbered(lines: Iterable[Line], first: int) -> Iterator[Line]:
    for number, line in enumerate(lines, first):
        yield {"n": number, **line}


def _number(key: str) -> int | None:
    word = key.rpartition("/")[2].removeprefix("log-").removesuffix(".jsonl")
    return int(word) if word.isdecimal() and chunk_key("", int(word)).endswith(key.rpartition("/")[2]) else None


def _rank(level: object) -> int:
    return LEVELS.index(level) if level in LEVELS else 1

"""Reading again what a mesh keeps, at a bounded speed, and comparing it with its hashes: disks forget.

Whoever maps data of this boot of the machine checks lengths only; this finds what has changed since, with the run, step,
port and column that it belongs to. Only rows and objects are read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from plugmesh.contracts.data import DataRef, FileRef, JoinedRef, Reference, SpilledRef
from plugmesh.data.digest import RunningHash
from plugmesh.data.reference import resolve
from plugmesh.errors import ObjectCorrupt, PlugmeshError
from plugmesh.objects.local import LocalStore
from plugmesh.objects.open import open_store
from plugmesh.objects.port import ObjectStore, descriptor_of
from plugmesh.runtime import Runtime
from plugmesh.state import schema
from plugmesh.state.snapshot import check_schema, reading
from plugmesh.urls import without_option
from scheduler.invariants.folder import OBJECTS, open_database

PAGE_ROWS = 500
PIECE_BYTES = 4 * 1024 * 1024
DEFAULT_BYTES_PER_S = 200 * 1024**2
_OUTPUTS: TypeAdapter[dict[str, Reference]] = TypeAdapter(dict[str, Reference])
_REFERENCE: TypeAdapter[Reference] = TypeAdapter(Reference)

Pace = Callable[[int], None]
"""Is told of bytes that were read, and takes its time."""


@dataclass(frozen=True, slots=True)
class Place:
    """What data is: an output of a step, its dead letter (port `rejected`), or (`file`) an uploaded file."""

    run: str = ""
    step: str = ""
    port: str = ""
    column: str = ""
    file: str = ""

    def __str__(self) -> str:
        if self.file:
            return f"file {self.file!r}"
        column = f", column {self.column!r}" if self.column else ""
        return f"run {self.run}, step {self.step}, port {self.port!r}{column}"


@dataclass(frozen=True, slots=True)
class Damage:
    """A piece of data that is not what its reference says. `code` is `object-missing` or `object-corrupt`."""

    place: Place
    key: str
    code: str
    text: str


@dataclass(slots=True)
class Scrubbed:
    """What was read: pieces (columns of fragments, files), bytes, seconds; and what was found."""

    pieces: int = 0
    bytes: int = 0
    seconds: float = 0.0
    damages: list[Damage] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Piece:
    place: Place
    key: str
    offset: int
    length: int
    hash: str


def scrub_folder(
    folder: Path, bytes_per_s: float = DEFAULT_BYTES_PER_S, progress: Callable[[int], None] = lambda size: None
) -> Scrubbed:
    """Scrub the mesh of a data folder, running or stopped. `progress` is told of the bytes read so far.
    Raises `NotFound` if there is no database, `ConfigurationError` if it cannot be read."""
    with open_database(folder) as connection:
        return _scrubbed(connection, LocalStore(folder / OBJECTS, read_only=True), bytes_per_s, progress)


def scrub_places(
    state: str,
    objects: str,
    runtime: Runtime,
    bytes_per_s: float = DEFAULT_BYTES_PER_S,
    progress: Callable[[int], None] = lambda size: None,
) -> Scrubbed:
    """Scrub the mesh whose rows and objects are at these URLs; a cache of this host is passed by. Raises `ConfigurationError`,
    `NotFound`, `StateUnavailable`."""
    store = open_store(without_option(objects, "cache"), runtime)
    with reading(state) as connection:
        check_schema(connection, state)
        return _scrubbed(connection, store, bytes_per_s, progress)


def steady(
    bytes_per_s: float, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Pace:
    """At most so many bytes a second, from now on."""
    begun, size = now(), 0

    def pace(more: int) -> None:
        nonlocal size
        size += more
        ahead = size / bytes_per_s - (now() - begun)
        if ahead > 0:
            sleep(ahead)

    return pace


def _scrubbed(
    connection: sa.Connection, store: ObjectStore, bytes_per_s: float, progress: Callable[[int], None]
) -> Scrubbed:
    scrubber = Scrubber(connection, store, steady(bytes_per_s), progress)
    begun = time.monotonic()
    scrubber.scrub()
    scrubber.found.seconds = time.monotonic() - begun
    return scrubber.found


class Scrubber:
    """Goes through files, outputs of steps, and dead letters. Bytes that several references name are read once."""

    def __init__(
        self, connection: sa.Connection, store: ObjectStore, pace: Pace, progress: Callable[[int], None]
    ) -> None:
        self._connection, self._store, self._pace, self._progress = connection, store, pace, progress
        self._seen: set[tuple[str, int, int, str]] = set()
        self.found = Scrubbed()

    def scrub(self) -> None:
        """All of it."""
        for piece in self._files():
            self._check(piece)
        for place, text in self._texts():
            for port, reference in _references(place, text):
                self._check_reference(Place(place.run, place.step, port), reference)

    def _files(self) -> Iterator[_Piece]:
        file = schema.file
        for row in self._pages(sa.select(file).where(file.c.deleted_at.is_(None)), file.c.key):
            yield _Piece(Place(file=f"{row.namespace}/{row.name}"), row.object, 0, row.bytes, row.hash)

    def _texts(self) -> Iterator[tuple[Place, str]]:
        run, step, letter = schema.run, schema.step, schema.dead_letter
        runs = sa.select(run.c.key, run.c.id).where(run.c.data_gone_at.is_(None))
        for one in self._pages(runs, run.c.key):
            kept = sa.select(step.c.id, step.c.outputs).where(step.c.run == one.key, step.c.outputs.is_not(None))
            for row in self._pages(kept, step.c.id):
                yield Place(one.id, row.id), row.outputs
        letters = sa.select(letter.c.key, letter.c.run, letter.c.step, letter.c.ref, letter.c.edited)
        for row in self._pages(letters.where(letter.c.state == "open"), letter.c.key):
            for text in filter(None, (row.ref, row.edited)):
                yield Place(row.run, row.step, "rejected"), text

    def _pages(self, query: sa.Select[Any], column: sa.Column[Any]) -> Iterator[Any]:
        """Rows in the order of `column`, a page at a time, so that the database's log can be reused meanwhile."""
        query = query.order_by(column).limit(PAGE_ROWS)
        page = self._connection.execute(query).all()
        while page:
            self._connection.rollback()
            yield from page
            last = getattr(page[-1], column.name)
            page = self._connection.execute(query.where(column > last)).all() if len(page) == PAGE_ROWS else []

    def _check_reference(self, place: Place, reference: Reference) -> None:
        for piece in _pieces(place, reference):
            self._check(piece)
        if isinstance(reference, JoinedRef):
            for part in reference.parts:
                self._check_reference(place, part)
        elif isinstance(reference, SpilledRef):
            try:
                inside = resolve(self._store, reference)
            except (PlugmeshError, OSError):  # the piece itself has said so
                return
            self._check_reference(place, inside)

    def _check(self, piece: _Piece) -> None:
        told = (piece.key, piece.offset, piece.length, piece.hash)
        if told in self._seen:
            return
        self._seen.add(told)
        self.found.pieces += 1
        try:
            digest = self._hash(piece)
        except PlugmeshError as error:
            if not (error.code == "object-missing" and self._is_gone(piece)):
                self.found.damages.append(Damage(piece.place, piece.key, error.code, str(error)))
            return
        except OSError as error:  # what a failing disk says
            text = f"object {piece.key} cannot be read: {error}"
            self.found.damages.append(Damage(piece.place, piece.key, "object-corrupt", text))
            return
        if digest != piece.hash:
            text = f"object {piece.key}: its bytes from {piece.offset} on have hash {digest}, the reference says {piece.hash}"
            self.found.damages.append(Damage(piece.place, piece.key, "object-corrupt", text))

    def _hash(self, piece: _Piece) -> str:
        running = RunningHash()
        for part in self._parts(piece):
            running.update(part)
            self.found.bytes += len(part)
            self._pace(len(part))
        self._progress(self.found.bytes)
        return running.digest()

    def _parts(self, piece: _Piece) -> Iterator[bytes | memoryview]:
        """The bytes of a piece. Where the object is a file of this machine they are read, not mapped: a sector that cannot
        be read is an error then, and the end of a process where it is mapped."""
        descriptor = descriptor_of(self._store, piece.key)
        if descriptor is None:
            data = self._store.read(piece.key, piece.offset, piece.length)
            yield from (data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))
            return
        try:
            at, end = piece.offset, piece.offset + piece.length
            while at < end:
                part = os.pread(descriptor, min(PIECE_BYTES, end - at), at)
                if not part:
                    raise ObjectCorrupt(f"object {piece.key} ends at byte {at:,}, the reference says {end:,}")
                yield part
                at += len(part)
        finally:
            os.close(descriptor)

    def _is_gone(self, piece: _Piece) -> bool:
        """Whether it was deleted meanwhile because nobody is to have it any more."""
        if piece.place.file:
            column, mine = schema.file.c.deleted_at, schema.file.c.object == piece.key
        else:
            column, mine = schema.run.c.data_gone_at, schema.run.c.id == piece.place.run
        rows = self._connection.execute(sa.select(column).where(mine)).all()
        self._connection.rollback()
        return not rows or rows[0][0] is not None


def _references(place: Place, text: str) -> Iterator[tuple[str, Reference]]:
    if place.port:
        yield place.port, _REFERENCE.validate_json(text)
    else:
        yield from _OUTPUTS.validate_json(text).items()


def _pieces(place: Place, reference: Reference) -> Iterator[_Piece]:
    if isinstance(reference, DataRef):
        for fragment in reference.fragments:
            for group in (group for group in fragment.groups if group.data is None):
                for span in group.columns:
                    column = Place(place.run, place.step, place.port, span.name)
                    yield _Piece(column, group.key, span.offset, span.length, span.hash)
    elif isinstance(reference, FileRef | SpilledRef):
        yield _Piece(place, reference.key, 0, reference.bytes, reference.hash)

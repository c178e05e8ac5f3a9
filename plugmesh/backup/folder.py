"""What a backup looks like: a folder that is whole once `manifest.json` is in it.

`state.db` is a database of SQLite with all rows, `objects/KEY` the bytes of each object, `objects.jsonl` a line for each of
those, with its length and hash. The manifest has the hashes of the two lists, so nothing can be exchanged unnoticed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from plugmesh.data.digest import RunningHash
from plugmesh.errors import ConfigurationError, Conflict, NotFound, ObjectCorrupt, StoreFull
from plugmesh.objects.keys import check_key
from plugmesh.objects.local_folder import is_no_room

FORMAT = 1
PIECE_BYTES = 8 * 2**20
MANIFEST, STATE, LINES, OBJECTS = "manifest.json", "state.db", "objects.jsonl", "objects"


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class StateTable(_Written):
    """See `CopiedTable`."""

    name: str
    rows: int
    checksum: str


class Content(_Written):
    """A file of the backup: its length and its hash."""

    bytes: int
    hash: str


class BackedUp(Content):
    """An object of the backup."""

    key: str


class Manifest(_Written):
    """What is in a backup. `made_at`: the moment that it shows (Unix time). `missing` are objects that the rows name and that
    were not in the store, as lines for people."""

    format: int = FORMAT
    version: str
    revision: str
    made_at: float
    state: Content
    tables: tuple[StateTable, ...]
    lines: Content
    objects: int
    object_bytes: int
    missing: tuple[str, ...] = ()


class BackupFolder:
    """The files of one backup."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state, self.lines, self.objects = path / STATE, path / LINES, path / OBJECTS

    def make(self) -> None:
        """Begin a backup. Raises `Conflict` if the folder has something in it, `ConfigurationError`, `StoreFull`."""
        with explained(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                whole = "a backup" if (self.path / MANIFEST).exists() else "something, maybe a backup that was cut off"
                raise Conflict(f"{self.path} has {whole} in it: name a new folder, or remove that one first")
            self.objects.mkdir()

    def object(self, key: str) -> Path:
        """Where the bytes of an object are."""
        return self.objects / check_key(key)

    def add_object(self, key: str, pieces: Iterable[bytes | memoryview]) -> BackedUp:
        """Write the bytes of an object. Raises `StoreFull`."""
        path, running, size = self.object(key), RunningHash(), 0
        with explained(self.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb", buffering=0) as file:
                for piece in pieces:
                    _write(file, piece)
                    running.update(piece)
                    size += len(piece)
                os.fsync(file.fileno())
        return BackedUp(key=key, bytes=size, hash=running.digest())

    def finish(self, manifest: Manifest) -> None:
        """Bring the lists to the disk, where the objects are; then, and only then, the manifest is there."""
        with explained(self.path):
            for path in (self.state, self.lines):
                _flush(path)
            fresh = self.path / f".{MANIFEST}"
            with fresh.open("w") as file:
                file.write(manifest.model_dump_json(indent=1))
                file.flush()
                os.fsync(file.fileno())
            for path in (self.objects, *(one for one in self.objects.rglob("*") if one.is_dir())):
                _flush(path)
            fresh.rename(self.path / MANIFEST)
            _flush(self.path)

    def manifest(self) -> Manifest:
        """What is in it. Raises `NotFound` where there is no whole backup, `ConfigurationError` for one that cannot be read."""
        path = self.path / MANIFEST
        if not path.is_file():
            begun = (
                "it was cut off before it was whole; take another one" if self.objects.is_dir() else "name its folder"
            )
            raise NotFound(f"there is no backup in {self.path} ({MANIFEST} is not there): {begun}")
        try:
            found = Manifest.model_validate_json(path.read_bytes())
        except (ValidationError, OSError) as error:
            raise ConfigurationError(
                f"{path} cannot be read: {str(error).splitlines()[0]}; use another backup"
            ) from error
        if found.format > FORMAT:
            raise ConfigurationError(f"{path} is of a newer version ({found.version}): restore it with that one")
        return found

    def backed_up(self, manifest: Manifest) -> Iterator[BackedUp]:
        """Its objects. Raises `ObjectCorrupt` if the list is not the one that was written."""
        _check(self.lines, manifest.lines)
        with self.lines.open("rb") as lines:
            for line in lines:
                yield BackedUp.model_validate_json(line)

    def check_state(self, manifest: Manifest) -> None:
        """Raises `ObjectCorrupt` if the rows are not those that were written."""
        _check(self.state, manifest.state)

    def is_whole(self, one: BackedUp) -> bool:
        """Whether the bytes of an object are those that were written."""
        try:
            return content_of(self.object(one.key)) == Content(bytes=one.bytes, hash=one.hash)
        except OSError:
            return False


def content_of(path: Path) -> Content:
    """Of a file. Raises `OSError`."""
    running, size = RunningHash(), 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            running.update(piece)
            size += len(piece)
    return Content(bytes=size, hash=running.digest())


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raises `StoreFull` and `ConfigurationError` for what the file system says."""
    try:
        yield
    except OSError as error:
        if is_no_room(error):
            raise StoreFull(
                f"no room for the backup in {path}: what is there is not whole; remove it, and name a folder on a larger disk"
            ) from error
        raise ConfigurationError(f"{path} cannot be used for a backup: {error.strerror}") from error


def _flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(path: Path, expected: Content) -> None:
    with suppress(OSError):
        if content_of(path) == expected:
            return
    raise ObjectCorrupt(f"{path} is not as it was written: this backup cannot be used; take the one before it")


def _write(file: BinaryIO, piece: bytes | memoryview) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]

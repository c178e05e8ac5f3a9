"""Taking a backup of a mesh, whether it works or not.

First whoever sweeps is asked to delete nothing, then the rows are taken as they are at one moment, then every object that is in
the store. An object is in the store before a row names it, and the sweepers wait; so all that the rows name is there. What came
later than the rows is taken along, too: in the mesh that is made from the backup it is swept as what nobody names.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import islice
from typing import TypeAlias

import sqlalchemy as sa

from plugmesh import __version__
from plugmesh.backup.folder import PIECE_BYTES, BackedUp, BackupFolder, Manifest, StateTable, content_of, explained
from plugmesh.backup.named import lost_objects
from plugmesh.errors import ConfigurationError, ObjectCorrupt, ObjectMissing, StoreFull
from plugmesh.objects.hold import Hold, holding
from plugmesh.objects.port import Stored, SweptStore
from plugmesh.runtime import Runtime
from plugmesh.state.copying import CopiedTable, copy_rows, empty_target, summed
from plugmesh.state.database import sqlite_file
from plugmesh.state.migrate import HEAD
from plugmesh.state.snapshot import snapshot

Told: TypeAlias = Callable[[int, int | None], None]
"""Hears how many bytes were moved, and of how many."""

NOT_TAKEN = "mesh/"
"""What processes of a mesh put into the store for each other; it means nothing anywhere else."""
AT_ONCE = 8
_PART = 64


def take(
    folder: BackupFolder, state: str, store: SweptStore, runtime: Runtime, told: Told = lambda done, whole: None
) -> Manifest:
    """Make a backup of the database at the URL `state` and all objects; returns what is in it.

    Raises `Conflict` if the folder is not empty, `StoreFull`, `StateUnavailable`, `ConfigurationError`, and what the store
    raises; the folder is no backup then.
    """
    folder.make()
    with holding(store, runtime) as hold:
        made_at = runtime.wall()
        with explained(folder.path):
            tables = _take_rows(folder, state, hold)
        objects, size = _take_objects(folder, store, hold, told)
    keys = {one.key for one in objects}
    with explained(folder.path):
        with folder.lines.open("wb") as lines:
            lines.writelines(one.model_dump_json().encode() + b"\n" for one in objects)
        with snapshot(f"sqlite:///{folder.state}") as rows:
            lost = lost_objects(rows, keys.__contains__, lambda key: folder.object(key).read_bytes())
            missing = tuple(str(one) for one in lost)
        manifest = Manifest(
            version=__version__,
            revision=HEAD,
            made_at=made_at,
            state=content_of(folder.state),
            tables=tuple(StateTable(name=one.name, rows=one.rows, checksum=one.checksum) for one in tables),
            lines=content_of(folder.lines),
            objects=len(objects),
            object_bytes=size,
            missing=missing,
        )
    folder.finish(manifest)
    return manifest


def _take_rows(folder: BackupFolder, state: str, hold: Hold) -> list[CopiedTable]:
    """The rows as they are at one moment, in a file of SQLite."""
    url = f"sqlite:///{folder.state}"
    if sqlite_file(state) is None:
        with empty_target(url) as empty, snapshot(state) as rows:
            tables = copy_rows(rows, empty, lambda table, done: hold.renew())
        _close(folder)
        return tables
    with snapshot(state) as rows:
        _copy_file(rows, folder)
    _close(folder)
    hold.renew()
    with snapshot(url) as rows:
        return summed(rows)


def _copy_file(rows: sa.Connection, folder: BackupFolder) -> None:
    """SQLite copies its pages itself, in one step: so it never has to begin anew because somebody writes."""
    source = rows.connection.driver_connection
    assert isinstance(source, sqlite3.Connection)
    try:
        with closing(sqlite3.connect(folder.state)) as target:
            source.backup(target, pages=-1)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            raise StoreFull(f"no room for the backup in {folder.path}: name a folder on a larger disk") from error
        raise ConfigurationError(f"the database could not be copied to {folder.state}: {error}") from error


def _close(folder: BackupFolder) -> None:
    """Leave one file, without a log beside it."""
    with closing(sqlite3.connect(folder.state, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    for ending in (".lock", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(f"{folder.state}{ending}")


def _take_objects(folder: BackupFolder, store: SweptStore, hold: Hold, told: Told) -> tuple[list[BackedUp], int]:
    """All objects, and their bytes; one that went meanwhile was named by no row."""
    found = [one for one in store.list("") if not one.key.startswith(NOT_TAKEN)]
    whole, done, taken = sum(one.bytes for one in found), 0, list[BackedUp]()

    def copy(one: Stored) -> BackedUp | None:
        try:
            return folder.add_object(one.key, pieces(store, one))
        except (ObjectMissing, ObjectCorrupt):
            folder.object(one.key).unlink(missing_ok=True)
            return None

    with ThreadPoolExecutor(AT_ONCE, "backup") as threads:
        for part in parts(found):
            for one in threads.map(copy, part):
                if one is not None:
                    taken.append(one)
                    done += one.bytes
                hold.renew()
            told(done, whole)
    return taken, done


def pieces(store: SweptStore, one: Stored) -> Iterator[memoryview]:
    """The bytes of an object, some at a time."""
    for at in range(0, one.bytes, PIECE_BYTES):
        yield store.read(one.key, at, min(PIECE_BYTES, one.bytes - at))


def parts(found: Sequence[Stored]) -> Iterator[list[Stored]]:
    """So many at a time that threads have enough to do, and not all of a large store are waiting."""
    rest = iter(found)
    while part := list(islice(rest, _PART)):
        yield part

"""Making a mesh from a backup, in an empty database of any kind and an object store of any kind.

Everything is looked at before anything is written. Then come the objects, and the rows last and in one transaction: a database
that has rows has all its objects. Who was cut off begins again; objects that are there already are not written again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from plugmesh.backup.folder import PIECE_BYTES, BackedUp, BackupFolder, Manifest
from plugmesh.backup.named import Lost, lost_objects
from plugmesh.backup.taking import AT_ONCE, NOT_TAKEN, Told
from plugmesh.data.digest import RunningHash
from plugmesh.errors import ConfigurationError, Conflict, ObjectCorrupt, ObjectMissing
from plugmesh.objects.hold import Hold, holding
from plugmesh.objects.port import SweptStore, Writer, size_of
from plugmesh.runtime import Runtime
from plugmesh.state.copying import copy_rows, empty_target
from plugmesh.state.database import Database
from plugmesh.state.migrate import HEAD, upgrade
from plugmesh.state.snapshot import snapshot

_SHOWN = 10
_PART = 64


@dataclass(frozen=True, slots=True)
class Looked:
    """A backup that was looked at. `damaged` are objects whose bytes are not there or not those that were taken; `lost` are
    those of them, and those that the mesh itself had lost, that rows name."""

    manifest: Manifest
    whole: tuple[BackedUp, ...]
    damaged: tuple[BackedUp, ...]
    lost: tuple[Lost, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a mesh was made of. `ahead` are objects of the store that are not in the backup."""

    rows: int
    objects: int
    there_before: int
    ahead: int


def look(folder: BackupFolder, told: Told = lambda done, whole: None) -> Looked:
    """Read all of a backup and compare it with its hashes.

    Raises `NotFound` and `ConfigurationError` for what is no backup, `ObjectCorrupt` if its rows or its list of objects have
    changed.
    """
    manifest = folder.manifest()
    folder.check_state(manifest)
    every = list(folder.backed_up(manifest))
    good: list[BackedUp] = []
    damaged: list[BackedUp] = []
    done = 0
    with ThreadPoolExecutor(AT_ONCE, "backup") as threads:
        for one, is_whole in zip(every, threads.map(folder.is_whole, every), strict=True):
            (good if is_whole else damaged).append(one)
            told(done := done + one.bytes, manifest.object_bytes)
    keys = {one.key for one in good}
    with _rows(folder, manifest) as rows:
        lost = tuple(lost_objects(rows, keys.__contains__, lambda key: folder.object(key).read_bytes()))
    return Looked(manifest, tuple(good), tuple(damaged), lost)


def restore(
    folder: BackupFolder,
    looked: Looked,
    state: str,
    store: SweptStore,
    runtime: Runtime,
    *,
    partial: bool = False,
    ahead: bool = False,
    told: Told = lambda done, whole: None,
) -> Restored:
    """Make a mesh of what `look` has found: rows in the empty database at the URL `state`, objects in the store.

    Raises `ObjectMissing` if rows name what is not there, unless `partial`; `Conflict` if the database is not empty, or if the
    store has objects that are not of the backup, unless `ahead`; `StoreFull`, `StateUnavailable`, and what the store raises.
    """
    if looked.lost and not partial:
        raise ObjectMissing(refusal(looked.lost))
    with empty_target(state):
        pass  # before objects are written in vain
    known = {one.key for one in looked.whole} | {one.key for one in looked.damaged}
    strangers = sum(one.key not in known and not one.key.startswith(NOT_TAKEN) for one in store.list(""))
    if strangers and not ahead:
        raise Conflict(
            f"the object store has {strangers:,} objects that are not in the backup: name an empty one; or, if they are newer "
            "objects of the same mesh, which is stopped, say --ahead: what the rows do not name is swept"
        )
    with holding(store, runtime) as hold:
        fresh = _put_objects(folder, looked, store, hold, told)
        with _rows(folder, looked.manifest) as rows, empty_target(state) as empty:
            copied = copy_rows(rows, empty, lambda table, done: hold.renew())
    return Restored(sum(one.rows for one in copied), fresh, len(looked.whole) - fresh, strangers)


def refusal(lost: tuple[Lost, ...]) -> str:
    """What to say of rows that name what is not there."""
    shown = "; ".join(map(str, lost[:_SHOWN])) + (f"; and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else "")
    return (
        f"the rows name {len(lost):,} objects that are not in the backup, or are damaged there: {shown}. Nothing was restored; "
        "use another backup, or say --partial: what reads them will say that they are missing"
    )


@contextmanager
def _rows(folder: BackupFolder, manifest: Manifest) -> Iterator[sa.Connection]:
    """The rows with the schema of this version; those of an older one are upgraded in a copy."""
    if manifest.revision > HEAD:
        raise ConfigurationError(
            f"the backup has schema {manifest.revision}: restore it with version {manifest.version}"
        )
    if manifest.revision == HEAD:
        with snapshot(f"sqlite:///{folder.state}") as rows:
            yield rows
        return
    with TemporaryDirectory(prefix="plugmesh-restore-") as temporary:
        path = Path(temporary, folder.state.name)
        shutil.copyfile(folder.state, path)
        database = Database(f"sqlite:///{path}")
        try:
            with database.connect() as connection:
                upgrade(connection)
        finally:
            database.close()
        with snapshot(f"sqlite:///{path}") as rows:
            yield rows


def _put_objects(folder: BackupFolder, looked: Looked, store: SweptStore, hold: Hold, told: Told) -> int:
    """Put the objects into the store; how many of them were not there already. Raises `Conflict`, `StoreFull`."""
    fresh = done = 0
    with ThreadPoolExecutor(AT_ONCE, "restore") as threads:
        for at in range(0, len(looked.whole), _PART):
            part = looked.whole[at : at + _PART]
            for one, is_fresh in zip(part, threads.map(_put(folder, store), part), strict=True):
                fresh, done = fresh + is_fresh, done + one.bytes
                hold.renew()
            told(done, looked.manifest.object_bytes)
    return fresh


def _put(folder: BackupFolder, store: SweptStore) -> Callable[[BackedUp], bool]:
    def put(one: BackedUp) -> bool:
        if _is_there(store, one):
            return False
        writer: Writer = store.create(one.key, one.bytes)
        running = RunningHash()
        try:
            for piece in _pieces(folder, one):
                running.update(piece)
                writer.write(piece)
            if running.digest() != one.hash:
                raise ObjectCorrupt(f"object {one.key} of the backup has changed since it was looked at: restore again")
            writer.commit()
        finally:
            writer.abort()
        return True

    return put


def _is_there(store: SweptStore, one: BackedUp) -> bool:
    """Whether the store has this very object. Raises `Conflict` if it has another one of that name."""
    try:
        size = size_of(store, one.key)
    except ObjectMissing:
        return False
    running = RunningHash()
    for at in range(0, size, PIECE_BYTES):
        running.update(store.read(one.key, at, min(PIECE_BYTES, size - at)))
    if running.digest() != one.hash:
        raise Conflict(f"the object store has another object {one.key}: it is that of another mesh; name an empty one")
    return True


def _pieces(folder: BackupFolder, one: BackedUp) -> Iterator[bytes]:
    with folder.object(one.key).open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece

"""What must not be left of a mesh that has stopped: temporary files, locks, and, after a sweep, data that nobody names."""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from plugmesh.data.named import named_in
from plugmesh.objects.keys import lender_of
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings
from plugmesh.state.retention import lent
from plugmesh.state.store import State
from scheduler.sweep.places import is_log
from scheduler.sweep.sweeper import Sweeper

AHEAD_S = 3 * 3600.0
"""Longer than anything is left alone because its row may be on its way."""
MORE_FILES = 48
"""So many more descriptors than at its start may a server have: connections that are kept, maps."""


class Later(SystemRuntime):
    """A machine whose clock is ahead."""

    def wall(self) -> float:
        return super().wall() + AHEAD_S


def leaks(data: Path, temporary: Path, *, killed: bool) -> list[str]:
    """What is left behind by a mesh of which no process lives any more. What processes that were killed have left is swept
    first; those that ended in order have nothing to sweep."""
    objects = data / "objects"
    if not objects.is_dir() or not (data / "state.db").is_file():
        return []
    found = [f"lock: {path} is locked" for path in _locked(objects)]
    if not killed:
        found += [f"unfinished: {path}" for path in _files(objects / "tmp")]
        found += [f"temporary: {path}" for path in _files(temporary) if path.name.startswith("plugmesh-")]
    unnamed = asyncio.run(_swept(data))
    found += [f"unfinished after a sweep: {path}" for path in _files(objects / "tmp")]
    return found + [f"nobody names {key}" for key in unnamed]


async def _swept(data: Path) -> list[str]:
    """What is there after a sweep, and nobody names."""
    runtime = Later()
    state = await State.open(f"sqlite:///{data}/state.db", runtime)
    try:
        shards = {lease.shard for lease in await state.acquire("leaks", 60.0)}
        store = LocalStore(data / "objects", runtime, keep_free_bytes=0)
        sweeper = Sweeper(runtime, state, store, settings=Settings(), owned=lambda: shards, reading=set)
        for _ in range(2):  # the first one measures what runs keep
            await sweeper.round(whole=True)
        unnamed = _unnamed(data)
        # A run that others borrow from keeps all it has: its own rows need not name what theirs do.
        borrowed_from = await state.read(lent, sorted({lender_of(key) for key in unnamed}))
        return [key for key in unnamed if lender_of(key) not in borrowed_from]
    finally:
        await state.close()


def _unnamed(data: Path) -> list[str]:
    """Logs of attempts that were lost are kept as long as those of their run, though no row names them."""
    store = LocalStore(data / "objects", read_only=True)
    named = named_in(*_texts(data / "state.db"))
    keys = set(named.keys)
    for key in named.spilled:
        keys |= named_in(bytes(store.read(key)).decode()).keys
    there = {one.key for prefix in ("data/", "files/") for one in store.list(prefix)}
    with closing(sqlite3.connect(data / "state.db")) as connection:
        runs = {run for (run,) in connection.execute("SELECT id FROM run")}
    return sorted(key for key in there - keys if not (is_log(key) and lender_of(key) in runs))


def _texts(database: Path) -> Iterator[str]:
    """Every text in the database, in quotes where it is a name alone."""
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    if isinstance(value, str) and ("data/" in value or "files/" in value):
                        yield value if value[0] in '{["' else f'"{value}"'


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _locked(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield path


def open_files(pid: int) -> int:
    """How many descriptors a process has; 0 if it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0

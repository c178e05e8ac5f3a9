"""The data folder: its disk, its owner, the database, the object store, logs and secrets. Facts, and pure checks of them."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plugmesh.cli.commands.doctor.check import Check, ok, problem, warning
from plugmesh.cli.display.amounts import bytes_text, seconds_text
from plugmesh.outgoing.webhook_key import WEBHOOK_KEY
from plugmesh.private_file import SHARED
from plugmesh.token_file import JOIN_TOKEN, TOKEN

DATABASE, OBJECTS, RUN = "state.db", "objects", "run"
LEAST_FREE_BYTES, ENOUGH_FREE_BYTES = 256 * 1024 * 1024, 2 * 1024**3
MOST_WAL_BYTES = 512 * 1024 * 1024
MOST_LOG_BYTES = 1024**3
_SECRETS = (TOKEN, JOIN_TOKEN, WEBHOOK_KEY)
OLD_S = 3600.0
CHECK_S = 30.0


@dataclass(frozen=True, slots=True)
class Folder:
    """The data folder as it lies on the disk; `secrets` are the modes of its secret files."""

    path: Path
    exists: bool = True
    is_folder: bool = True
    writable: bool = True
    mode: int = 0o700
    owner: int = 0
    user: int = 0
    free_bytes: int = 0
    secrets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Database:
    """The state database; `said` is what SQLite's quick check said, `None` where it was not asked."""

    exists: bool = True
    bytes: int = 0
    wal_bytes: int = 0
    in_use_by: str = ""
    said: str | None = None
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Files that writers left behind: number, bytes, and the age of the oldest; and those of deleted objects that are to be
    written again: number and bytes."""

    files: int = 0
    bytes: int = 0
    oldest_s: float = 0.0
    free_files: int = 0
    free_bytes: int = 0


def check_folder(folder: Folder, *, asked: bool) -> Check:
    """Whether a server can use the folder; `asked`: it was named on the command line."""
    part = "data folder"
    if not folder.exists:
        found = f"there is none at {folder.path}"
        if asked:
            return problem(part, found, "give the folder of the mesh with --data, or start one with `plugmesh up`")
        return ok(part, f"{found}: give another with --data, to have it checked")
    if not folder.is_folder:
        return problem(part, f"{folder.path} is no folder", "choose another with --data")
    if not folder.writable:
        todo = (
            "start the mesh as its owner, or give it to you: chown" if folder.owner != folder.user else "chmod u+rwx it"
        )
        return problem(part, f"{folder.path} cannot be written by you (its owner is user {folder.owner})", todo)
    return _check_reach(part, folder)


def _check_reach(part: str, folder: Folder) -> Check:
    if folder.owner != folder.user:
        todo = "start the mesh as one user always: files of another cannot be removed later"
        return warning(part, f"{folder.path} belongs to user {folder.owner}, you are {folder.user}", todo)
    if folder.mode & SHARED:
        found = (
            f"others on this machine can look into {folder.path} (mode {folder.mode:03o}): params and data are there"
        )
        return warning(part, found, f"chmod 700 {folder.path}, unless they shall")
    return ok(part, str(folder.path))


def check_room(folder: Folder) -> Check:
    """Whether the disk has room."""
    found = f"{bytes_text(folder.free_bytes)} free"
    if folder.free_bytes < LEAST_FREE_BYTES:
        return problem("disk", found, "make room, or the mesh stops writing: `plugmesh data gc`, `plugmesh rm RUN`")
    if folder.free_bytes < ENOUGH_FREE_BYTES:
        return warning("disk", found, "make room soon: `plugmesh data ls` says what takes it up")
    return ok("disk", found)


def check_secrets(folder: Folder) -> Check:
    """Whether others can read the secrets."""
    for name, mode in folder.secrets.items():
        if mode & SHARED:
            instead = (
                "replace it (remove it; receivers need the new one)"
                if name == WEBHOOK_KEY
                else "`plugmesh token rotate`"
            )
            todo = f"chmod 600 {folder.path / name}, and {instead} if somebody may have seen it"
            return problem("secrets", f"{name} can be read by others (mode {mode:03o})", todo)
    return ok("secrets", f"{', '.join(folder.secrets)}: yours alone" if folder.secrets else "none so far")


def check_database(database: Database) -> Check:
    """Whether the database is whole."""
    part = "database"
    size = f"{bytes_text(database.bytes)}, write-ahead log {bytes_text(database.wal_bytes)}"
    if not database.exists:
        return ok(part, "none yet: the first start makes it")
    if database.said not in {None, "ok"}:
        todo = "stop, keep a copy of the folder, and restore a backup of it"
        return problem(part, f"damaged: {database.said}", todo)
    if database.wal_bytes > MOST_WAL_BYTES:
        todo = "start the mesh again: its log is written back then; look for a program that keeps the database open"
        return warning(part, size, todo)
    if database.said is None:
        return ok(part, f"{size}; in use by process {database.in_use_by}, so it was left alone")
    if not database.finished:
        return warning(
            part, f"{size}; the check did not end in {CHECK_S:g} s", "check it at leisure: sqlite3, PRAGMA quick_check"
        )
    return ok(part, f"{size}; whole")


def check_leftovers(leftovers: Leftovers, *, served: bool) -> Check:
    """Whether dead writers left something in the object store."""
    free = f"; {bytes_text(leftovers.free_bytes)} free to be written again" if leftovers.free_files else ""
    if not leftovers.files:
        return ok("object store", f"nothing was left half-written{free}")
    age = seconds_text(leftovers.oldest_s)
    found = f"{leftovers.files:,} half-written files, {bytes_text(leftovers.bytes)}, {age} old{free}"
    todo = "it goes at the next start of the mesh" if served else "the next `plugmesh up` removes it"
    return warning("object store", found, todo)


def check_logs(size: int) -> Check:
    """What the logs of processes take up."""
    if size > MOST_LOG_BYTES:
        todo = f"remove old ones from {RUN}/ in the data folder, and see which module says so much"
        return warning("logs of processes", bytes_text(size), todo)
    return ok("logs of processes", bytes_text(size))


def folder_at(path: Path) -> Folder:
    """Look at a folder."""
    if not path.exists():
        return Folder(path, exists=False)
    status = path.stat()
    return Folder(
        path,
        is_folder=path.is_dir(),
        writable=os.access(path, os.R_OK | os.W_OK | os.X_OK),
        mode=status.st_mode & 0o777,
        owner=status.st_uid,
        user=os.geteuid(),
        free_bytes=shutil.disk_usage(path).free,
        secrets={name: (path / name).stat().st_mode & 0o777 for name in _SECRETS if (path / name).exists()},
    )


def database_in(folder: Path) -> Database:
    """Look at the database; it is opened, for reading, only while no server has it."""
    path = folder / DATABASE
    if not path.exists():
        return Database(exists=False)
    wal = path.with_name(f"{path.name}-wal")
    size, wal_size = path.stat().st_size, wal.stat().st_size if wal.exists() else 0
    holder = holder_of(path.with_name(f"{path.name}.lock"))
    if holder:
        return Database(bytes=size, wal_bytes=wal_size, in_use_by=holder)
    said, finished = _quick_check(path)
    return Database(bytes=size, wal_bytes=wal_size, said=said, finished=finished)


def holder_of(lock: Path) -> str:
    """The process that holds a lock file, "" if nobody does."""
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(handle)
    return ""


def _quick_check(path: Path) -> tuple[str, bool]:
    """What SQLite says of the file, and whether it had the time to look at all of it."""
    steps = iter(range(int(CHECK_S * 1000)))  # about a thousand of these calls a second
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)
    except sqlite3.Error as error:
        return str(error), True
    try:
        connection.set_progress_handler(lambda: next(steps, None) is None, 200_000)
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        return "; ".join(found) or "ok", True
    except sqlite3.Error as error:
        if "interrupted" in str(error):
            return "ok", False
        return str(error), True
    finally:
        connection.close()


def leftovers_in(folder: Path, now: float) -> Leftovers:
    """Files of the object store that are still being written, by nobody for a long time."""
    old = [status for status in _statuses(folder / OBJECTS / "tmp") if now - status.st_mtime > OLD_S]
    oldest = max((now - status.st_mtime for status in old), default=0.0)
    free = [status.st_size for status in _statuses(folder / OBJECTS / "free")]
    return Leftovers(len(old), sum(status.st_size for status in old), oldest, len(free), sum(free))


def log_bytes_in(folder: Path) -> int:
    """The size of all logs of processes."""
    return sum(path.stat().st_size for path in (folder / RUN).rglob("*.log"))


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    try:
        for entry in os.scandir(folder):
            yield entry.stat()
    except OSError:  # there is no store yet, or a file has just gone
        return

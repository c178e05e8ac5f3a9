"""Log files of one process: one that grows, and those that were put aside.

Several processes never write to one file: each takes a name of its own, by a lock that the kernel gives back when the
process dies, so that the next one goes on with the same name.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from plugmesh.errors import ConfigurationError

_DAY_S = 86400.0
_MOST_NAMES = 1000
_LOOK_EVERY_S = 60.0
_PRIVATE = 0o600


class LogFiles(logging.Handler):
    """Writes to `FOLDER/STEM.ROLE.SUFFIX`, or `STEM.ROLE-2.SUFFIX` where another process has that name.

    A file of `most_bytes`, or one that was begun `days` ago, becomes `….1`; what was `.1` becomes `.2`, and so on. At most
    `count` of these stay, none longer than `days` after its last line. Raises `ConfigurationError` if it cannot write there.
    """

    def __init__(
        self,
        path: Path,
        role: str,
        *,
        most_bytes: int,
        days: int,
        count: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._most_bytes, self._keep_s, self._count, self._clock = most_bytes, days * _DAY_S, count, clock
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.path, self._lock = _own_name(path, role)
            self._file, self._size, self._begun = self._open()
        except OSError as error:
            raise ConfigurationError(
                f"log_file: {path.parent} cannot be written to ({error.strerror or error}): name another place, or give this "
                "user the folder"
            ) from error
        self._look_at = 0.0
        self._broken = False
        self._clean()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
        except Exception:  # noqa: BLE001  a log call with wrong arguments must not fail what it was about
            self.handleError(record)
            return
        data = line.encode(errors="replace")
        try:
            self._write(data)
        except OSError as error:
            self._tell(error)
            return
        self._broken = False

    def close(self) -> None:
        """Give the name back."""
        self._file.close()
        self._lock.close()
        super().close()

    def _write(self, data: bytes) -> None:
        now = self._clock()
        if self._size and (self._size + len(data) > self._most_bytes or now - self._begun >= self._keep_s):
            self._rotate()
        elif now >= self._look_at:
            self._clean()
        self._file.write(data)
        self._size += len(data)

    def _open(self) -> tuple[IO[bytes], int, float]:
        """The file, how large it is, and when it was begun, which stands in the file of the lock."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        file = os.fdopen(descriptor, "ab", buffering=0)
        found = os.fstat(descriptor)
        return file, found.st_size, self._begun_at(found.st_size, found.st_mtime)

    def _begun_at(self, size: int, last_line_at: float) -> float:
        if size:
            self._lock.seek(0)
            try:
                return float(self._lock.read(40))
            except ValueError:
                return last_line_at
        now = self._clock()
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(f"{now:.0f}".encode())
        return now

    def _rotate(self) -> None:
        for number in range(self._last_number(), 0, -1):
            os.replace(self._aside(number), self._aside(number + 1))
        os.replace(self.path, self._aside(1))
        self._file.close()
        self._file, self._size, self._begun = self._open()
        self._clean()

    def _clean(self) -> None:
        """Delete what is put aside and too old, or too much."""
        self._look_at = self._clock() + _LOOK_EVERY_S
        for number, path in self._put_aside():
            if number > self._count or self._clock() - path.stat().st_mtime >= self._keep_s:
                path.unlink(missing_ok=True)

    def _last_number(self) -> int:
        """Of the files that are put aside without a gap."""
        number = 0
        while self._aside(number + 1).exists():
            number += 1
        return number

    def _put_aside(self) -> Iterator[tuple[int, Path]]:
        for path in self.path.parent.glob(f"{_literal(self.path.name)}.*"):
            number = path.name.removeprefix(f"{self.path.name}.")
            if number.isdecimal():
                yield int(number), path

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _tell(self, error: OSError) -> None:
        """Once: lines are lost until there is room again."""
        if not self._broken:
            self._broken = True
            sys.stderr.write(f"plugmesh: the log file {self.path} cannot be written: {error.strerror or error}\n")


def _own_name(path: Path, role: str) -> tuple[Path, IO[bytes]]:
    """A name that no other process has, and the lock on it."""
    for number in range(1, _MOST_NAMES):
        which = role if number == 1 else f"{role}-{number}"
        own = path.with_name(f"{path.stem}.{which}{path.suffix or '.log'}")
        lock = own.with_name(f".{own.name}.lock")
        file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE), "r+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        return own, file
    raise OSError(f"{_MOST_NAMES - 1} processes log there already")


def _literal(name: str) -> str:
    """A name in which `*`, `?` and `[` are nothing but themselves."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)

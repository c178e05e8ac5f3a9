"""Files whose changes are waited for, and a child process that ends when one of them changes.

Four looks a second at the times of a handful of files cost nothing, and see what is saved by renaming, too, and what
lies on a network. (The server's folders of modules are watched otherwise: with a library that authors may not have.)
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from plugmesh.cli.commands.authoring.trial import Trial

LOOK_S = 0.25
_REPORT_BYTES = 65536

Stamp = tuple[int, int, int] | None
"""What tells one content of a file from another; `None`: there is no file now."""


class Watched:
    """A set of files. A file that is away for a moment, as while an editor saves it, has not changed yet."""

    def __init__(self, files: Iterable[str]) -> None:
        self._stamps: dict[str, Stamp] = {file: stamp_of(file) for file in files}

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, files: Iterable[str]) -> None:
        """Watch these too."""
        for file in files:
            self._stamps.setdefault(
                os.path.relpath(file) if os.path.relpath(file) in self._stamps else file, stamp_of(file)
            )

    def changed(self) -> list[str]:
        """The files that are others than at the last look."""
        found = []
        for file, known in self._stamps.items():
            stamp = stamp_of(file)
            if stamp is not None and stamp != known:
                self._stamps[file] = stamp
                found.append(file)
        return found

    def wait(self) -> list[str]:
        """Wait for changes; which files they were."""
        while not (found := self.changed()):
            time.sleep(LOOK_S)
        return found


def stamp_of(file: str) -> Stamp:
    """Time, size and inode of a file."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def trial_until(trial: Trial, watched: Watched, environment: Mapping[str, str]) -> list[str]:
    """Run a trial to its end, or start over when a watched file changes meanwhile; the files that it imported."""
    while True:
        reading, writing = os.pipe()
        try:
            command = replace(trial, report=writing).command()
            child = subprocess.Popen(command, env=dict(environment), pass_fds=(writing,), process_group=0)
        finally:
            os.close(writing)
        try:
            over = _ended(child, watched)
        finally:
            _end(child)
            report = _read(reading)
            os.close(reading)
        if over:
            return report


def _ended(child: subprocess.Popen[bytes], watched: Watched) -> bool:
    """Whether the child ended by itself, before anything changed."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            child.wait(LOOK_S)
            return True
        if watched.changed():
            return False


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started that is still in its group."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _read(pipe: int) -> list[str]:
    if not select.select([pipe], [], [], 0)[0]:
        return []
    text = os.read(pipe, _REPORT_BYTES).decode(errors="surrogateescape")
    return [file for file in text.split("\0") if file]

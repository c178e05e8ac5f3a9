"""A runtime for real processes, loaded through `PLUGMESH_RUNTIME`: a disk that takes its time when a test says so.

The file that `PLUGMESH_TEST_DISK` names holds the seconds that a write takes on average; without it nothing is delayed.
The delay stands where the machine would wait: before a commit of the database, before an object gets its name, and
before what a thread for blocking calls is given to do.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from plugmesh.runtime import SystemRuntime, ThreadWorker, Worker

VARIABLE = "PLUGMESH_TEST_DISK"
_WRITES = ("state.", "objects.commit.before")
T = TypeVar("T")


class Disk:
    """How slow it is just now."""

    def __init__(self, switch: str) -> None:
        self._switch = switch
        self._dice = random.Random()

    def wait(self) -> None:
        """Take as long as a write does."""
        try:
            with open(self._switch) as file:
                mean_s = float(file.read() or 0)
        except FileNotFoundError:
            return
        time.sleep(self._dice.uniform(0.0, 2 * mean_s))

    def after(self, function: Callable[..., T], *args: Any) -> T:
        """What the function returns, later."""
        self.wait()
        return function(*args)


class SlowWorker(ThreadWorker):
    """Its thread, and the loop where a brief call runs on it, wait for the disk."""

    def __init__(self, name: str, disk: Disk) -> None:
        super().__init__(name)
        self._disk = disk

    def begin(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        if function == self._disk.after:  # a brief call that found no quiet moment: it waits already
            return super().begin(function, *args)
        return super().begin(self._disk.after, function, *args)

    def brief(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return super().brief(self._disk.after, function, *args)


class SlowDiskRuntime(SystemRuntime):
    """The real machine, with another disk."""

    def __init__(self, switch: str) -> None:
        super().__init__()
        self._disk = Disk(switch)

    def worker(self, name: str) -> Worker:
        return SlowWorker(name, self._disk)

    async def run_sync(self, function: Callable[..., T], *args: Any) -> T:
        return await super().run_sync(self._disk.after, function, *args)

    def point(self, name: str) -> None:
        if name.startswith(_WRITES) and not name.endswith("after_commit"):
            self._disk.wait()


def make() -> SlowDiskRuntime:
    """What `PLUGMESH_RUNTIME` names."""
    return SlowDiskRuntime(os.environ[VARIABLE])

"""The ticket that executors show: its file is replaced in time, whatever the disk does, and goes with its process."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from module_sdk.supervisor import tickets
from module_sdk.supervisor.tickets import Tickets
from plugmesh.private_file import create_private
from plugmesh.runtime import SystemRuntime
from tests.waiting import wait_until

PATIENCE_S = 10.0


class Office:
    """Gives out tickets that are to be replaced after some milliseconds."""

    given = 0

    def ticket(self, instance: str) -> tuple[str, float]:
        self.given += 1
        return f"ticket-{self.given}", 0.02


class Disk:
    """Writes when it is let, as a busy one does; `waiting` is set while somebody waits for it."""

    def __init__(self) -> None:
        self.free, self.waiting = threading.Event(), threading.Event()
        self.free.set()

    def create(self, path: Path, text: str, what: str) -> None:
        if not self.free.is_set():
            self.waiting.set()
            assert self.free.wait(PATIENCE_S), "nobody else went on while this was written"
        create_private(path, text, what)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(tickets, "create_private", disk.create)
    return disk


@pytest.fixture
async def held(disk: Disk) -> AsyncIterator[Tickets]:
    store: Any = Office()
    one = Tickets(SystemRuntime(), store, "inst-1", "http://127.0.0.1:1/objects")
    await one.start()
    yield one
    disk.free.set()
    await one.close()
    assert not file_of(one).parent.exists()


def file_of(held: Tickets) -> Path:
    return Path(next(path for values in parse_qs(urlsplit(held.url).query).values() for path in values if "/" in path))


async def test_a_ticket_is_replaced_before_it_is_over(held: Tickets) -> None:
    file = file_of(held)
    first = file.read_text()
    assert first.startswith("ticket-")
    await wait_until(lambda: file.read_text() != first)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_busy_disk_holds_up_nobody_else(held: Tickets, disk: Disk) -> None:
    disk.free.clear()
    await wait_until(disk.waiting.is_set)  # the event loop goes on
    before = file_of(held).read_text()
    disk.free.set()
    await wait_until(lambda: file_of(held).read_text() != before)


async def test_a_ticket_that_is_just_written_goes_with_the_others(held: Tickets, disk: Disk) -> None:
    disk.free.clear()
    await wait_until(disk.waiting.is_set)
    closing = asyncio.ensure_future(held.close())
    await wait_until(lambda: held._task is not None and held._task.cancelling())
    disk.free.set()
    await closing
    assert not file_of(held).parent.exists()


async def test_a_folder_that_somebody_cleared_away_is_made_anew(held: Tickets) -> None:
    folder = file_of(held).parent
    shutil.rmtree(folder, ignore_errors=True)
    await wait_until(file_of(held).exists)
    assert folder.stat().st_mode & 0o777 == 0o700

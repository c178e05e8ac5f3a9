"""Naming processes so that a number used again is never mistaken for the one before."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from plugmesh.cli.server.process import ProcessId, find_marked
from tests.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


def test_a_running_process_is_alive(sleeper: subprocess.Popen[bytes]) -> None:
    found = ProcessId.of(sleeper.pid)
    assert found is not None
    assert found.alive


def test_the_same_number_with_another_start_time_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    found = ProcessId.of(sleeper.pid)
    assert found is not None
    assert not replace(found, started=found.started + 1).alive
    assert not replace(found, boot="another").alive


def test_an_unreaped_process_has_ended(sleeper: subprocess.Popen[bytes]) -> None:
    found = ProcessId.of(sleeper.pid)
    assert found is not None
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not found.alive


def test_a_signal_to_a_process_that_is_not_that_one_goes_nowhere(sleeper: subprocess.Popen[bytes]) -> None:
    found = ProcessId.of(sleeper.pid)
    assert found is not None
    replace(found, started=0).send(signal.SIGKILL)
    assert found.alive


async def test_the_end_of_a_process_is_noticed(sleeper: subprocess.Popen[bytes]) -> None:
    found = ProcessId.of(sleeper.pid)
    assert found is not None
    ended = asyncio.ensure_future(found.ended())
    await asyncio.sleep(0)
    assert not ended.done()
    sleeper.kill()
    async with asyncio.timeout(10):
        await ended


async def test_waiting_for_a_process_that_is_gone_returns_at_once() -> None:
    async with asyncio.timeout(10):
        await ProcessId(2**22 - 1, 1, "").ended()


async def test_a_marked_process_is_found_without_its_children() -> None:
    code = f"import subprocess, sys; subprocess.run({SLEEP!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "MARK": "l-1"}, start_new_session=True)
    try:
        await wait_until(lambda: find_marked("MARK", "l-1") == [process.pid])
        assert find_marked("MARK", "l-") == []
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

"""A process is seen by others that have its database open, and ends when the database has left it behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plugmesh import __version__
from plugmesh.errors import ConfigurationError, StateUnavailable
from plugmesh.runtime import SystemRuntime
from plugmesh.state.attendance import Attendance
from plugmesh.state.migrate import HEAD
from plugmesh.state.processes import attend_process, leave_process
from plugmesh.state.schema_version import SchemaVersion


class Quick(SystemRuntime):
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Answering:
    """A state that answers what it is told, the last answer again and again; notes what was written."""

    exclusive = False

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.written: list[Any] = []

    async def write(self, transaction: Any, *arguments: Any) -> object:
        self.written.append((transaction, arguments[0]))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


WELL, LEFT = SchemaVersion(HEAD, HEAD), SchemaVersion("9999", "9998")


async def test_it_says_what_it_is_and_that_it_goes() -> None:
    state = Answering(WELL)
    attendance = Attendance(state, SystemRuntime(), "gateway")  # type: ignore[arg-type]
    await attendance.start()
    await attendance.stop()
    (said, process), (gone, name) = state.written
    assert (said, gone, name) == (attend_process, leave_process, process.id)
    assert (process.role, process.version, process.knows) == ("gateway", __version__, HEAD)


async def test_it_ends_when_the_database_is_for_newer_processes_and_not_when_it_is_away() -> None:
    state = Answering(WELL, StateUnavailable("away"), WELL, LEFT)
    attendance = Attendance(state, Quick(), "gateway")  # type: ignore[arg-type]
    await attendance.start()
    with pytest.raises(ConfigurationError, match="newer version"):
        await asyncio.wait_for(attendance.failed(), 20)
    await attendance.stop()


async def test_an_error_that_nobody_foresaw_ends_neither_the_beats_nor_the_process() -> None:
    state = Answering(WELL, RuntimeError("out of memory"), WELL, LEFT)
    attendance = Attendance(state, Quick(), "scheduler")  # type: ignore[arg-type]
    await attendance.start()
    with pytest.raises(ConfigurationError, match="newer version"):
        await asyncio.wait_for(attendance.failed(), 20)
    assert len(state.written) == 4, "it went on after the error"
    await attendance.stop()


async def test_a_farewell_that_fails_does_not_keep_a_process_from_ending() -> None:
    attendance = Attendance(Answering(WELL, RuntimeError("out of memory")), SystemRuntime(), "gateway")  # type: ignore[arg-type]
    await attendance.start()
    await attendance.stop()


async def test_it_does_not_begin_beside_a_database_that_is_not_for_it() -> None:
    attendance = Attendance(Answering(LEFT), Quick(), "scheduler")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="newer version"):
        await attendance.start()


async def test_who_has_a_database_alone_tells_nobody() -> None:
    state = Answering(WELL)
    state.exclusive = True
    attendance = Attendance(state, Quick(), "mesh")  # type: ignore[arg-type]
    await attendance.start()
    waiting = asyncio.ensure_future(attendance.failed())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await attendance.stop()
    assert state.written == []

"""A bus that has failed for good ends its process, which would be deaf."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from module_sdk.supervisor import wiring
from plugmesh.bus.failure import bus_failed
from plugmesh.cli.roles.parts import Parts
from plugmesh.errors import NotReachable
from plugmesh.runtime import SystemRuntime


class Broken:
    """A bus that fails when `failure` is given its error."""

    def __init__(self) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def failed(self) -> None:
        await asyncio.shield(self.failure)

    def fail(self) -> None:
        self.failure.set_exception(NotReachable("the bus failed here: start this process again"))


def _parts(bus: object) -> Any:
    attendance = SimpleNamespace(failed=asyncio.Event().wait)
    return SimpleNamespace(runtime=SystemRuntime(), attendance=attendance, bus=bus)


async def test_a_bus_that_cannot_tell_is_waited_for_without_end() -> None:
    waiting = asyncio.ensure_future(bus_failed(object()))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_a_gateway_or_scheduler_ends_with_its_bus() -> None:
    bus = Broken()
    failed = asyncio.ensure_future(Parts.failed(_parts(bus)))
    await asyncio.sleep(0)
    assert not failed.done()
    bus.fail()
    with pytest.raises(NotReachable, match="start this process again"):
        await asyncio.wait_for(failed, 20)


async def test_a_module_process_says_so_and_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(wiring, "_notice", said.append)
    supervisor: Any = SimpleNamespace(ended=asyncio.Event(), exit_code=0)
    bus = Broken()
    watching = asyncio.ensure_future(wiring._end_with(bus, supervisor))  # type: ignore[arg-type]
    bus.fail()
    await asyncio.wait_for(supervisor.ended.wait(), 20)
    await watching
    assert (supervisor.exit_code, said) == (
        wiring.FAILED,
        ["plugmesh: the bus failed here: start this process again"],
    )

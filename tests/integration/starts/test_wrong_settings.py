"""What each process of a mesh does at its start when something about a backend is wrong, on real servers.

A wrong setting ends it, named and without its secrets; an outage does not: it waits, and says for what.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from module_sdk.launch import Launch
from module_sdk.supervisor.wiring import _enter
from plugmesh.cli.roles.gateway import GatewayRole
from plugmesh.cli.roles.scheduler import SchedulerRole
from plugmesh.errors import ConfigurationError
from plugmesh.first_contact import first_contact
from plugmesh.logs.config import NOTICES
from plugmesh.runtime import Runtime, SystemRuntime
from plugmesh.settings.given import settings_of
from scripts.real_servers.server import PASSWORD
from tests.hasty_runtime import HastyRuntime
from tests.integration.starts.places import AWAY, SECRET, WRONG, Places
from tests.waiting import wait_until

HASTE = 4
PATIENCE_S = 120
"""Only bounds how long a broken test takes."""


async def gateway(data: Path, urls: Mapping[str, str], runtime: Runtime) -> Callable[[], Awaitable[object]]:
    role = await GatewayRole.open(data, settings_of({}, None, data, dict(urls), ()), runtime)
    return role.stop


async def scheduler(data: Path, urls: Mapping[str, str], runtime: Runtime) -> Callable[[], Awaitable[object]]:
    settings = settings_of({}, None, data, dict(urls), ())
    role = await SchedulerRole.open(data, settings, runtime, url="http://127.0.0.1:1")
    return role.parts.stop


async def module(data: Path, urls: Mapping[str, str], runtime: Runtime) -> Callable[[], Awaitable[object]]:
    launch = Launch((), "http://127.0.0.1:1", backends=(urls["bus"], urls["discovery"], urls["objects"]))
    joined, _ = await _enter(launch, runtime)
    return joined.close


async def start(
    process: Callable[..., Awaitable[Callable[[], Awaitable[object]]]],
    data: Path,
    urls: Mapping[str, str],
    clock: Callable[[], Runtime] = SystemRuntime,
) -> None:
    """Start it as its command does, and end it."""
    runtime = clock()
    end = await first_contact(lambda: process(data, urls, runtime), runtime)
    await end()


def _processes(setting: str) -> tuple[Any, ...]:
    return (gateway, scheduler) if setting == "state" else (gateway, scheduler, module)


@pytest.mark.parametrize("process", [gateway, scheduler, module])
async def test_a_process_whose_settings_are_right_starts(process: Any, tmp_path: Path, places: Places) -> None:
    async with asyncio.timeout(30):
        await start(process, tmp_path, places.good)


@pytest.mark.parametrize("setting", AWAY)
async def test_a_wrong_setting_is_named_without_its_secrets(setting: str, tmp_path: Path, places: Places) -> None:
    for what, wrong in WRONG[setting].items():
        for process in _processes(setting):
            with pytest.raises(ConfigurationError) as refused:
                async with asyncio.timeout(20):
                    await start(process, tmp_path, places.wrong(setting, wrong(places)))
            said = str(refused.value)
            assert re.search(f"setting `?{setting}", said), f"{what}: {said}"
            assert not any(secret in said for secret in (SECRET, PASSWORD)), f"{what}: {said}"


@pytest.mark.parametrize("setting", AWAY)
async def test_an_outage_is_waited_for_and_told(
    setting: str,
    tmp_path: Path,
    places: Places,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls = places.wrong(setting, AWAY[setting](places))
    caplog.set_level(logging.INFO, NOTICES)
    monkeypatch.setattr(logging.getLogger(NOTICES), "propagate", True)  # whatever other tests have set up
    for process in _processes(setting):
        caplog.clear()
        starting = asyncio.ensure_future(start(process, tmp_path, urls, partial(HastyRuntime, HASTE)))
        await wait_until(partial(_is_told, starting, caplog), PATIENCE_S)
        assert not starting.done()
        assert re.search(f"setting `?{setting}", caplog.text), caplog.text
        assert SECRET not in caplog.text
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting


def _is_told(starting: asyncio.Future[None], caplog: pytest.LogCaptureFixture) -> bool:
    return starting.done() or "waiting (" in caplog.text

"""What the API of one process changes is in force in the others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from plugmesh.runtime import SystemRuntime
from plugmesh.settings.follow import SettingsFollower
from plugmesh.settings.settings import Settings
from plugmesh.settings.stored import StoredSettings
from plugmesh.state.store import State
from tests.waiting import wait_until


class Quick(SystemRuntime):
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class OddDatabase:
    """Its first answer is an error that nobody foresaw."""

    def __init__(self) -> None:
        self.asked = 0

    async def read(self, question: Any) -> dict[str, str]:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("protocol violation")
        return {"rows_default": "7"}


async def test_changes_and_resets_of_another_process_are_followed(tmp_path: Path) -> None:
    runtime = SystemRuntime(seed=1)
    state = await State.open(f"sqlite:///{tmp_path}/state.db", runtime)
    there, here = Settings(), Settings()
    changed, follower = StoredSettings(there, state, runtime), SettingsFollower(here, state, runtime)
    heard: list[int] = []
    here.on_change("rows_default", heard.append)
    await changed.put("rows_default", 7, "ann")
    await follower.look()
    await follower.look()
    assert (here.rows_default, heard) == (7, [7])
    await changed.reset("rows_default", "ann")
    await follower.look()
    assert here.rows_default == 100
    await state.close()


async def test_an_error_that_nobody_foresaw_does_not_end_the_following() -> None:
    here = Settings()
    follower = SettingsFollower(here, OddDatabase(), Quick())  # type: ignore[arg-type]
    follower.start()
    await wait_until(lambda: here.rows_default == 7)
    await follower.stop()

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
async def house(tmp_path: Path, settings: Settings) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.start(settings)
    yield house
    await house.stop()
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith("gateway")]
    assert left == [], "the gateway left tasks behind"

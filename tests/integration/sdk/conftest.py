"""Houses that are torn down, with all their processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.sdk.house import House

Open = Callable[..., Awaitable[House]]


@pytest.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> House:
            house = House(tmp_path, **options)
            await house.open()
            stack.push_async_callback(house.close)
            return house

        yield make


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for a whole file whose tests leave it as it was: its executor is started once."""
    house = House(tmp_path_factory.mktemp("house"))
    await house.open()
    yield house
    await house.close()


@pytest.fixture
async def house(open_house: Open) -> House:
    return await open_house()

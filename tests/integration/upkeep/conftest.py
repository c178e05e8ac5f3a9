"""One server for the tests of a file; what a test set is as it was for the next one."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.upkeep.house import House


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    house = House(tmp_path_factory.mktemp("server"))
    await house.open()
    yield house
    await house.close()


@pytest_asyncio.fixture(loop_scope="module")
async def house(server: House) -> AsyncIterator[House]:
    yield server
    await server.tidy()

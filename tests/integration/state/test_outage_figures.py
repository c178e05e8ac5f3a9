"""What a database on a server tells about itself in `/metrics`: how long it has not answered, and what was run again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from plugmesh.errors import StateUnavailable
from plugmesh.figures import Figure
from plugmesh.runtime import SystemRuntime
from plugmesh.state.reads import Reader
from plugmesh.state.store import State
from tests.servers import OwnServer


def values(state: State) -> dict[str, float]:
    figures = [figure for figure in state.figures() if isinstance(figure, Figure) and () in figure.values]
    return {figure.name.removeprefix("plugmesh_state_"): figure.values[()] for figure in figures}


async def test_a_database_that_is_away_is_an_outage_until_it_answers(own_server: Callable[[str], OwnServer]) -> None:
    server = await asyncio.to_thread(own_server, "postgres")
    state = await State.open(server.address, SystemRuntime())
    try:
        await state.read(Reader.run, "r-1")
        found = values(state)
        assert (found["failures"], found["outage_seconds"]) == (0, 0)
        assert "disk_free_bytes" not in found
        server.kill()
        for _ in range(2):
            with pytest.raises(StateUnavailable):
                await state.read(Reader.run, "r-1")
        found = values(state)
        assert found["failures"] == 2
        assert found["outage_seconds"] > 0
        await asyncio.to_thread(server.start)
        await state.read(Reader.run, "r-1")
        assert values(state)["outage_seconds"] == 0
    finally:
        await state.close()


async def test_a_file_tells_how_full_its_disk_is(tmp_path: Path) -> None:
    state = await State.open(f"sqlite:///{tmp_path / 'state.db'}", SystemRuntime())
    found = values(state)
    assert 0 < found["disk_free_bytes"] < found["disk_bytes"]
    await state.close()

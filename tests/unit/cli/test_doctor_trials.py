"""What the doctor tries of each service, over the embedded ones and over some that lie."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from plugmesh.bus.embedded import HubBus
from plugmesh.cli.commands.doctor import bus, discovery, objects, state
from plugmesh.cli.commands.doctor.check import Verdict
from plugmesh.cli.commands.doctor.trial import Doubt, tried
from plugmesh.errors import ConfigurationError, NotReachable, ObjectCorrupt, Unauthorized
from plugmesh.hub.hub import Hub
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from plugmesh.state.database import Database
from plugmesh.state.schema_version import put_oldest
from plugmesh.state.store import State

RUNTIME = SystemRuntime()


def raising(error: Exception) -> Callable[[], Awaitable[str]]:
    async def attempt() -> str:
        raise error

    return attempt


async def fine() -> str:
    return "it works"


@pytest.mark.parametrize(
    ("attempt", "verdict", "words"),
    [
        (fine, Verdict.OK, ""),
        (raising(Doubt("nothing is there", "look again")), Verdict.WARNING, "look again"),
        (
            raising(ConfigurationError("no such bucket")),
            Verdict.PROBLEM,
            "correct the setting `objects` (it stands in: FILE:3)",
        ),
        (raising(Unauthorized("wrong key")), Verdict.PROBLEM, "correct the setting"),
        (raising(NotReachable("nobody answers")), Verdict.PROBLEM, "see whether it runs"),
    ],
)
async def test_what_came_of_a_trial_says_what_to_do(
    attempt: Callable[[], Awaitable[str]], verdict: Verdict, words: str
) -> None:
    check = await tried("objects", "s3://b", "FILE:3", attempt, RUNTIME)
    assert (check.verdict, check.setting) == (verdict, "objects")
    assert words in check.todo
    assert check.seconds is not None


@pytest.fixture
def hub() -> Hub:
    return Hub(RUNTIME, mesh="m", objects="")


async def test_a_message_comes_back_over_a_bus(hub: Hub) -> None:
    assert "a message came back" in await bus.try_bus(HubBus(hub), RUNTIME)


async def test_a_bus_that_loses_all_messages_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    class Losing(HubBus):
        async def publish(self, topic: str, partition: int, payload: bytes) -> None:
            """It is gone."""

    monkeypatch.setattr(bus, "BACK_S", 0.1)
    monkeypatch.setattr(bus, "AGAIN_S", 0.03)
    with pytest.raises(NotReachable, match="none came back"):
        await bus.try_bus(Losing(hub), RUNTIME)


async def test_an_instance_enters_itself_and_leaves_no_trace(hub: Hub) -> None:
    said = await discovery.try_discovery(hub.directory, RUNTIME, 0)
    assert "0 others are there" in said
    with pytest.raises(Doubt, match="of the 2 that the gateway knows none"):
        await discovery.try_discovery(hub.directory, RUNTIME, 2)


def test_a_store_keeps_nothing_of_a_trial(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, RUNTIME)
    objects.try_store(store, RUNTIME)
    assert list(store.list("")) == []
    with pytest.raises(Doubt, match="nothing of a mesh"):
        objects.check_used(store)
    writer = store.create("contracts/a")
    writer.write(b"x")
    writer.commit()
    objects.check_used(store)


def test_a_store_that_gives_other_bytes_or_deletes_nothing_is_told(tmp_path: Path) -> None:
    class Lying(LocalStore):
        def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
            return memoryview(bytes(len(super().read(key, offset, length))))

    class Keeping(LocalStore):
        def delete(self, key: str) -> bool:
            return True

    with pytest.raises(ObjectCorrupt, match="other bytes of a part"):
        objects.try_store(Lying(tmp_path / "a", RUNTIME), RUNTIME)
    with pytest.raises(NotReachable, match="may this user delete"):
        objects.try_store(Keeping(tmp_path / "b", RUNTIME), RUNTIME)


async def test_a_folder_is_tried_where_it_is_and_made_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        await objects.try_url(f"file://{tmp_path / 'nowhere'}", RUNTIME)
    assert not (tmp_path / "nowhere").exists()
    LocalStore(tmp_path / "here", RUNTIME)
    with pytest.raises(Doubt):
        await objects.try_url(f"file://{tmp_path / 'here'}", RUNTIME)


async def test_a_database_is_written_and_read_and_its_schema_judged(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    with pytest.raises(Doubt, match="no mesh has used it"):
        await state.try_url(url, RUNTIME)
    await (await State.open(url, RUNTIME)).close()
    assert "a row was written" in await state.try_url(url, RUNTIME)
    database = Database(url)
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM mesh").scalar() == 0
        put_oldest(connection, "9999")
    database.close()
    with pytest.raises(ConfigurationError, match="plugmesh db upgrade"):
        await state.try_url(url, RUNTIME)

"""The ObjectStore suite over a gateway on a real port, below the prefix that attempts write to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.server import serve
from plugmesh.conformance.objects import ObjectStoreConformance
from plugmesh.objects.gateway import open_gateway
from plugmesh.objects.port import Stored, SweptStore, Writer
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House

pytestmark = pytest.mark.full

BELOW = "data/"


class Below:
    """A store whose keys all lie below `data/`: nothing else may be written through a gateway."""

    def __init__(self, store: SweptStore) -> None:
        self._store = store

    def create(self, key: str, bytes: int | None = None) -> Writer:
        return _Named(self._store.create(self._key(key), bytes))

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        return self._store.read(self._key(key), offset, length)

    def delete(self, key: str) -> bool:
        return self._store.delete(self._key(key))

    def list(self, prefix: str) -> Iterator[Stored]:
        return (_named(one) for one in self._store.list(BELOW + prefix))

    def folders(self, prefix: str) -> Sequence[str]:
        return self._store.folders(BELOW + prefix)

    def remove_abandoned(self) -> int:
        return self._store.remove_abandoned()

    def free_bytes(self) -> int:
        return self._store.free_bytes()

    @staticmethod
    def _key(key: str) -> str:
        return BELOW + key


class _Named:
    def __init__(self, writer: Writer) -> None:
        self.write, self.abort, self._commit = writer.write, writer.abort, writer.commit

    def commit(self) -> Stored:
        return _named(self._commit())


def _named(stored: Stored) -> Stored:
    return Stored(stored.key.removeprefix(BELOW), stored.bytes, stored.modified)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    house = House(folder)
    await house.start(Settings())
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(serve(house.app, "127.0.0.1", 0, house.runtime, stop=stop, on_started=port.set_result))
    yield f"http://127.0.0.1:{await port}"
    stop.set()
    await task
    await house.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway in a thread of its own: the driver blocks."""
    begun, ended = threading.Event(), threading.Event()
    address: list[str] = []

    async def live() -> None:
        async with served(tmp_path_factory.mktemp("gateway")) as url:
            address.append(url)
            begun.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    assert begun.wait(60)
    yield address[0]
    ended.set()
    thread.join()


class TestGatewayStore(ObjectStoreConformance):
    @pytest.fixture
    def store(self, gateway: str) -> Iterator[SweptStore]:
        opened = open_gateway(f"gateway+{gateway}", SystemRuntime())
        store = Below(opened)
        yield store
        for one in list(store.list("")):
            store.delete(one.key)
        opened.close()

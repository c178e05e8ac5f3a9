"""A hub behind a WebSocket on a real port, for real supervisor processes. Its URL stays the same through restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

from plugmesh.bus.embedded import HubBus
from plugmesh.contracts.instance import Registration, dispatch_partition
from plugmesh.contracts.messages import DISPATCH, RESULTS, Renew, Renewed, decode_result
from plugmesh.discovery.port import Entry
from plugmesh.hub.hub import Hub
from plugmesh.hub.websocket import take_over
from plugmesh.hub.wire import FRAME_LIMIT_BYTES
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]


class MeshServer:
    """Hub, store, and what instances said."""

    def __init__(self, folder: Path) -> None:
        self.runtime = SystemRuntime()
        self.store = LocalStore(folder / "store", keep_free_bytes=0)
        self._objects = f"file://{folder}/store?keep_free_bytes=0"
        self._log = folder / "processes.log"
        self.messages: list[Any] = []
        self.port = 0
        self._server: Server | None = None
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.hub = Hub(self.runtime, mesh="test", objects=self._objects)
        self.bus = HubBus(self.hub)
        self.bus.subscribe(RESULTS, range(32), self._deliver)
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, compression=None, max_size=FRAME_LIMIT_BYTES, close_timeout=1
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        await self.bus.close()
        await self.hub.close()
        self._server.close()
        await self._server.wait_closed()

    async def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        await self.stop()

    def run(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start `python COMMAND…` with this mesh as its own."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                stdout=log,
                stderr=log,
                env={**os.environ, "PLUGMESH_URL": self.url, "PYTHONPATH": str(ROOT), **environment},
            )
        self._processes.append(process)
        return process

    async def instance(self, module: str) -> Registration:
        """Wait for an instance that serves `module`."""
        await wait_until(lambda: self._entry(module), 30, message=f"{module} is served\n{self.printed()}")
        entry = self._entry(module)
        assert entry is not None
        return entry.registration

    def printed(self) -> str:
        """What the processes wrote to their terminal."""
        return self._log.read_text() if self._log.exists() else ""

    def entries(self) -> dict[str, Entry]:
        found: dict[str, Entry | None] = {}
        watch = self.hub.directory.watch(found.__setitem__)
        watch.close()
        return {name: entry for name, entry in found.items() if entry is not None}

    def of(self, attempt: str) -> list[Any]:
        return [message for message in self.messages if not isinstance(message, Renew) and message.attempt == attempt]

    async def ended(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a process; its exit code."""
        await wait_until(lambda: process.poll() is not None, 30, message=f"the process ends\n{self.printed()}")
        assert process.returncode is not None
        return process.returncode

    def _entry(self, module: str) -> Entry | None:
        entries = self.entries().values()
        return next((e for e in entries if any(offer.name == module for offer in e.registration.offers)), None)

    def _deliver(self, delivery: Any) -> None:
        messages = [decode_result(payload) for payload in delivery.messages]
        self.messages.extend(messages)
        for message in messages:
            if isinstance(message, Renew) and message.draining:
                answer = Renewed(instance=message.instance, shard=message.shard, term=1, draining=True).encode()
                sending = self.bus.publish(DISPATCH, dispatch_partition(message.instance), answer)
                self.runtime.spawn(sending, "answer")
        delivery.ack()

    async def _serve(self, connection: ServerConnection) -> None:
        await self.hub.serve(take_over(connection, is_client=False))


def interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)

"""A whole server in this process, with an instance that makes tables: what is kept, swept and told, over its API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa

from plugmesh.cli.server.mesh import Mesh, data_folder
from plugmesh.contracts.messages import Assign, Done
from plugmesh.contracts.module import ModuleContract, OutputPort
from plugmesh.data.table import write_table
from plugmesh.objects.keys import attempt_prefix
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings
from tests.integration.scheduler.mesh import Instance
from tests.waiting import wait_until

URL = "http://127.0.0.1:8720"
MAKE = ModuleContract(name="test.make", version="1.0.0", outputs=(OutputPort(name="out"),))
FLOW: dict[str, Any] = {"flow": "kept", "nodes": {"made": {"module": "test.make"}}, "outputs": {"made": "made"}}
API = "/api/v1"


class _Maker(Instance):
    """Answers each assignment with a small table."""

    def done(self, message: Assign) -> None:
        key = f"{attempt_prefix('default', message.run, message.step, message.epoch)}/n-out"
        out = write_table(self.mesh.objects, key, pa.table({"a": list(range(100))}))
        self.send(message, Done(**self.who(message), outputs={"out": out}))


class _Parts:
    """What an instance needs of a server."""

    def __init__(self, mesh: Mesh) -> None:
        self.runtime, self.hub, self.registry = mesh.gateway.runtime, mesh.hub, mesh.registry
        self.objects, self.directory = mesh.objects, mesh.hub.directory


class House:
    """A server; `open` and `close` may be called again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._changed: set[str] = set()
        self.settings = Settings(
            retention_grace_s=0.001, sweep_every_s=3600, http_allow_private=("127.0.0.0/8",), builtins=False
        )

    async def open(self) -> None:
        self.mesh = await Mesh.open(data_folder(str(self.folder)), self.settings, SystemRuntime(), url=URL)
        await self.mesh.start()
        self.app: Any = self.mesh.app(_fine, None)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=URL)
        self.instance = _Maker(_Parts(self.mesh), "i-1", (MAKE,), 1)  # type: ignore[arg-type]
        await self.instance.start()

    async def close(self) -> None:
        await self.client.aclose()
        await self.instance.bus.close()
        await self.mesh.stop()

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        """A request whose answer must have this status; its JSON."""
        answer = await self.client.request(method, API + path, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def submit(self, **body: Any) -> str:
        return str((await self.ask("POST", "/runs", 202, json={"flow": FLOW, **body}))["id"])

    async def finished(self, **body: Any) -> str:
        run = await self.submit(**body)
        assert (await self.ask("GET", f"/runs/{run}?wait_s=30"))["state"] == "succeeded"
        return run

    async def put(self, name: str, value: Any) -> None:
        """Change a setting over the API."""
        self._changed.add(name)
        await self.ask("PUT", f"/settings/{name}", json={"value": value})

    async def tidy(self) -> None:
        """Settings as they were, nothing kept, the instance as it was."""
        self.instance.answer = self.instance.done
        await self.put("retention_runs_s", 0.001)
        await self.emptied("data/")
        while self._changed:
            await self.ask("DELETE", f"/settings/{self._changed.pop()}")

    async def collect(self, *, dry_run: bool = False) -> Any:
        """Sweep now, when the grace of what was done before is over."""
        await asyncio.sleep(self.settings.retention_grace_s * 2)
        return await self.ask("POST", "/data/gc", json={"dry_run": dry_run})

    async def usage(self) -> Any:
        return await self.ask("GET", "/data/usage")

    def objects(self, prefix: str) -> set[str]:
        return {one.key for one in self.mesh.objects.list(prefix)}

    async def emptied(self, prefix: str) -> None:
        """Sweep until no object is left below `prefix`."""

        async def empty() -> bool:
            await self.collect()
            return not self.objects(prefix)

        await wait_until(empty)

    @asynccontextmanager
    async def feed(self, *topics: str) -> AsyncIterator[_Feed]:
        """What the feed tells from now on."""
        stream = self.mesh.gateway.feed.stream(topics, None, lambda: 3600.0)
        feed = _Feed()
        await anext(stream)  # resync: it listens
        task = asyncio.ensure_future(feed.follow(stream))
        try:
            yield feed
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await stream.aclose()  # type: ignore[attr-defined]


class _Feed:
    def __init__(self) -> None:
        self.text = ""

    async def follow(self, stream: AsyncIterator[bytes]) -> None:
        async for frame in stream:
            self.text += frame.decode()


class Download:
    """A `GET` whose client takes the first piece, and the rest when `go_on` is called."""

    def __init__(self, app: Any, path: str) -> None:
        self._app, self._path = app, path
        self._go = asyncio.Event()
        self._asked = False
        self.begun = asyncio.Event()
        self.body = b""
        self.status = 0
        self._task = asyncio.ensure_future(self._run())

    def go_on(self) -> None:
        self._go.set()

    async def whole(self) -> bytes:
        await self._task
        return self.body

    async def _run(self) -> None:
        path, _, query = self._path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": API + path, "raw_path": (API + path).encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8720")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8720),
        }  # fmt: skip
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.body += message.get("body", b"")
        if self.body:
            self.begun.set()
            await self._go.wait()


async def _fine() -> str | None:
    return None

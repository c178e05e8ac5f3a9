"""A house with something of everything in it, asked from another thread: for tests that walk the whole API."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from requests import PreparedRequest

from gateway.app import create_app
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.messages import LogRef
from plugmesh.contracts.module import InputPort
from plugmesh.settings.settings import Settings
from plugmesh.state.records import LetterRow
from scheduler.sweep.sweeper import Sweeper
from tests.integration.gateway.house import FLOW, House, contract_of

MODULE, INSTANCE = "table.filter", "i-06f3k8m2q9s1tbvw"
CUT_S = 0.05
"""A stream that goes on is read for so long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application answered."""

    status: int
    headers: dict[str, list[str]]
    body: bytes


class WholeHouse:
    """Start it, ask it, stop it. `ids` has the ids of what is there, by the names of path parameters."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._house: House
        self._app: Any
        self._stopped: asyncio.Event
        self.ids: dict[str, list[str]] = {}
        self._do(self._start(folder))

    def description(self) -> dict[str, Any]:
        """What the API says that it is."""
        found: dict[str, Any] = self._app.openapi()
        return found

    def ask(self, request: PreparedRequest) -> Answer:
        """The answer of the application; of a stream without an end, how it begins."""
        answer: Answer = self._do(_ask(self._app, request))
        return answer

    def fill(self) -> None:
        """Put back what requests took away."""
        self._do(self._fill())

    def stop(self) -> None:
        """End everything."""
        self._do(self._house.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self, folder: Path) -> None:
        self._house = house = House(folder)
        settings = Settings(wait_limit_s=0.01, recheck_s=0.02)
        await house.start(settings)
        sweeper = Sweeper(
            house.runtime,
            house.state,
            house.objects,
            settings=settings,
            owned=lambda: range(32),
            reading=lambda: house.gateway.reading.lenders,
        )
        self._app = create_app(house.gateway, house.hub, sweeper=sweeper)
        contract = contract_of(MODULE, inputs=(InputPort(name="rows"),), doc="Keep rows.")
        await house.plug_in(contract, INSTANCE)
        await self._fill()

    async def _fill(self) -> None:
        house = self._house
        table = pa.table({"price": [1.5, None, 3.0], "name": ["a", "b", "c"], "when": [None, None, None]})
        number = house.runtime.new_id("t")
        output = house.put_table(f"data/{number}", table)
        house.objects.create(f"data/{number}-log").commit()
        writer = house.objects.create(f"data/{number}-page")
        writer.write(b"<p>")
        writer.commit()
        page = FileRef(name="report.html", key=f"data/{number}-page", bytes=3, hash="xxh3:0", media_type="text/html")
        log = LogRef(key=f"data/{number}-log", bytes=0, lines=0)
        left: dict[str, Any] = {
            "stats": '{"rows_in": 3, "wall_s": 0.5}',
            "artifacts": json.dumps([page.model_dump(mode="json")]),
            "log": log.model_dump_json(),
            "instance": INSTANCE,
            "version": "1.0.0",
            "ready_at": 1.0,
            "started_at": 1.5,
            "ended_at": 2.0,
        }
        runs = [await house.finished(output, **left) for _ in range(2)]
        runs.append(await house.submit(labels={"team": "ops"}))
        await house.intake.advance(runs[-1], "running")
        for doc in ("one", "two"):
            flow = {**FLOW, "flow": "sales/report", "doc": doc}
            await house.client.put("/api/v1/flows/sales/report", json=flow)
        octets = {"content-type": "text/csv"}
        stored = await house.client.put("/api/v1/files/orders.csv", content=b"price\n1.5\n", headers=octets)
        await house.client.post(f"/api/v1/modules/{MODULE}/enable")
        rejected = house.put_table(f"data/{number}-bad", table).model_dump_json()
        values: dict[str, Any] = {
            "namespace": "default",
            "flow": "checks/one",
            "step": "only",
            "epoch": 1,
            "module": f"{MODULE}@1.0.0",
        }
        letters = [
            LetterRow(f"{run}.only", run, **values, outcome="succeeded", rows=3, reasons="{}", ref=rejected)
            for run in runs[:2]
        ]
        for letter in letters:
            await house.intake.commit(letter.run, letters=[letter])
        self.ids = {
            "key": [item.key for item in self._house.objects.list("")][:2],
            "letter": [letter.id for letter in letters],
            "run": runs,
            "step": ["only"],
            "port": ["out"],
            "name": ["orders.csv", MODULE, "report", "rows_default", "report.html", "log_level"],
            "namespace": ["sales"],
            "version": ["1.0.0", stored.json()["version"]],
            "instance": [INSTANCE],
            "notification": [f"{runs[0]}.0"],
        }


async def _ask(app: Any, request: PreparedRequest) -> Answer:
    answer: dict[str, Any] = {}
    pieces: list[bytes] = []
    over = asyncio.Event()
    asked = [{"type": "http.request", "body": _body(request), "more_body": False}]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.update(message)
            if _goes_on(request, message["headers"]):
                asyncio.get_running_loop().call_later(CUT_S, over.set)
        else:
            pieces.append(message.get("body", b""))

    await app(_scope(request), receive, send)
    headers: dict[str, list[str]] = {}
    for name, value in answer["headers"]:
        headers.setdefault(name.decode(), []).append(value.decode("latin-1"))
    return Answer(answer["status"], headers, b"".join(pieces))


def _body(request: PreparedRequest) -> bytes:
    body = request.body or b""
    assert isinstance(body, str | bytes), "a body is whole"
    return body.encode() if isinstance(body, str) else body


def _goes_on(request: PreparedRequest, headers: list[tuple[bytes, bytes]]) -> bool:
    return "follow=" in (request.url or "") or b"text/event-stream" in dict(headers).get(b"content-type", b"")


def _scope(request: PreparedRequest) -> dict[str, Any]:
    url = urlsplit(request.url or "")
    headers = {"host": url.netloc, **request.headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(_raw(name).lower(), _raw(value)) for name, value in headers.items()],
        "scheme": "http",
        "path": unquote(url.path),
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "server": ("127.0.0.1", 8720),
        "client": ("127.0.0.1", 50_000),
        "root_path": "",
        "state": {},
    }


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")

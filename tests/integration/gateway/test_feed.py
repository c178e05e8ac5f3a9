"""The feed over the application: what is told, how a client goes on after a break, and when it must read anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.answers import Stream
from gateway.backlog import ENTRIES
from gateway.documents.frames import InstanceGone, InstanceTold, Resync, RunTold, SweptTold
from gateway.documents.modules import ShownModule
from gateway.documents.notifications import ShownNotification
from gateway.feed import TOPICS
from plugmesh.cli.roles.herald import Herald
from plugmesh.contracts.instance import Beat
from plugmesh.contracts.messages import EVENTS, NEWS
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House, contract_of, step_row
from tests.waiting import wait_until

FRAMES: dict[str, Any] = {
    "resync": Resync,
    "run": RunTold,
    "module": ShownModule,
    "instance": TypeAdapter(InstanceTold | InstanceGone),
    "notification": ShownNotification,
    "data": SweptTold,
}
TOLD: dict[str, Any] = ShownNotification.model_json_schema()["examples"][0]


@pytest.fixture
def settings() -> Settings:
    return Settings(recheck_s=0.2)


class Client:
    """Reads frames of the feed; each is what the description of the API says."""

    def __init__(self, house: House, *topics: str, last: str | None = None) -> None:
        self.last = last
        self._stream = house.gateway.feed.stream(topics or TOPICS, last, lambda: house.gateway.settings.recheck_s)
        self._frames: list[tuple[str, dict[str, Any]]] = []

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event; comments are skipped."""
        async with asyncio.timeout(10):  # bounds how long a broken test takes
            while not self._frames:
                self._take(await anext(self._stream))
        return self._frames.pop(0)

    async def until(self, event: str, **wanted: Any) -> dict[str, Any]:
        """The document of the first such event."""
        while True:
            kind, document = await self.next()
            if kind == event and wanted.items() <= document.items():
                return document

    async def close(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]

    async def aclose(self) -> None:
        await self.close()

    def _take(self, piece: bytes) -> None:
        for text in piece.decode().strip().split("\n\n"):
            fields = dict(line.partition(": ")[::2] for line in text.split("\n") if not line.startswith(":"))
            self.last = fields.get("id", self.last)
            if "event" in fields:
                _check(FRAMES[fields["event"]], fields["data"])
                self._frames.append((fields["event"], json.loads(fields["data"])))


def _check(model: Any, data: str) -> None:
    validate = model.validate_json if isinstance(model, TypeAdapter) else model.model_validate_json
    validate(data)


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    async with aclosing(Client(house)) as client:
        assert (await client.next())[0] == "resync"
        yield client


async def test_runs_modules_and_instances_are_told_as_they_change(house: House, client: Client) -> None:
    await house.plug_in(contract_of())
    assert (await client.until("instance", id="i-1", gone=False))["host"] == "here"
    assert (await client.until("module", name="table.make"))["live"] == 1
    run = await house.submit()
    await house.intake.advance(run, "running", step_row(run, "only", "running"))
    assert (await client.until("run", run=run))["state"] == "running"
    await house.hub.directory.deregister("i-1")
    assert await client.until("instance", id="i-1", gone=True) == {"id": "i-1", "gone": True}
    assert (await client.until("module", name="table.make"))["live"] == 0


async def test_a_disabled_module_is_told(house: House, client: Client) -> None:
    await house.plug_in(contract_of())
    await client.until("module", name="table.make", live=1)
    await house.client.post("/api/v1/modules/table.make/disable", json={"reason": "slow"})
    assert (await client.until("module", name="table.make", live=0))["disabled"][0]["reason"] == "slow"


async def test_only_the_wanted_topics_are_told(house: House) -> None:
    async with aclosing(Client(house, "instance")) as client:
        await client.next()
        await house.plug_in(contract_of())
        await house.hub.directory.beat(Beat(instance="i-1", running=1))
        assert (await client.next())[0] == "instance"


async def test_what_a_scheduler_elsewhere_did_is_told(house: House, client: Client) -> None:
    herald = Herald(house.runtime, house.bus)
    herald.tell("notification", TOLD["id"], TOLD)
    assert (await client.until("notification", id=TOLD["id"]))["state"] == TOLD["state"]


async def test_news_that_cannot_be_read_stop_nothing(house: House, client: Client) -> None:
    await house.bus.publish(EVENTS, NEWS, b"{")
    Herald(house.runtime, house.bus).tell("notification", TOLD["id"], TOLD)
    assert (await client.until("notification"))["id"] == TOLD["id"]


async def test_a_slow_client_gets_the_changes_of_a_run_as_one(house: House, client: Client) -> None:
    run = await house.submit()
    for state in ("running", "running", "succeeded"):
        await house.intake.advance(run, state)
    told = await client.until("run", run=run)
    assert (told["state"], told["seq"]) == ("succeeded", 3)


async def test_a_client_goes_on_where_it_was(house: House, client: Client) -> None:
    await house.plug_in(contract_of())
    await client.until("module", name="table.make")
    await client.close()
    run = await house.submit()
    await house.intake.advance(run, "running")
    async with aclosing(Client(house, last=client.last)) as again:
        kind, document = await again.next()
        assert (kind, document["run"], document["state"]) == ("run", run, "running")


@pytest.mark.parametrize("last", [None, "", "nonsense", "feed-other:1", "{boot}:99", "{boot}:-1", "{boot}:\uff11"])
async def test_who_cannot_go_on_reads_everything_anew(house: House, client: Client, last: str | None) -> None:
    boot = (client.last or "").rpartition(":")[0]
    async with aclosing(Client(house, last=last and last.format(boot=boot))) as other:
        assert await other.next() == ("resync", {"topics": list(TOPICS)})


async def test_a_silent_feed_gives_signs_of_life_and_its_place(house: House, client: Client) -> None:
    before = client.last
    assert (await anext(client._stream)).startswith(b": nothing new\nid: ")
    house.gateway.feed.tell("notification", "n-1", TOLD)
    assert await client.next() == ("notification", TOLD)
    assert client.last != before


async def test_nobody_is_listened_to_when_nobody_listens(house: House) -> None:
    house.gateway.feed.tell("notification", "n-1", {"id": "n-1"})
    assert house.gateway.feed.backlog == 0
    assert len(house.gateway.feed) == 0


async def test_the_route_streams_until_the_gateway_closes(house: House) -> None:
    async def read() -> str:
        answer = await house.client.get("/api/v1/events?topics=run")
        assert answer.headers["content-type"].startswith("text/event-stream")
        return answer.text

    reading = house.runtime.spawn(read(), "reader")
    await wait_until(lambda: len(house.gateway.feed) == 1)
    house.gateway.close_streams()
    assert "event: resync" in await reading


async def test_a_topic_that_is_not_there_is_named(house: House) -> None:
    answer = await house.client.get("/api/v1/events?topics=run,modul")
    assert (answer.status_code, "did you mean 'module'" in answer.json()["detail"]) == (400, True)


async def test_a_client_that_is_too_far_behind_reads_everything_anew(house: House, client: Client) -> None:
    for number in range(ENTRIES + 1):
        house.gateway.feed.tell("notification", f"n-{number}", TOLD)
    assert await client.next() == ("resync", {"topics": list(TOPICS)})
    assert house.gateway.feed.resyncs == 2


async def test_a_client_that_takes_nothing_is_dropped(house: House) -> None:
    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    pieces = house.gateway.feed.stream(TOPICS, None, lambda: 5.0)
    with pytest.raises(TimeoutError):
        await Stream(pieces, "text/event-stream", stall_s=0.01)({"type": "http"}, never, never)
    assert len(house.gateway.feed) == 0

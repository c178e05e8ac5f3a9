"""Webhooks from the end of a run to a real receiver, and what happens when it does not listen."""

import asyncio
import json
from dataclasses import dataclass

import pytest

from plugmesh.contracts.flow import Flow
from plugmesh.contracts.notify import Notify
from plugmesh.errors import StateUnavailable
from plugmesh.outgoing.client import Client
from plugmesh.outgoing.webhook_key import sign
from plugmesh.state.notifications import due_notifications, notifications_of, retry_notification
from scheduler.notify.notifier import Notifier
from tests.integration.outgoing.receiver import answer, receiving
from tests.integration.scheduler.mesh import Mesh
from tests.waiting import wait_until

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FLOW = Flow.model_validate(
    {"name": "told", "nodes": {"a": {"module": "test.step"}}, "outputs": {"result": {"node": "a"}}}
)


@dataclass
class Settings:
    webhook_attempts: int = 12
    webhook_timeout_s: float = 5.0


class House:
    """A mesh with a notifier that may call this machine."""

    def __init__(self, folder) -> None:
        self.mesh = Mesh(folder)
        self.settings = Settings()

    async def start(self) -> None:
        await self.mesh.start()
        instance = await self.mesh.instance()
        instance.answer = instance.done
        self.client = Client(lambda: ("127.0.0.0/8",))
        self.begin()

    def begin(self) -> None:
        self.notifier = Notifier(
            self.mesh.runtime, self.mesh.state, self.client, key=KEY, settings=self.settings,
            owned=lambda: self.mesh.engine.board.terms, link=lambda run: f"http://mesh/runs/{run}",
        )  # fmt: skip
        self.notifier.start()

    async def stop(self) -> None:
        await self.notifier.stop()
        await self.client.aclose()
        await self.mesh.stop()

    async def ended(self, *urls: str, **fields) -> str:
        run = await self.mesh.submit(FLOW, notify=tuple(Notify(url=url) for url in urls), **fields)
        await self.mesh.ended(run)
        self.notifier.wake()
        return run

    async def rows(self, run: str):
        return await self.mesh.state.read(notifications_of, run)

    async def settled(self, run: str):
        async def over():
            rows = await self.rows(run)
            return rows if all(row.state != "pending" for row in rows) else None

        return await wait_until(over)

    async def tried(self, run: str):
        async def once():
            (row,) = await self.rows(run)
            return row if row.attempts else None

        return await wait_until(once)


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    await house.start()
    yield house
    await house.stop()


async def ok(_):
    return answer(200)


async def test_the_end_of_a_run_is_told_signed_and_without_data(house):
    async with receiving(ok) as receiver:
        run = await house.ended(receiver.url("/hook?secret=1"), labels={"team": "ops"})
        (row,) = await house.settled(run)
    assert (row.state, row.attempts, row.status, row.next_at) == ("delivered", 1, 200, None)
    (request,) = receiver.requests
    headers = request.headers
    assert headers["webhook-id"] == f"{run}.0"
    assert headers["webhook-signature"] == sign(KEY, f"{run}.0", int(headers["webhook-timestamp"]), request.body)
    said = json.loads(request.body)
    assert said["type"] == "run.succeeded"
    data = said["data"]
    assert (data["run"], data["flow"], data["state"]) == (run, "told", "succeeded")
    assert data["labels"] == {"team": "ops"}
    assert data["link"] == f"http://mesh/runs/{run}"
    assert data["outputs"] == {"result": {"kind": "value", "items": 1}}


async def test_what_fails_for_a_while_is_tried_again_with_the_same_id(house):
    async def failing(request):
        return answer(200 if len(receiver.requests) > 1 else 503)

    async with receiving(failing) as receiver:
        run = await house.ended(receiver.url())
        row = await house.tried(run)
        assert (row.state, row.status, row.error) == ("pending", 503, "answered with 503")
        assert row.next_at > row.created_at + 3
        await house.mesh.state.write(retry_notification, row.id, house.mesh.runtime.wall())
        house.notifier.wake()
        (row,) = await house.settled(run)
    assert row.state == "delivered"
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


async def test_a_receiver_that_refuses_is_not_called_again_until_asked_for(house):
    async def refusing(_):
        return answer(404)

    async with receiving(refusing) as receiver:
        run = await house.ended(receiver.url())
        (row,) = await house.settled(run)
        assert (row.state, row.error) == ("failed", "answered with 404")
        await house.mesh.state.write(retry_notification, row.id, house.mesh.runtime.wall())
        house.notifier.wake()
        await wait_until(lambda: len(receiver.requests) == 2)


async def test_a_private_address_fails_and_says_why(house):
    run = await house.ended("http://10.255.255.1/")
    (row,) = await house.settled(run)
    assert row.state == "failed"
    assert "http_allow_private" in row.error


async def test_a_receiver_that_never_answers_holds_up_nobody_else(house):
    async def silent(_):
        await asyncio.Event().wait()

    house.settings.webhook_timeout_s = 60
    async with receiving(silent) as slow, receiving(ok) as quick:
        stuck = [await house.ended(slow.url()) for _ in range(6)]
        run = await house.ended(quick.url())
        (row,) = await house.settled(run)
        assert row.state == "delivered"
        assert {(await house.rows(one))[0].state for one in stuck} == {"pending"}
        await house.notifier.stop()


async def test_a_call_that_a_server_died_in_is_made_again_by_the_next_one(house):
    reached = asyncio.Event()

    async def first_silent(_):
        if not reached.is_set():
            reached.set()
            await asyncio.Event().wait()
        return answer(200)

    async with receiving(first_silent) as receiver:
        run = await house.ended(receiver.url())
        await asyncio.wait_for(reached.wait(), 10)
        await house.notifier.stop()
        house.begin()
        (row,) = await house.settled(run)
    assert row.state == "delivered"
    assert [request.headers["webhook-id"] for request in receiver.requests] == [f"{run}.0"] * 2


async def test_the_log_of_a_failure_names_the_host_alone(house, caplog):
    async def refusing(_):
        return answer(401)

    async with receiving(refusing) as receiver:
        run = await house.ended(receiver.url("/services/T0/S3CRET?token=hunter2"))
        await house.settled(run)
    assert f"127.0.0.1:{receiver.port}" in caplog.text
    assert "S3CRET" not in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_database_that_cannot_be_read_stops_no_webhook_for_good(house, monkeypatch):
    asked, read = 0, house.mesh.state.read

    async def failing(question, *given, **named):
        nonlocal asked
        if question is due_notifications and (asked := asked + 1) == 1:
            raise StateUnavailable("no disk")
        return await read(question, *given, **named)

    async with receiving(ok) as receiver:
        monkeypatch.setattr(house.mesh.state, "read", failing)
        run = await house.ended(receiver.url())
        await wait_until(lambda: asked)
        house.notifier.wake()
        (row,) = await house.settled(run)
    assert row.state == "delivered"

"""A flow's webhooks, from the end of a run to a receiver that checks the signature, over the API of a whole server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging

import pytest

from tests.integration.outgoing.receiver import Received, answer, receiving
from tests.integration.upkeep.house import FLOW, House
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET_PATH = "/services/T0000/9f8e7d6c5b4a39281706f5e4"


async def ok(_: Received) -> bytes:
    return answer(200)


def is_signed(request: Received, key: str) -> bool:
    """The recipe of docs/howto/webhooks.md."""
    message_id, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    text = f"{message_id}.{timestamp}.".encode() + request.body
    expected = hmac.new(base64.b64decode(key.removeprefix("whsec_")), text, hashlib.sha256).digest()
    return hmac.compare_digest(request.headers["webhook-signature"], "v1," + base64.b64encode(expected).decode())


def key_of(house: House) -> str:
    return (house.folder / "webhook-key").read_text().strip()


async def settled(house: House, run: str) -> list[dict]:
    async def over() -> list[dict] | None:
        rows = (await house.ask("GET", f"/notifications?run={run}"))["notifications"]
        return rows if all(row["state"] != "pending" for row in rows) else None

    return await wait_until(over)


async def test_the_webhooks_of_a_flow_and_of_a_run_are_called_signed(house: House) -> None:
    async with receiving(ok) as receiver, house.feed("notification") as feed:
        flow = {**FLOW, "notify": [{"url": receiver.url("/all")}, {"url": receiver.url("/bad"), "on": ["failed"]}]}
        run = await house.finished(flow=flow, notify=[{"url": receiver.url("/mine?key=hunter2")}])
        rows = await settled(house, run)
        await wait_until(lambda: feed.text.count("event: notification") >= 2)
    assert [(row["state"], row["status"], row["attempts"]) for row in rows] == [("delivered", 200, 1)] * 2
    assert sorted(request.target for request in receiver.requests) == ["/all", "/mine?key=hunter2"]
    assert all(is_signed(request, key_of(house)) for request in receiver.requests)
    said = json.loads(receiver.requests[0].body)
    assert said["data"]["outputs"] == {"made": {"kind": "table", "items": 1, "rows": 100}}
    assert said["data"]["link"] == f"http://127.0.0.1:8720/api/v1/runs/{run}"
    assert "hunter2" not in feed.text


async def test_the_link_leads_to_where_people_reach_the_mesh(house: House) -> None:
    await house.put("public_url", "https://mesh.example")
    async with receiving(ok) as receiver:
        run = await house.finished(notify=[{"url": receiver.url()}])
        await settled(house, run)
    assert json.loads(receiver.requests[0].body)["data"]["link"] == f"https://mesh.example/api/v1/runs/{run}"


async def test_no_secret_is_shown_or_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async def refusing(_: Received) -> bytes:
        return answer(403)

    caplog.set_level(logging.DEBUG)
    async with receiving(refusing) as receiver:
        run = await house.finished(notify=[{"url": receiver.url(f"{SECRET_PATH}?token=hunter2")}])
        (row,) = await settled(house, run)
    assert row["url"] == f"http://127.0.0.1:{receiver.port}/services/T0000/***?***"
    (told,) = (await house.ask("GET", f"/runs/{run}"))["webhooks"]
    assert told == {name: row[name] for name in ("id", "url", "state", "attempts", "next_at", "status", "error")}
    assert (told["state"], told["attempts"], told["status"]) == ("failed", 1, 403)
    shown = [await house.client.get(f"/api/v1/{path}") for path in (f"runs/{run}", "notifications", "settings", "runs")]
    everything = "".join(answer.text for answer in shown) + (await house.client.get("/metrics")).text + caplog.text
    for secret in ("hunter2", SECRET_PATH.rpartition("/")[2], key_of(house)):
        assert secret not in everything


async def test_what_was_not_heard_is_listed_and_tried_again_by_hand(house: House) -> None:
    heard = False

    async def later(_: Received) -> bytes:
        return answer(200 if heard else 400)

    async with receiving(later) as receiver:
        run = await house.finished(notify=[{"url": receiver.url()}])
        (row,) = await settled(house, run)
        assert (row["state"], row["error"]) == ("failed", "answered with 400")
        failed = (await house.ask("GET", "/notifications?state=failed&limit=1000"))["notifications"]
        assert row["id"] in {one["id"] for one in failed}
        heard = True
        again = await house.ask("POST", f"/notifications/{row['id']}/retry", 202)
        assert (again["state"], again["attempts"]) == ("pending", 0)
        (row,) = await settled(house, run)
        assert row["state"] == "delivered"
        ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert ids == [row["id"]] * 2


async def test_private_addresses_are_called_only_as_long_as_the_setting_says_so(house: House) -> None:
    await house.put("http_allow_private", [])
    async with receiving(ok) as receiver:
        run = await house.finished(notify=[{"url": receiver.url(host="localhost")}])
        (row,) = await settled(house, run)
        assert (row["state"], "http_allow_private" in row["error"]) == ("failed", True)
        assert receiver.requests == []
        await house.put("http_allow_private", ["localhost"])
        await house.ask("POST", f"/notifications/{row['id']}/retry", 202)
        (row,) = await settled(house, run)
    assert row["state"] == "delivered"


async def test_lists_are_paged_and_wrong_questions_explained(house: House) -> None:
    async with receiving(ok) as receiver:
        run = await house.finished(notify=[{"url": receiver.url(f"/{n}")} for n in range(3)])
        await settled(house, run)
    page = await house.ask("GET", f"/notifications?run={run}&limit=2")
    rest = await house.ask("GET", f"/notifications?run={run}&limit=2&cursor={page['next_cursor']}")
    ids = [row["id"] for row in (*page["notifications"], *rest["notifications"])]
    assert (ids, rest["next_cursor"]) == ([f"{run}.{n}" for n in (2, 1, 0)], None)
    assert "pending, delivered, failed" in (await house.ask("GET", "/notifications?state=nope", 400))["detail"]
    await house.ask("GET", "/notifications?cursor=nope", 400)
    assert "no notification 'nope'" in (await house.ask("POST", "/notifications/nope/retry", 404))["detail"]


async def test_a_webhook_that_was_not_delivered_is_called_by_the_next_server(house: House) -> None:
    await house.put("webhook_attempts", 1)

    async def failing(_: Received) -> bytes:
        return answer(503)

    async with receiving(failing) as receiver:
        run = await house.finished(notify=[{"url": receiver.url()}])
        (row,) = await settled(house, run)
        called = len(receiver.requests)
        await house.mesh.upkeep.notifier.stop()  # whoever is asked to try again dies before it does
        await house.ask("POST", f"/notifications/{row['id']}/retry", 202)
        await house.close()
        await house.open()
        await wait_until(lambda: len(receiver.requests) > called)
        await settled(house, run)

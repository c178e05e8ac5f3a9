"""The object endpoint: who may read and write what, tickets, and bodies that do not come whole."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from gateway.access import NOBODY
from gateway.app import create_app
from gateway.object_tickets import VALID_S, make_ticket, ticket_holder
from gateway.objects import KNOWN_S, RemoteObjects
from gateway.tokens import Tokens
from plugmesh.errors import NotReachable
from plugmesh.objects.keys import attempt_prefix
from plugmesh.objects.paths import OBJECTS_PATH, TICKETS_PATH
from plugmesh.objects.port import Stored
from plugmesh.settings.settings import Settings
from plugmesh.token_file import JOIN_TOKEN, TOKEN
from tests.integration.gateway.house import URL, House, step_row

OCTETS = {"content-type": "application/octet-stream"}


class Guarded:
    """A house whose callers must show a token, with an attempt that instance `i-1` has."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.tokens = Tokens(folder, house.gateway.settings, house.runtime)
        self.app = create_app(house.gateway, house.hub, tokens=self.tokens)
        self.token, self.join = ((folder / name).read_text().strip() for name in (TOKEN, JOIN_TOKEN))

    def client(self, token: str) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {token}", **OCTETS}
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=URL, headers=headers)

    def ticket(self, instance: str = "i-1") -> str:
        return self.tokens.ticket(instance)[0]

    async def attempt(self, instance: str = "i-1", epoch: int = 1) -> str:
        run = await self.house.submit()
        await self.advance(run, "running", instance, epoch)
        return attempt_prefix("checks", run, "only", epoch)

    async def advance(self, run: str, state: str, instance: str = "i-1", epoch: int = 1) -> None:
        await self.house.intake.advance(run, "running", step_row(run, "only", state, instance=instance, epoch=epoch))


@pytest.fixture
def settings() -> Settings:
    return Settings(file_limit_bytes=1000)


@pytest.fixture
def guarded(house: House, tmp_path: Path) -> Guarded:
    return Guarded(house, tmp_path)


def at(key: str) -> str:
    return f"{OBJECTS_PATH}/{key}"


async def test_a_ticket_reads_everything_and_writes_below_its_instances_attempts(guarded: Guarded) -> None:
    own = await guarded.attempt()
    async with guarded.client(guarded.ticket()) as executor:
        assert (await executor.put(at(f"{own}/out"), content=b"hello")).status_code == 201
        assert (await executor.put(at(f"{own}/out"), content=b"again")).json()["code"] == "conflict"
        assert (await executor.get(at(f"{own}/out"), headers={"range": "bytes=1-2"})).content == b"el"
        assert (await executor.delete(at(f"{own}/out"))).status_code == 204
        assert (await executor.get(at(f"{own}/out"))).json()["code"] == "object-missing"


async def test_a_ticket_writes_nowhere_else(guarded: Guarded) -> None:
    foreign, earlier = await guarded.attempt("i-2"), await guarded.attempt(epoch=2)
    keys = [
        f"{foreign}/out",
        f"{earlier.removesuffix('2')}1/out",
        "data/x",
        earlier,
        "contracts/x",
        "files/default/x",
        "top",
    ]
    async with guarded.client(guarded.ticket()) as executor:
        for key in keys:
            for answer in (await executor.put(at(key), content=b"x"), await executor.delete(at(key))):
                assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized"), key
        assert (await executor.get(OBJECTS_PATH)).status_code == 403
        for path in (TICKETS_PATH, "/api/v1/runs"):
            assert (await executor.post(path, json={})).status_code == 403
    assert [one.key for one in guarded.house.objects.list("data/")] == []


@pytest.mark.parametrize("state", ["succeeded", "failed", "ready"])
async def test_what_an_attempt_has_written_is_not_its_instances_any_more_when_it_is_over(
    guarded: Guarded, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await guarded.attempt()
    async with guarded.client(guarded.ticket()) as executor:
        assert (await executor.put(at(f"{own}/out"), content=b"hello")).status_code == 201
        await guarded.advance(own.split("/")[2], state)
        assert (await executor.delete(at(f"{own}/out"))).status_code == 403
        later = guarded.house.runtime.now() + KNOWN_S
        monkeypatch.setattr(guarded.house.runtime, "now", lambda: later)
        assert (await executor.put(at(f"{own}/more"), content=b"x")).status_code == 403
        assert (await executor.get(at(f"{own}/out"))).content == b"hello"


async def test_who_joins_deletes_only_below_attempts_that_are_at_work(guarded: Guarded) -> None:
    own = await guarded.attempt()
    keys = ["contracts/a", "data/a/b", f"{own}/log/1", f"{own}/out"]
    async with guarded.client(guarded.join) as module:
        for key in keys:
            assert (await module.put(at(key), content=b"x")).status_code == 201
        statuses = [(await module.delete(at(key))).status_code for key in keys[:3]]
        assert statuses == [403, 403, 204]
        await guarded.advance(own.split("/")[2], "succeeded")
        assert (await module.delete(at(f"{own}/out"))).status_code == 403
    async with guarded.client(guarded.token) as owner:
        assert (await owner.delete(at(f"{own}/out"))).status_code == 204


async def test_who_joins_writes_contracts_and_results_and_nothing_else(guarded: Guarded) -> None:
    async with guarded.client(guarded.join) as module:
        for key, status in (("contracts/a", 201), ("data/a/b", 201), ("files/a", 403), ("mesh/a", 403), ("data", 403)):
            assert (await module.put(at(key), content=b"x")).status_code == status, key
        assert len((await module.get(OBJECTS_PATH, params={"prefix": "data/"})).text.splitlines()) == 1
    async with guarded.client(guarded.token) as owner:
        assert (await owner.put(at("files/a"), content=b"x")).status_code == 403


@pytest.mark.parametrize("key", ["../x", "a//b", "data/..%2Fx", "data/a b", "data/" + "x" * 600])
async def test_a_key_that_is_none_is_refused(guarded: Guarded, key: str) -> None:
    async with guarded.client(guarded.join) as module:
        for answer in (await module.put(at(key), content=b"x"), await module.get(at(key))):
            assert answer.status_code in {400, 403, 404}, key
    assert [one.key for one in guarded.house.objects.list("data/")] == []


async def test_a_ticket_is_got_with_the_join_token_and_ends_with_it(guarded: Guarded) -> None:
    async with guarded.client(guarded.join) as module:
        answer = await module.post(TICKETS_PATH, json={"instance": "i-7"}, headers={"content-type": "application/json"})
    ticket = answer.json()["ticket"].encode()
    now = guarded.house.runtime.wall()
    assert ticket_holder(guarded.join.encode(), ticket, now).name == "i-7"
    assert ticket_holder(b"another join token", ticket, now) is NOBODY
    assert ticket_holder(guarded.join.encode(), ticket, now + VALID_S + 1) is NOBODY
    assert ticket_holder(guarded.join.encode(), ticket.replace(b"i-7", b"i-8"), now) is NOBODY


async def test_a_ticket_that_is_over_or_forged_opens_nothing(guarded: Guarded) -> None:
    over = make_ticket(guarded.join.encode(), "i-1", guarded.house.runtime.wall() - VALID_S - 1)
    for shown in (over, make_ticket(b"x", "i-1", guarded.house.runtime.wall()), "ticket.i-1.99999999999." + "0" * 64):
        async with guarded.client(shown) as client:
            assert (await client.get(at("data/x"))).status_code == 401


async def test_a_body_that_breaks_off_leaves_nothing(guarded: Guarded) -> None:
    async def half() -> None:
        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 100
            raise asyncio.CancelledError

        async with guarded.client(guarded.join) as module:
            await module.put(at("data/a/half"), content=body())

    with pytest.raises(asyncio.CancelledError):
        await half()
    async with guarded.client(guarded.join) as module:
        headers = {"content-length": "99"}
        assert (await module.put(at("data/a/short"), content=b"x", headers=headers)).json()["code"] == "bad-request"
        assert (await module.put(at("data/a/long"), content=b"x" * 1001)).json()["code"] == "limit-exceeded"
    assert list(guarded.house.objects.list("data/")) == []


@pytest.mark.parametrize(
    ("asked", "status", "found"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=10-", 416, None),
        ("", 200, b"0123456789"),
    ],
)
async def test_ranges_are_what_http_says(house: House, asked: str, status: int, found: bytes | None) -> None:
    await house.client.put(at("data/k"), content=b"0123456789", headers=OCTETS)
    answer = await house.client.get(at("data/k"), headers={"range": asked} if asked else {})
    assert answer.status_code == status
    assert found is None or answer.content == found
    assert (await house.client.head(at("data/k"))).headers["content-length"] == "10"


class Listed:
    """A store with five objects; notes how many were asked for, and on which threads."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def list(self, prefix: str) -> Iterator[Stored]:
        for number in range(5):
            self.asked.append(threading.get_ident())
            yield Stored(f"{prefix}{number}", number, 1.5)


async def test_a_listing_is_made_piece_by_piece_and_not_on_the_event_loop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.objects.LISTED", 2)
    store = Listed()
    remote = RemoteObjects(house.runtime, house.state, store, Settings())  # type: ignore[arg-type]
    pieces = remote.below("data/")
    first = await anext(pieces)
    assert len(store.asked) == 2, "no more is held than what is sent"
    rest = [piece async for piece in pieces]
    assert [piece.count(b"\n") for piece in (first, *rest)] == [2, 2, 1]
    assert json.loads(first.splitlines()[1]) == {"key": "data/1", "bytes": 1, "modified": 1.5}
    assert threading.get_ident() not in store.asked


async def test_a_listing_that_cannot_begin_is_a_problem(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(prefix: str) -> Iterator[Stored]:
        raise NotReachable("the store is away")

    monkeypatch.setattr(house.objects, "list", away)
    assert (await house.client.get(OBJECTS_PATH)).json()["code"] == "not-reachable"
    assert (await house.client.get(OBJECTS_PATH, params={"prefix": "../"})).json()["code"] == "bad-request"

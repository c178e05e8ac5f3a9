"""What happens to questions when readers die, hang or are too few, and when what they read is not what it seems."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
from collections.abc import Iterator
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet
import pytest

from gateway.reader.child import Child
from gateway.reader.pool import has_hardly_run
from plugmesh.contracts.data import DataRef, FileRef, Reference
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House
from tests.integration.gateway.sockets import served
from tests.waiting import wait_until

TABLE = pa.table(
    {"n": list(range(300)), "text": [f"text {n}" for n in range(300)], "many": [[n, None] for n in range(300)]}
)
TYPED = {"unreadable-data", "object-corrupt", "object-missing", "limit-exceeded", "request-invalid"}


@pytest.fixture
def settings() -> Settings:
    return Settings(reader_timeout_s=60, reader_processes=1, reader_queue=8)


async def get(house: House, run: str, rest: str = "/rows", **query: Any) -> httpx2.Response:
    return await house.client.get(f"/api/v1/runs/{run}/steps/only/outputs/out{rest}", params=query)


async def busy_reader(house: House, run: str) -> int:
    """The only reader process: it has started, and is stopped, so that whatever is asked waits."""
    assert (await get(house, run, "/schema")).status_code == 200
    (child,) = house.gateway.reader._children
    os.kill(child.pid, signal.SIGSTOP)
    return child.pid


async def test_of_a_hundred_questions_at_once_those_that_cannot_wait_are_told_when_to_come_back(house: House) -> None:
    run = await house.finished(house.put_table("runs/t/1", TABLE))
    pid = await busy_reader(house, run)
    asked = [asyncio.ensure_future(get(house, run, limit=n + 1)) for n in range(100)]
    await wait_until(lambda: sum(task.done() for task in asked) == 91)
    os.kill(pid, signal.SIGCONT)
    answers = await asyncio.gather(*asked)
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == 91  # one at work, eight wait
    assert {(each.status_code, each.json()["code"], each.headers["retry-after"]) for each in refused} == {
        (503, "busy", "1")
    }
    assert "8 others wait for a reader process already: try again in a moment" in refused[0].json()["detail"]
    assert house.gateway.reader.waiting == 0


async def test_a_reader_that_crashes_over_a_question_is_a_problem_and_the_next_question_works(house: House) -> None:
    run = await house.finished(house.put_table("runs/t/1", TABLE))
    pid = await busy_reader(house, run)
    asking = asyncio.ensure_future(get(house, run, "/stats"))
    await wait_until(lambda: house.gateway.reader.idle == 0)
    os.kill(pid, signal.SIGSEGV)
    os.kill(pid, signal.SIGCONT)
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable-data")
    assert "the reader process died over this data (signal 11)" in answer.json()["detail"]
    assert (await get(house, run, "/stats")).status_code == 200


@pytest.mark.full
async def test_a_reader_that_somebody_kills_convicts_no_data(house: House) -> None:
    run = await house.finished(house.put_table("runs/t/1", TABLE))
    pid = await busy_reader(house, run)
    asking = asyncio.ensure_future(get(house, run, "/stats"))
    await wait_until(lambda: house.gateway.reader.idle == 0)
    os.kill(pid, signal.SIGKILL)
    answer = await asking
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "busy", "1")
    assert "the reader process was ended from outside (signal 9)" in answer.json()["detail"]
    assert (await get(house, run, "/stats")).status_code == 200


@pytest.mark.parametrize(
    ("before_s", "after_s", "hardly"), [(1.0, 1.0, True), (1.0, 6.9, True), (1.0, 31.0, False), (1.0, None, False)]
)
def test_a_reader_that_computed_all_the_time_was_not_stopped(
    before_s: float, after_s: float | None, hardly: bool
) -> None:
    assert has_hardly_run(before_s, after_s, 30.0) is hardly


async def test_who_stops_asking_twice_does_not_keep_a_process_from_being_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await house.finished(house.put_table("runs/t/1", TABLE))
    await busy_reader(house, run)
    (child,) = house.gateway.reader._children
    kill, go = Child.kill, asyncio.Event()

    async def slowly(self: Child) -> None:
        await go.wait()
        await kill(self)

    monkeypatch.setattr(Child, "kill", slowly)
    asking = asyncio.ensure_future(get(house, run, "/stats"))
    await wait_until(lambda: house.gateway.reader.idle == 0)
    while not asking.done():
        asking.cancel()
        await asyncio.sleep(0)
    closing = asyncio.ensure_future(house.gateway.reader.close())
    go.set()
    await closing
    assert not child.alive


@pytest.mark.full
async def test_a_client_that_leaves_in_the_middle_frees_the_reader(house: House, settings: Settings) -> None:
    run = await house.finished(house.put_table("runs/t/1", pa.table({"text": ["x" * 10_000] * 10_000})))
    async with served(house, settings) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        path = f"/api/v1/runs/{run}/steps/only/outputs/out/download"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        (child,) = house.gateway.reader._children
        writer.transport.abort()
        await wait_until(lambda: not child.alive and house.gateway.reading.lenders == frozenset())
    assert (await get(house, run, limit=1)).status_code == 200


async def test_files_that_are_broken_tables_are_files_whatever_is_asked(house: House) -> None:
    for name, data in broken_files(random.Random(4)):
        file = (await house.client.put(f"/api/v1/files/{name}", content=data)).json()
        run = await house.finished(FileRef.model_validate(file))
        for rest in ("/rows", "/schema", "/stats"):
            found = await get(house, run, rest)
            assert (found.status_code, found.json()["kind"], found.json()["columns"]) == (200, "file", [])
        assert (await get(house, run, "/rows", sort="n")).status_code == 422
        for form in ("csv", "parquet"):
            assert (await get(house, run, "/download", format=form)).content == data


def broken_files(random: random.Random) -> Iterator[tuple[str, bytes]]:
    parquet, arrow = io.BytesIO(), io.BytesIO()
    pyarrow.parquet.write_table(TABLE, parquet)
    with pa.ipc.new_file(arrow, TABLE.schema) as writer:
        writer.write_table(TABLE)
    for name, whole in (("t.parquet", parquet.getvalue()), ("t.arrow", arrow.getvalue())):
        yield name, whole[: len(whole) // 2]
        yield name, spoiled(whole, random)


def spoiled(data: bytes, random: random.Random) -> bytes:
    """The same bytes but for a few, at places where Arrow keeps lengths and offsets as likely as values."""
    found = bytearray(data)
    for _ in range(random.choice((1, 3, 30))):
        found[random.randrange(len(found))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(found)


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_bytes_a_table_has_the_answer_is_data_or_a_typed_problem(house: House, seed: int) -> None:
    chance = random.Random(seed)
    reference = house.put_table("runs/t/1", TABLE)
    whole = bytes(house.objects.read("runs/t/1"))
    for number in range(6):
        run = await house.finished(with_bytes(house, reference, f"runs/t/bad-{number}", spoiled(whole, chance)))
        for rest, query in (
            ("/rows", {}),
            ("/rows", {"sort": "-text"}),
            ("/stats", {}),
            ("/download", {"format": "csv"}),
        ):
            answer = await get(house, run, rest, **query)
            assert answer.status_code == 200 or answer.json()["code"] in TYPED, answer.text
    assert (await house.client.get("/healthz")).status_code == 200
    assert (await get(house, await house.finished(reference))).json()["total"] == 300


def with_bytes(house: House, reference: Reference, key: str, data: bytes) -> DataRef:
    """The reference, to another object that has these bytes."""
    assert isinstance(reference, DataRef)
    writer = house.objects.create(key)
    writer.write(data)
    writer.commit()
    fragments = tuple(
        fragment.model_copy(
            update={"groups": tuple(group.model_copy(update={"key": key}) for group in fragment.groups)}
        )
        for fragment in reference.fragments
    )
    return reference.model_copy(update={"fragments": fragments})

"""Following a run: what SQL has, then live, to the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from gateway.events import stream
from plugmesh.contracts.messages import EVENTS, RunChanged
from plugmesh.contracts.run import shard_of
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House, step_row
from tests.waiting import wait_until


@pytest.fixture
def settings() -> Settings:
    return Settings(backlog=4, recheck_s=60)


def parse(text: str) -> list[tuple[str, int | None, dict[str, Any]]]:
    """Frames as (event, id, data); comments are left out."""
    frames = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            number = int(fields["id"]) if "id" in fields else None
            frames.append((fields["event"], number, json.loads(fields["data"])))
    return frames


async def read(house: House, run: str, **headers: str) -> list[tuple[str, int | None, dict[str, Any]]]:
    answer = await house.client.get(f"/api/v1/runs/{run}/events", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    return parse(answer.text)


def follow(house: House, run: str, after: int = 0) -> AsyncGenerator[bytes, None]:
    gateway = house.gateway
    found = stream(gateway.state, gateway.waiting, gateway.settings, run, after)
    assert isinstance(found, AsyncGenerator)
    return found


async def test_a_run_that_has_ended_is_told_from_the_beginning(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "running", step_row(run, "only", "running"))
    await house.intake.advance(run, "succeeded", step_row(run, "only", "succeeded"))
    frames = await read(house, run)
    assert [(event, number) for event, number, _ in frames] == [("change", 1), ("change", 2), ("end", None)]
    assert frames[0][2] == {"run": run, "seq": 1, "at": 3.0, "changes": [{"step": "only", "state": "running"}]}
    assert frames[2][2] == {"run": run, "state": "succeeded", "reason": None, "seq": 2}


async def test_a_stream_goes_on_behind_the_last_event_that_was_seen(house: House) -> None:
    run = await house.submit()
    for _ in range(3):
        await house.intake.advance(run, "running")
    await house.intake.advance(run, "failed")
    frames = await read(house, run, **{"Last-Event-ID": "2"})
    assert [number for _, number, _ in frames] == [3, 4, None]
    answer = await house.client.get(f"/api/v1/runs/{run}/events", headers={"Last-Event-ID": "4"})
    assert answer.status_code == 204
    answer = await house.client.get(f"/api/v1/runs/{run}/events", headers={"Last-Event-ID": "-1"})
    assert answer.status_code == 400


async def test_changes_come_live_as_they_happen(house: House) -> None:
    run = await house.submit()
    frames = follow(house, run)
    for number, state in enumerate(("running", "running", "succeeded"), 1):
        await house.intake.advance(run, state)
        ((event, seq, data),) = parse((await anext(frames)).decode())
        assert (event, seq, data["seq"]) == ("change", number, number)
    assert parse((await anext(frames)).decode())[0][0] == "end"
    with pytest.raises(StopAsyncIteration):
        await anext(frames)
    assert len(house.gateway.waiting) == 0


async def test_a_slow_reader_loses_nothing(house: House) -> None:
    run = await house.submit()
    frames = follow(house, run)
    await house.intake.advance(run, "running")
    seen = [parse((await anext(frames)).decode())[0][1]]
    for _ in range(30):  # far more than its backlog
        await house.intake.advance(run, "running")
    await house.intake.advance(run, "succeeded")
    async for frame in frames:
        seen += [number for event, number, _ in parse(frame.decode()) if event == "change"]
    assert seen == list(range(1, 33))


async def test_an_event_that_was_lost_on_the_bus_is_read_from_sql(house: House) -> None:
    run = await house.submit()
    frames = follow(house, run)
    await house.intake.advance(run, "running")
    await anext(frames)
    await house.intake.advance(run, "running", announce=False)
    await house.intake.advance(run, "running")
    assert [parse((await anext(frames)).decode())[0][1] for _ in range(2)] == [2, 3]
    await frames.aclose()


async def test_a_stream_ends_when_the_gateway_closes(house: House) -> None:
    run = await house.submit()
    frames = follow(house, run)
    await house.intake.advance(run, "running")
    await anext(frames)
    house.gateway.close_streams()
    assert [frame async for frame in frames] in ([], [b": nothing new\n\n"])


async def test_everybody_who_follows_gets_everything(house: House) -> None:
    run = await house.submit()
    all_frames = [asyncio.ensure_future(read(house, run)) for _ in range(5)]
    await wait_until(lambda: len(house.gateway.waiting) == 5)
    for _ in range(3):
        await house.intake.advance(run, "running")
    await house.intake.advance(run, "succeeded")
    for frames in await asyncio.gather(*all_frames):
        assert [(event, number) for event, number, _ in frames] == [
            *(("change", n) for n in (1, 2, 3, 4)),
            ("end", None),
        ]


async def test_who_has_seen_everything_is_told_to_stop_asking(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "succeeded")
    answers = [
        await house.client.get(f"/api/v1/runs/{run}/events", headers={"last-event-id": seen}) for seen in ("1", "99")
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2


async def test_a_stream_of_a_run_that_is_deleted_ends(house: House) -> None:
    run = await house.submit()
    frames = follow(house, run)
    await house.intake.advance(run, "running")
    await anext(frames)
    await house.intake.advance(run, "succeeded", announce=False)
    assert (await house.client.delete(f"/api/v1/runs/{run}")).status_code == 204
    await house.bus.publish(EVENTS, shard_of(run), RunChanged(run=run, seq=2, state="succeeded", at=3.0).encode())
    assert [frame async for frame in frames] == []
    again = await house.client.get(f"/api/v1/runs/{run}/events", headers={"last-event-id": "1"})
    assert again.status_code == 404


async def test_a_client_that_leaves_is_forgotten(house: House) -> None:
    run = await house.submit()
    frames = follow(house, run)
    await house.intake.advance(run, "running")
    await anext(frames)
    assert len(house.gateway.waiting) == 1
    await frames.aclose()
    await wait_until(lambda: len(house.gateway.waiting) == 0)


async def test_a_change_too_large_for_a_message_is_read_from_sql(house: House) -> None:
    run = await house.submit()
    frames = follow(house, run)
    await house.intake.advance(run, "running")
    await anext(frames)
    seq = await house.intake.advance(run, "running", step_row(run, "only", "running"), announce=False)
    head = RunChanged(run=run, seq=seq, state="running", at=3.0)
    await house.bus.publish(EVENTS, shard_of(run), head.encode())
    ((_, number, data),) = parse((await anext(frames)).decode())
    assert (number, data["changes"]) == (2, [{"step": "only", "state": "running"}])
    await frames.aclose()

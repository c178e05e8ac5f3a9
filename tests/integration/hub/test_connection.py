"""Connections over real sockets: order, slow peers, closes, and peers that break the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from plugmesh.conformance.waiting import wait_until
from plugmesh.errors import LinkLost
from plugmesh.hub.connection import FrameConnection
from plugmesh.hub.websocket import take_over
from plugmesh.hub.wire import FRAME_LIMIT_BYTES


class House:
    """A server whose side of each connection is ours; the client's side is the library."""

    def __init__(self) -> None:
        self.ours: list[FrameConnection] = []
        self.done = asyncio.Event()
        self.port = 0

    async def handle(self, connection: ServerConnection) -> None:
        self.ours.append(take_over(connection, is_client=False))
        await self.done.wait()

    async def join(self) -> tuple[ClientConnection, FrameConnection]:
        count = len(self.ours)
        client = await connect(f"ws://127.0.0.1:{self.port}", compression=None, ping_interval=None, max_size=None)
        await wait_until(lambda: len(self.ours) > count)
        return client, self.ours[-1]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with serve(house.handle, "127.0.0.1", 0, compression=None, close_timeout=1) as server:
        house.port = next(iter(server.sockets)).getsockname()[1]
        yield house
        house.done.set()
        for connection in house.ours:
            await connection.close()


async def test_frames_arrive_in_order_both_ways(house: House) -> None:
    client, ours = await house.join()
    for number in range(200):
        await client.send(b"%d" % number)
        assert ours.send_soon(b"-%d" % number)
    assert [await ours.receive() for _ in range(200)] == [b"%d" % number for number in range(200)]
    assert [await client.recv() for _ in range(200)] == [b"-%d" % number for number in range(200)]
    await client.close()


async def test_a_peer_that_does_not_read_makes_senders_wait_and_then_gets_everything(house: House) -> None:
    client, ours = await house.join()
    client.transport.pause_reading()
    sent = 0
    while ours.send_soon(bytes(FRAME_LIMIT_BYTES // 4)):
        sent += 1
    waiting = asyncio.ensure_future(ours.send(b"the last one"))
    await asyncio.sleep(0)
    assert not waiting.done()
    client.transport.resume_reading()
    for _ in range(sent):
        assert len(await client.recv()) == FRAME_LIMIT_BYTES // 4
    assert await client.recv() == b"the last one"
    await waiting
    await client.close()


async def test_what_is_not_received_stops_the_peer_instead_of_filling_the_memory(house: House) -> None:
    client, ours = await house.join()
    frame = bytes(FRAME_LIMIT_BYTES - 100)
    sending = asyncio.ensure_future(_send_many(client, frame, 40))
    await wait_until(lambda: ours._paused_reading)
    assert not sending.done()
    for _ in range(40):
        assert len(await ours.receive()) == len(frame)
    await sending
    await client.close()


async def _send_many(client: ClientConnection, frame: bytes, count: int) -> None:
    for _ in range(count):
        await client.send(frame)


async def test_frames_are_given_to_who_takes_each_until_it_has_enough(house: House) -> None:
    client, ours = await house.join()
    for number in range(3):
        await client.send(b"%d" % number)
    await wait_until(lambda: len(ours._arrived) == 3)
    taken: list[bytes | str] = []

    def take(frame: bytes | str) -> bool:
        taken.append(frame)
        return frame != b"5"

    taking = asyncio.ensure_future(ours.receive_each(take))
    await wait_until(lambda: len(taken) == 3)
    for number in range(3, 8):
        await client.send(b"%d" % number)
    await taking
    assert taken == [b"%d" % number for number in range(6)]
    assert [await ours.receive() for _ in range(2)] == [b"6", b"7"]
    await client.close()


async def test_who_takes_each_frame_learns_of_the_end_and_of_its_own_errors(house: House) -> None:
    def take(frame: bytes | str) -> bool:
        raise KeyError(frame)

    client, ours = await house.join()
    taking = asyncio.ensure_future(ours.receive_each(take))
    await client.send(b"x")
    with pytest.raises(KeyError):
        await taking
    taking = asyncio.ensure_future(ours.receive_each(take))
    await client.close()
    with pytest.raises(LinkLost):
        await taking
    with pytest.raises(LinkLost):
        await ours.receive_each(take)


async def test_a_ping_is_answered(house: House) -> None:
    client, _ = await house.join()
    await (await client.ping(b"are you there"))
    await client.close()


async def test_a_close_of_the_peer_ends_receive_with_its_words(house: House) -> None:
    client, ours = await house.join()
    await client.send(b"before")
    await client.close(1001, "going home")
    assert await ours.receive() == b"before"
    with pytest.raises(LinkLost, match="1001: going home") as lost:
        await ours.receive()
    assert lost.value.code == "link-lost"
    assert not ours.send_soon(b"too late")


async def test_a_close_of_ours_is_told_and_ends_both_sides(house: House) -> None:
    client, ours = await house.join()
    await ours.close()
    with pytest.raises(ConnectionClosed):
        await client.recv()
    with pytest.raises(LinkLost):
        await ours.send(b"too late")


async def test_a_lost_connection_ends_receive(house: House) -> None:
    client, ours = await house.join()
    client.transport.abort()
    with pytest.raises(LinkLost):
        await ours.receive()


@pytest.mark.parametrize(
    ("bytes_sent", "code"), [(b"\xc2\x80\x00\x00\x00\x00", 1002), (b"\x82\xff\x00\x00\x00\x00\x7f\x00\x00\x00", 1009)]
)
async def test_a_peer_that_breaks_the_protocol_is_told_and_dropped(house: House, bytes_sent: bytes, code: int) -> None:
    client, ours = await house.join()
    client.transport.write(bytes_sent)
    with pytest.raises(LinkLost):
        await ours.receive()
    with pytest.raises(ConnectionClosed) as closed:
        await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code

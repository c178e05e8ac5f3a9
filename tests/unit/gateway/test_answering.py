"""When the parts of an answer are written."""

import asyncio

from gateway.http_connection import Answering


class Transport:
    """Remembers what was written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_head_and_body_leave_together() -> None:
    transport = Transport()
    answering = Answering(transport, transport.close)
    answering.write(b"head ")
    answering.write(b"body")
    assert transport.written == [b"head body"]
    answering.write(b"more")
    assert transport.written == [b"head body", b"more"]
    await asyncio.sleep(0)
    assert transport.written == [b"head body", b"more"]


async def test_a_head_without_a_body_does_not_wait_for_one() -> None:
    transport = Transport()
    Answering(transport, transport.close).write(b"head")
    assert transport.written == []
    await asyncio.sleep(0)
    assert transport.written == [b"head"]


async def test_a_head_leaves_before_the_connection_is_closed() -> None:
    transport = Transport()
    answering = Answering(transport, transport.close)
    answering.write(b"head")
    answering.close()
    assert transport.written == [b"head"]
    assert answering.is_closing()


async def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    transport = Transport()
    Answering(transport, transport.close).write(b"head")
    transport.close()
    await asyncio.sleep(0)
    assert transport.written == []

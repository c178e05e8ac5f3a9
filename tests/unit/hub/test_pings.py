"""Whoever asks without reading the answers costs no memory."""

import asyncio
from typing import Any, cast

from plugmesh.hub.connection import FrameConnection
from plugmesh.hub.frames import Opcode, encode


class Written:
    """A transport that only counts."""

    def __init__(self) -> None:
        self.frames = 0

    def write(self, data: bytes) -> None:
        self.frames += 1


async def test_pings_are_answered_only_while_the_answers_are_taken() -> None:
    connection = FrameConnection(is_client=False, ended=lambda error: None)
    transport = Written()
    connection.connection_made(cast("asyncio.BaseTransport", cast("Any", transport)))
    ping = encode(Opcode.PING, b"?", b"\1\2\3\4")
    connection.data_received(ping * 3)
    assert transport.frames == 3
    connection.pause_writing()
    connection.data_received(ping * 1000)
    assert transport.frames == 3
    connection.resume_writing()
    connection.data_received(ping)
    assert transport.frames == 4
    connection.connection_lost(None)

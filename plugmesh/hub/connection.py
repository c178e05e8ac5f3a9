"""The link's transport on a socket: WebSocket frames straight from and to the event loop, with nothing in between.

Either side uses it once its handshake is done. What arrives is put into a bounded queue; what leaves is written at
once, as long as the peer takes it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from typing import cast

from plugmesh.errors import InvalidMessage, LimitExceeded, LinkLost
from plugmesh.hub.frames import Frames, Opcode, encode
from plugmesh.hub.wire import FRAME_LIMIT_BYTES

PING_S = 20.0
PONG_S = 60.0
"""Far beyond the 15 s of liveness: a stopped process is judged by its beats, and finds its link again when it goes on."""
CLOSE_S = 1.0
"""A peer that does not answer a close in this time is not waited for."""
QUEUE_BYTES = 4 * FRAME_LIMIT_BYTES
"""Reading pauses while more than this waits for who receives."""

_NORMAL, _GOING_AWAY, _PROTOCOL_ERROR, _TOO_BIG = 1000, 1001, 1002, 1009  # close codes, RFC 6455, section 7.4.1


class FrameConnection(asyncio.Protocol):
    """One established WebSocket connection. `is_client`: this side dialled, so its frames are masked.

    `arrived` are messages that came together with the end of the handshake; `ended` is called when the connection
    is lost, so that whoever did the handshake can clean up.
    """

    def __init__(
        self, *, is_client: bool, ended: Callable[[Exception | None], None], arrived: Iterable[bytes] = ()
    ) -> None:
        self._is_client = is_client
        self._loop = asyncio.get_running_loop()
        self._frames = Frames(masked=not is_client, limit_bytes=FRAME_LIMIT_BYTES)
        self._arrived: deque[bytes] = deque(arrived)
        self._arrived_bytes = sum(map(len, self._arrived))
        self._paused_reading = False
        self._receiver: asyncio.Future[None] | None = None
        self._take: Callable[[bytes | str], bool] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._over = asyncio.Event()
        self._ended = ended
        self._why = ""
        self._closing = False
        self._heard_at = self._loop.time()
        self._keepalive: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    # -- the transport of a link ---------------------------------------------------------------------------------------

    async def receive(self) -> bytes:
        while not self._arrived:
            if self._over.is_set():
                raise self._lost()
            self._receiver = self._loop.create_future()
            await self._receiver
        frame = self._arrived.popleft()
        self._arrived_bytes -= len(frame)
        if self._paused_reading and self._arrived_bytes <= QUEUE_BYTES // 2:
            self._paused_reading = False
            self._transport.resume_reading()
        return frame

    async def receive_each(self, take: Callable[[bytes | str], bool]) -> None:
        while self._arrived or self._over.is_set():
            if not take(await self.receive()):
                return
        # From here on without a task and a queue in between: they would cost as much as what is done with the frame.
        self._take, self._taken = take, self._loop.create_future()
        try:
            await self._taken
        finally:
            self._take = None

    def send_soon(self, frame: bytes) -> bool:
        if not self._writable.is_set() or self._closing:
            return False
        self._write(Opcode.BINARY, frame)
        return True

    async def send(self, frame: bytes | str) -> None:
        await self._writable.wait()
        if self._closing or self._over.is_set():
            raise LinkLost(f"the connection ended: {self._why or 'it was closed'}")
        self._write(Opcode.BINARY, frame if isinstance(frame, bytes) else frame.encode())

    async def close(self) -> None:
        self._close(_GOING_AWAY, "it was closed by this process")
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._over.wait()
        except TimeoutError:
            self._transport.abort()

    # -- what the event loop calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._keepalive = self._loop.call_later(PING_S, self._ping)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        try:
            for opcode, payload in self._frames.feed(data):
                if opcode > Opcode.BINARY:
                    self._control(opcode, payload)
                elif self._take is not None:
                    self._hand_over(payload, self._take)
                else:
                    self._arrived.append(payload)
                    self._arrived_bytes += len(payload)
        except (InvalidMessage, LimitExceeded) as error:
            self._close(_TOO_BIG if isinstance(error, LimitExceeded) else _PROTOCOL_ERROR, str(error))
            self._transport.close()
        if self._arrived:
            self._wake()
            if self._arrived_bytes > QUEUE_BYTES and not self._paused_reading:
                self._paused_reading = True
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        return False  # the transport closes itself

    def connection_lost(self, error: Exception | None) -> None:
        self._why = self._why or (str(error) if error else "")
        self._closing = True
        self._over.set()
        self._writable.set()
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._wake()
        self._settle(self._lost())
        self._ended(error)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def shutdown(self) -> None:
        """The server ends: let the peer know, and do not wait for it."""
        self._close(_GOING_AWAY, "the server is stopping")
        self._transport.close()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    def _lost(self) -> LinkLost:
        return LinkLost(f"the connection ended: {self._why or 'the other side closed it'}")

    def _hand_over(self, payload: bytes, take: Callable[[bytes | str], bool]) -> None:
        try:
            if take(payload):
                return
        except Exception as error:  # noqa: BLE001  it is for who waits in `receive_each`
            self._settle(error)
        else:
            self._settle(None)

    def _settle(self, error: Exception | None) -> None:
        self._take = None
        if self._taken is None or self._taken.done():
            return
        if error is None:
            self._taken.set_result(None)
        else:
            self._taken.set_exception(error)

    def _write(self, opcode: Opcode, payload: bytes) -> None:
        mask = secrets.token_bytes(4) if self._is_client else None
        self._transport.write(encode(opcode, payload, mask))

    def _control(self, opcode: Opcode, payload: bytes) -> None:
        if opcode is Opcode.PING and not self._closing:
            if self._writable.is_set():  # who does not read gets no more answers (section 5.5.3 lets us leave some out)
                self._write(Opcode.PONG, payload)
        elif opcode is Opcode.CLOSE:
            self._why = self._why or _reason(payload)
            self._close(_NORMAL, self._why)
            self._transport.close()

    def _close(self, code: int, why: str) -> None:
        if self._closing:
            return
        self._why = self._why or why
        self._closing = True
        if not self._transport.is_closing():
            self._write(Opcode.CLOSE, code.to_bytes(2, "big") + why.encode()[:100])

    def _ping(self) -> None:
        if self._loop.time() - self._heard_at > PING_S + PONG_S and not self._paused_reading:
            self._why = f"nothing was heard for {PONG_S:g} s after a ping"
            self._transport.abort()
            return
        if not self._closing and self._writable.is_set():
            self._write(Opcode.PING, b"")
        self._keepalive = self._loop.call_later(PING_S, self._ping)


def _reason(payload: bytes) -> str:
    code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
    text = payload[2:].decode(errors="replace")
    return f"the other side closed it (code {code}{': ' + text if text else ''})"

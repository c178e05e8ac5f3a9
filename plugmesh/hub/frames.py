"""WebSocket frames (RFC 6455, section 5) without extensions: bytes in, whole messages and control frames out. Pure.

Only what comes after the handshake is here; the handshake is done by libraries. A general implementation costs four
times as much for each of the small frames that a mesh lives on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

from plugmesh.errors import InvalidMessage, LimitExceeded

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel for this machine
    from websockets.utils import apply_mask

CONTROL_LIMIT_BYTES = 125
PART_BYTES = 64
"""What a fragment counts beyond its bytes: a message of endless empty ones must end, too."""
_HEAD_BYTES = 2
"""The shortest frame."""


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_KNOWN = frozenset(Opcode)
_FIN, _MASKED = 0x80, 0x80


def encode(opcode: Opcode, payload: bytes, mask: bytes | None = None) -> bytes:
    """One whole frame. A client passes `mask`, four random bytes; a server must not mask (section 5.1)."""
    size = len(payload)
    bit = 0 if mask is None else _MASKED
    if size < 126:
        head = bytes((_FIN | opcode, bit | size))
    elif size < 65_536:
        head = struct.pack("!BBH", _FIN | opcode, bit | 126, size)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, bit | 127, size)
    return head + payload if mask is None else head + mask + apply_mask(payload, mask)


class Frames:
    """What arrives on one connection. `masked`: the peer is a client, whose frames are masked."""

    def __init__(self, *, masked: bool, limit_bytes: int) -> None:
        self._masked = masked
        self._limit_bytes = limit_bytes
        self._rest = bytearray()  # of the last frame, and how long it is as far as one knows
        self._needed = 0
        self._parts: list[bytes] = []
        self._parts_opcode = Opcode.BINARY
        self._parts_bytes = 0

    def feed(self, data: bytes) -> Iterator[tuple[Opcode, bytes]]:
        """Messages (`TEXT` or `BINARY`, put together from their fragments) and control frames, in order.

        Raises `InvalidMessage` for what the protocol forbids, `LimitExceeded` for a message over the limit; the
        connection cannot go on after either.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, end, needed = 0, len(data), _HEAD_BYTES
        while end - at >= 2:
            first, second = data[at], data[at + 1]
            size, body = second & 0x7F, at + 2
            if size == 126:
                needed = 4
                if end < body + 2:
                    break
                size, body = int.from_bytes(data[body : body + 2], "big"), body + 2
            elif size == 127:
                needed = 10
                if end < body + 8:
                    break
                size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
            self._check(first, second, size)
            mask_at = body
            body += 4 if self._masked else 0
            needed = body + size - at
            if end < body + size:
                break
            payload = data[body : body + size]
            if self._masked:
                payload = apply_mask(payload, data[mask_at:body])
            at = body + size
            whole = self._take(first, payload)
            if whole is not None:
                yield whole
            needed = _HEAD_BYTES
        if at < end:
            self._rest += data[at:]
            self._needed = needed

    def _check(self, first: int, second: int, size: int) -> None:
        opcode = first & 0x0F
        if first & 0x70 or opcode not in _KNOWN:
            raise InvalidMessage(f"a frame begins with 0x{first:02x}, which means nothing here")
        if bool(second & _MASKED) is not self._masked:
            raise InvalidMessage(
                "a client masks its frames and a server does not; this peer has it the other way round"
            )
        if opcode >= Opcode.CLOSE and (size > CONTROL_LIMIT_BYTES or not first & _FIN):
            raise InvalidMessage("a control frame is whole and has at most 125 bytes")
        if size + self._parts_bytes > self._limit_bytes:
            raise LimitExceeded(f"a frame of {size} bytes makes a message over {self._limit_bytes}")

    def _take(self, first: int, payload: bytes) -> tuple[Opcode, bytes] | None:
        opcode = Opcode(first & 0x0F)
        if opcode >= Opcode.CLOSE:
            return opcode, payload
        if (opcode is Opcode.CONTINUATION) is not bool(self._parts):
            raise InvalidMessage("a message began inside of another one, or went on without a beginning")
        if not self._parts:
            if first & _FIN:
                return opcode, payload
            self._parts_opcode = opcode
        self._parts.append(payload)
        self._parts_bytes += len(payload) + PART_BYTES
        if not first & _FIN:
            return None
        whole, self._parts, self._parts_bytes = b"".join(self._parts), [], 0
        return self._parts_opcode, whole

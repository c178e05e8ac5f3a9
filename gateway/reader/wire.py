"""What a gateway and its reader process say to each other: frames of one type byte, four length bytes, and a payload."""

from __future__ import annotations

import struct

HEADER = struct.Struct(">cI")

REQUEST = b"Q"
"""To the child: JSON, what to read."""
DATA = b"D"
"""From the child: a piece of a stream."""
ANSWER = b"A"
"""From the child: JSON; the request is done."""
END = b"."
"""From the child: the stream is complete."""
FAILED = b"E"
"""From the child: JSON with code and message; the request is done."""

MATCHED = struct.Struct("=Q")
"""How the answer to `order` begins: so many rows match. The first of their numbers follow, in 32 bits each."""

PIECE_BYTES = 256 * 1024


def frame(kind: bytes, payload: bytes | memoryview) -> bytes:
    """One frame."""
    return HEADER.pack(kind, len(payload)) + bytes(payload)

"""What the asking process, the forker and a child say to each other: packets of one kind byte and JSON.

asker → forker, on the control socket    JOB with the descriptors: job socket, file, shared file, what is said on stderr
child → asker, on the job socket         BATCH [offset, length], TOLD value, FAILED error, END
asker → child, on the job socket         NEXT [offsets that nobody reads any more]
forker → asker, on the job socket        ENDED with status and usage: the last packet
"""

from __future__ import annotations

import json
import socket
from typing import Any

JOB, BATCH, TOLD, FAILED, END, NEXT, ENDED = b"JBTF.+X"
DESCRIPTORS = 4
MOST_BYTES = 128 * 1024
"""Of a packet; the system's default for a socket is above it."""


def send(link: socket.socket, kind: int, value: Any = None, fds: tuple[int, ...] = ()) -> None:
    """Raises `ValueError` if it is too long, `OSError` if nobody is there."""
    packet = bytes([kind]) + json.dumps(value).encode()
    if len(packet) > MOST_BYTES:
        raise ValueError(f"a message of {len(packet):,} bytes: at most {MOST_BYTES:,} can be sent")
    if fds:
        socket.send_fds(link, [packet], fds)
    else:
        link.send(packet)


def receive(link: socket.socket) -> tuple[int, Any] | None:
    """The next packet, `None` at the end."""
    try:
        return parsed(link.recv(MOST_BYTES))
    except ConnectionResetError:  # said once if the other side went without reading all; what it said is still there
        return parsed(link.recv(MOST_BYTES))


def parsed(packet: bytes) -> tuple[int, Any] | None:
    """Kind and value of a packet."""
    return (packet[0], json.loads(packet[1:])) if packet else None

"""What supervisor and executor say to each other over a socket pair: length, kind, number of the attempt, payload."""

from __future__ import annotations

import struct
from enum import IntEnum

_HEADER = struct.Struct("<IBI")


class Kind(IntEnum):
    """Kinds of frames. The payload of `ASSIGN` and `RESULT` is the message on the bus, byte for byte."""

    # supervisor to executor
    SETUP = 1  # the executor's settings, JSON
    ASSIGN = 2
    CANCEL = 3  # for a synchronous executor, followed by a signal: it does not read while user code runs
    EXIT = 4
    PLAN = 5  # a question about a module's plan: the message on the bus
    # executor to supervisor
    READY = 16
    PREPARING = 17  # user code does not run yet: the file is being imported
    STARTED = 18  # user code runs from now; sent only after PREPARING
    RESULT = 19
    UNLOGGED = 20  # a result like RESULT, but the log is still in the file: the attempt took long
    AGAIN = 21  # this process is not fit for the attempt: a fresh one is to run it, with the payload that came
    LEAVING = 22  # hand over nothing more: after the result that follows, this process ends
    PROGRESS = 23  # the payload is the message on the bus
    ARTIFACT = 24  # a FileRef as JSON
    PLANNED = 25  # the answer to PLAN: the message for the bus
    LOGGED = 27  # a copy of a log record, as `module_sdk/executor/told.py` writes it
    SPANS = 26  # before the result of a traced attempt: its spans, as `plugmesh.telemetry.span` writes them


Frame = tuple[int, int, bytes]
"""Kind, number of the attempt, payload."""


def frame(kind: Kind, number: int = 0, payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    return _HEADER.pack(len(payload), kind, number) + payload


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        if self._rest:
            data = self._rest + data
        frames: list[Frame] = []
        at, end = 0, len(data)
        while end - at >= _HEADER.size:
            length, kind, number = _HEADER.unpack_from(data, at)
            stop = at + _HEADER.size + length
            if stop > end:
                break
            frames.append((kind, number, data[at + _HEADER.size : stop]))
            at = stop
        self._rest = data[at:]
        return frames

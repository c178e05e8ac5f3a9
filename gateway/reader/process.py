"""The process that decodes data for a gateway: with limits, and nothing to lose when data makes it crash.

Started as a file: `python -P process.py OBJECTS_URL MEMORY_BYTES`. Requests come on stdin, answers go to
stdout; it ends with its parent. Beside this folder's files it imports only `plugmesh` and pyarrow.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # -P keeps it out; this folder is a server's own

from pydantic_core import from_json, to_json

from gateway.reader import answers, wire
from plugmesh.errors import PlugmeshError
from plugmesh.objects.open import open_store
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import SystemRuntime

_PR_SET_PDEATHSIG = 1
_LESS = "ask for fewer rows or columns, or raise reader_memory_bytes in the settings"

Answers = Callable[[ObjectStore, dict[str, Any]], "bytes | Iterator[bytes | memoryview]"]


def main() -> None:
    """Answer requests until stdin ends."""
    _die_with_parent()
    objects_url, memory_bytes = sys.argv[1], int(sys.argv[2])
    _limit(memory_bytes)
    requests, pipe = sys.stdin.buffer, _claim_stdout()
    store = open_store(objects_url, SystemRuntime())
    answers.prepare()
    while (request := _next(requests)) is not None:
        try:
            _answer(pipe, answers.answer(store, request))
        except MemoryError:
            _fail(
                pipe, "limit-exceeded", f"decoding needs more than the {memory_bytes:,} bytes a reader may use: {_LESS}"
            )
            return  # what is left of the memory is not worth keeping
        except PlugmeshError as error:
            _fail(pipe, error.code, str(error))
        except (BrokenPipeError, ConnectionError):
            return
        except Exception as error:  # noqa: BLE001  data of any kind may raise anything; the gateway is told
            _fail(pipe, "unreadable-data", f"the data cannot be read: {type(error).__name__}: {error}"[:2000])


def _die_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or parent == 1:
        sys.exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which ends us


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)


def _claim_stdout() -> BinaryIO:
    """Keep the pipe for answers; whatever a library prints goes to stderr."""
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return pipe


def _next(requests: BinaryIO) -> dict[str, Any] | None:
    header = requests.read(wire.HEADER.size)
    if len(header) < wire.HEADER.size:
        return None
    _, length = wire.HEADER.unpack(header)
    request: dict[str, Any] = from_json(requests.read(length))
    return request


def _answer(pipe: BinaryIO, found: bytes | Iterator[bytes | memoryview]) -> None:
    if isinstance(found, bytes):
        _send(pipe, wire.ANSWER, found)
        return
    for piece in found:
        view = memoryview(piece).cast("B")
        for start in range(0, len(view), wire.PIECE_BYTES):
            _send(pipe, wire.DATA, view[start : start + wire.PIECE_BYTES])
    _send(pipe, wire.END, b"")


def _fail(pipe: BinaryIO, code: str, message: str) -> None:
    _send(pipe, wire.FAILED, to_json({"code": code, "message": message}))


def _send(pipe: BinaryIO, kind: bytes, payload: bytes | memoryview) -> None:
    data = memoryview(wire.frame(kind, payload))
    while data:
        data = data[pipe.write(data) :]


if __name__ == "__main__":
    main()

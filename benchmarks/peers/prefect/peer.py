"""Prefect with its own server in another process and its SQLite database; tasks run in threads of the caller."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

_HOME = f"{os.environ['TMPDIR']}/prefect"
_READY_S = 120.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_PORT = _free_port()
# Prefect reads its settings when it is imported.
os.environ.update(
    PREFECT_HOME=_HOME,
    PREFECT_API_URL=f"http://127.0.0.1:{_PORT}/api",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_LOGGING_LEVEL="ERROR",
    PREFECT_SERVER_LOGGING_LEVEL="ERROR",
    DO_NOT_TRACK="1",
)

import pyarrow as pa  # noqa: E402
from prefect import flow, task  # noqa: E402
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: E402
from prefect.task_runners import ThreadPoolTaskRunner  # noqa: E402

from benchmarks.peers.protocol import WORKERS, main  # noqa: E402


def _same(table: pa.Table) -> pa.Table:
    return table


def _nothing(_number: int) -> None:
    pass


same, nothing = task(_same), task(_nothing)


def _chain(steps: int) -> bool:
    table = pa.table({"x": [1]})
    for _ in range(steps):
        table = same(table)
    return bool(table.num_rows == 1)


def _wide(width: int) -> bool:
    return all(state.is_completed() for state in nothing.map(range(width), return_state=True))


def _one() -> None:
    nothing(0)


chain = flow(_chain)
wide = flow(task_runner=ThreadPoolTaskRunner(max_workers=WORKERS))(_wide)
one = flow(_one)


@contextmanager
def _without_beats() -> Iterator[None]:
    """Otherwise the end of every flow waits a second for the thread that beats. Settings hold for one thread."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


class Prefect:
    """A job is a flow run with one task run, both known to the server."""

    def chain(self, steps: int) -> None:
        """One flow that calls its tasks one after another."""
        assert chain(steps)

    def fan_out(self, width: int) -> None:
        """One flow that maps a task."""
        assert wide(width)

    def one(self) -> None:
        """See `Peer`."""
        one()

    def share(self, jobs: int) -> None:
        """See `Peer`."""
        with _without_beats():
            for _ in range(jobs):
                one()


@contextmanager
def started() -> Iterator[Prefect]:
    """The server with a database of its own."""
    place = ("--host", "127.0.0.1", "--port", str(_PORT), "--no-ui")
    command = (sys.executable, "-P", "-m", "prefect", "server", "start", *place)
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _READY_S
        while not _answers():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the Prefect server did not start")
            time.sleep(0.1)
        with _without_beats():
            yield Prefect()
    finally:
        server.terminate()
        server.wait(30)


def _answers() -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{_PORT}/api/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    # 1,000 flow runs would take minutes.
    main(started, ("prefect", "fastapi", "pyarrow"), jobs=160)

"""What a peer's script and the runner say to each other. Only the standard library: it runs in every peer's environment.

A script is called with the name of one workload. It starts its system, warms it up, measures, ends the system, and
prints one JSON object on its last line.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Protocol, runtime_checkable

CHAIN = 200
WORKERS = 2
CLIENTS = 16
JOBS = 1000
TABLE_ROWS = 10_000_000
# A slow system is measured once for as long as it takes, but not again and again.
_ENOUGH_S = 20.0

UNITS = {"W1": "ms/step", "W2-2000": "steps/s", "W2-500": "steps/s", "W3a": "ms", "W3b": "jobs/s", "W4": "s"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The median of some samples of one workload, in the unit of `UNITS`."""

    workload: str
    value: float
    unit: str
    samples: int
    versions: dict[str, str]

    def line(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self))


@runtime_checkable
class Peer(Protocol):
    """A running system. Each call returns when all of its work has finished, and raises if any of it failed."""

    def chain(self, steps: int) -> None:
        """Hand a one-row table through `steps` no-op steps, one after another."""

    def fan_out(self, width: int) -> None:
        """Run `width` independent no-op steps."""

    def one(self) -> None:
        """Submit one no-op step and wait for its result."""

    def share(self, jobs: int) -> None:
        """Submit `jobs` one-step jobs as one of several clients, each in a thread; wait for all of them."""


@runtime_checkable
class TablePeer(Protocol):
    """A running system that hands large tables from step to step."""

    def through(self, rows: int) -> float:
        """Make the table of W4 (`benchmarks/dataplane/chain_table.py`) in one process, hand it through the five steps, which
        take turns in two processes, and check the sum: the seconds from when the table was made, before it is handed on, until
        the next step could have what the last one made."""


def main(
    start: Callable[[], AbstractContextManager[Peer | TablePeer]], packages: Sequence[str], *, jobs: int = JOBS
) -> None:
    """Measure the workload that the command line names and print the answer. `jobs`: how many W3b has."""
    workload = sys.argv[1]
    with start() as peer:
        samples = measure(workload, peer, jobs=jobs)
    versions = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    print(Answer(workload, statistics.median(samples), UNITS[workload], len(samples), versions).line(), flush=True)


def measure(workload: str, peer: Peer | TablePeer, *, jobs: int = JOBS) -> list[float]:
    """Samples of a workload, in its unit; not counted: a small one before, that warms up."""
    if workload == "W4":
        assert isinstance(peer, TablePeer)
        return _through(peer)
    assert isinstance(peer, Peer)
    if workload == "W1":
        peer.chain(CHAIN // 10)
        return [seconds * 1e3 / CHAIN for seconds in _repeat(lambda: peer.chain(CHAIN), 5)]
    if workload.startswith("W2-"):
        width = int(workload.removeprefix("W2-"))
        peer.fan_out(width // 10)
        return [width / seconds for seconds in _repeat(lambda: peer.fan_out(width), 3)]
    if workload == "W3a":
        _repeat(peer.one, 30)
        return [seconds * 1e3 for seconds in _repeat(peer.one, 150)]
    if workload == "W3b":
        _burst(peer, CLIENTS)
        return [jobs / seconds for seconds in _repeat(lambda: _burst(peer, jobs), 3)]
    raise ValueError(f"unknown workload {workload!r}; known are {', '.join(UNITS)}")


def _repeat(once: Callable[[], None], times: int) -> list[float]:
    """The seconds of each repetition: up to `times`, at least one."""
    taken: list[float] = []
    while len(taken) < times and sum(taken) < _ENOUGH_S:
        begin = time.perf_counter()
        once()
        taken.append(time.perf_counter() - begin)
    return taken


def _through(peer: TablePeer) -> list[float]:
    """Two tables warm it up; then up to five, for as long as is enough."""
    begin = time.perf_counter()
    taken = [peer.through(TABLE_ROWS) for _ in range(3)]
    while len(taken) < 7 and time.perf_counter() - begin < _ENOUGH_S:
        taken.append(peer.through(TABLE_ROWS))
    return taken[2:]


def _burst(peer: Peer, jobs: int) -> None:
    failures: list[Exception] = []

    def client(share: int) -> None:
        try:
            peer.share(share)
        except Exception as error:  # noqa: BLE001 - raised again below, in the caller's thread
            failures.append(error)

    share, rest = divmod(jobs, CLIENTS)
    threads = [threading.Thread(target=client, args=(share + (number < rest),)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]

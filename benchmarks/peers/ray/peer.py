"""Ray on this machine: two actors for the steps; nothing is written down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import ray

from benchmarks.peers.protocol import WORKERS, main


class Steps:
    """The two kinds of steps."""

    def same(self, table: pa.Table) -> pa.Table:
        """The table that came in."""
        return table

    def nothing(self) -> None:
        """No input, no output."""


class Ray:
    """Calls go to the actors in turn; a chain stays on one, which is the faster way for Ray."""

    def __init__(self) -> None:
        steps = ray.remote(num_cpus=1)(Steps)
        self._actors = [steps.remote() for _ in range(WORKERS)]
        ray.get([actor.nothing.remote() for actor in self._actors])

    def chain(self, steps: int) -> None:
        """All calls are sent at once, each with the reference of the one before it."""
        table = ray.put(pa.table({"x": [1]}))
        for _ in range(steps):
            table = self._actors[0].same.remote(table)
        assert ray.get(table).num_rows == 1

    def fan_out(self, width: int) -> None:
        """See `Peer`."""
        ray.get([self._actors[number % WORKERS].nothing.remote() for number in range(width)])

    def one(self) -> None:
        """See `Peer`."""
        ray.get(self._actors[0].nothing.remote())

    def share(self, jobs: int) -> None:
        """See `Peer`."""
        self.fan_out(jobs)


@contextmanager
def started() -> Iterator[Ray]:
    """One node on this machine, without the dashboard."""
    ray.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=200 << 20,
        _node_ip_address="127.0.0.1",
        _temp_dir=f"{os.environ['TMPDIR']}/r",
    )
    try:
        yield Ray()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main(started, ("ray", "pyarrow"))

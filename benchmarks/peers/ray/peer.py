"""Ray on this machine: two actors for the steps; nothing is written down."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray

from benchmarks.dataplane import chain_table
from benchmarks.peers.protocol import WORKERS, main

_STORE_BYTES = {"W4": 4 << 30}
"""Room for all six tables at once: nothing is spilled to a disk."""


class Steps:
    """The two kinds of steps."""

    def same(self, table: pa.Table) -> pa.Table:
        """The table that came in."""
        return table

    def nothing(self) -> None:
        """No input, no output."""


class Tables:
    """The source and the steps of W4."""

    def source(self, rows: int) -> tuple[pa.Table, tuple[float, list[float]]]:
        """The table; when it was ready, and the sums of its first three columns."""
        table = chain_table.make(rows)
        sums = [pc.sum(table[f"f{index}"]).as_py() for index in range(3)]
        return table, (time.time(), sums)

    def step(self, table: pa.Table, number: int) -> pa.Table:
        """One step."""
        return chain_table.step_on(table, chain_table.columns(number))

    def total(self, table: pa.Table) -> float:
        """The sum of the last column."""
        return float(pc.sum(table[chain_table.LAST]).as_py())


class Ray:
    """Calls go to the actors in turn; a chain stays on one, which is the faster way for Ray."""

    def __init__(self) -> None:
        steps = ray.remote(num_cpus=1)(Steps)
        self._actors = [steps.remote() for _ in range(WORKERS)]
        ray.get([actor.nothing.remote() for actor in self._actors])
        self._tables: list[Any] = []

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

    def through(self, rows: int) -> float:
        """See `TablePeer`. Each call gets the reference of the one before; the caller sees no table."""
        if not self._tables:
            for actor in self._actors:
                ray.kill(actor)  # they would keep the processors
            self._tables = [ray.remote(num_cpus=1)(Tables).remote() for _ in range(WORKERS)]
        table, ready = self._tables[1].source.options(num_returns=2).remote(rows)
        for number in range(chain_table.STEPS):
            table = self._tables[number % WORKERS].step.remote(table, number)
        ray.wait([table], fetch_local=False)
        ended = time.time()
        ready_at, sums = ray.get(ready)
        chain_table.check(ray.get(self._tables[1].total.remote(table)), sums)
        return float(ended - ready_at)


@contextmanager
def started() -> Iterator[Ray]:
    """One node on this machine, without the dashboard."""
    ray.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=_STORE_BYTES.get(sys.argv[1], 200 << 20),
        _node_ip_address="127.0.0.1",
        _temp_dir=f"{os.environ['TMPDIR']}/r",
    )
    try:
        yield Ray()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main(started, ("ray", "pyarrow"))

"""Dask distributed on this machine: a scheduler and two worker processes; nothing is written down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dask
import pyarrow as pa
from distributed import Client, LocalCluster

from benchmarks.peers.protocol import WORKERS, main

# Root tasks go to the workers at once instead of being held back in the scheduler: 2.3 times as fast for tasks this small.
_SETTINGS = {"distributed.scheduler.worker-saturation": "inf"}


def same(table: pa.Table) -> pa.Table:
    """The table that came in."""
    return table


def nothing(_number: int) -> None:
    """No output."""


class Dask:
    """Futures that are never taken for one another (`pure=False`)."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def chain(self, steps: int) -> None:
        """All steps are submitted at once, each with the future of the one before it."""
        table = pa.table({"x": [1]})
        for _ in range(steps):
            table = self._client.submit(same, table, pure=False)
        assert table.result().num_rows == 1

    def fan_out(self, width: int) -> None:
        """See `Peer`."""
        self._client.gather(self._client.map(nothing, range(width), pure=False))

    def one(self) -> None:
        """See `Peer`."""
        self._client.submit(nothing, 0, pure=False).result()

    def share(self, jobs: int) -> None:
        """See `Peer`."""
        self._client.gather([self._client.submit(nothing, number, pure=False) for number in range(jobs)])


@contextmanager
def started() -> Iterator[Dask]:
    """A cluster of processes on this machine, without the dashboard."""
    with (
        dask.config.set(_SETTINGS),
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):
        yield Dask(client)


if __name__ == "__main__":
    main(started, ("distributed", "pyarrow"))

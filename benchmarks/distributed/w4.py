"""W4 on a mesh of several processes whose data lies in S3, and beside it the same by hand: what `scripts/bench --distributed w4`
measures.

`chain(quick=…)` goes into the table of `benchmarks.distributed.run`. The raw client moves the same bytes in the same encoding
over the same MinIO, in turns with the mesh, so that both meet the same noise of the machine; `in-raws` is the mesh's time
divided by the raw client's.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.dataplane import chain_table, w4
from benchmarks.dataplane.two_processes import Processes
from benchmarks.distributed.mesh import Distributed, distributed
from benchmarks.figures import Figure, figure
from scripts.real_servers import rooms

_MODULES = Path(__file__).parents[1] / "dataplane" / "w4_modules.py"
_VARIANT = "pa.Table"
_RAW_BUCKET = "bench-by-hand"


class _Served(Processes):
    """As on one machine, but that the schedulers sweep in their own time."""

    def let_go(self, run: str) -> None:
        self.client.delete(f"/api/v1/runs/{run}")


def chain(*, quick: bool) -> list[Figure]:
    """10 million rows; `--quick`: a tenth of them, and fewer rounds."""
    rows, turns, rounds = (w4.QUICK_ROWS, 2, 2) if quick else (chain_table.ROWS, 3, 3)
    flow = w4.flow_of(_VARIANT, rows)
    found: list[w4.Once] = []
    used: dict[str, list[float]] = {}
    raw: dict[str, list[float]] = {}
    with _served() as (running, connected, url):
        with connected() as mesh:
            w4.once(mesh, flow)
            w4.once(mesh, flow)
        for _ in range(turns):
            _add(raw, _by_hand(url, rows, rounds))
            with connected() as mesh:  # anew: a gateway ends connections on which nothing comes for long
                _measure(running, mesh, flow, rounds, found, used)
    return _figures(f"{_VARIANT}-{rows // 1_000_000}M-rows", found, raw, used)


def _measure(  # noqa: PLR0917  what it fills is given to it
    running: Distributed,
    mesh: _Served,
    flow: Mapping[str, Any],
    rounds: int,
    found: list[w4.Once],
    used: dict[str, list[float]],
) -> None:
    for _ in range(rounds):
        before = running.cpu_us()
        found.append(w4.once(mesh, flow))
        after = running.cpu_us()
        _add(used, {name: [(after[name] - before[name]) / 1e3] for name in after})


def _figures(
    variant: str, found: list[w4.Once], raw: dict[str, list[float]], used: dict[str, list[float]]
) -> list[Figure]:
    by_hand = statistics.median(raw["wall"])

    def line(metric: str, unit: str, values: list[float]) -> Figure:
        return figure("w4-s3", variant, metric, unit, values)

    return [
        line("wall", "s", [run.wall_s for run in found]),
        line("raw-wall", "s", raw.pop("wall")),
        line("in-raws", "x", [run.wall_s / by_hand for run in found]),
        line("steps-wall", "s", [run.steps_s for run in found]),
        line("steps-cpu", "s", [run.steps_cpu_s for run in found]),
        line("steps-written", "MB", [run.bytes_written / 1e6 for run in found]),
        *[line(f"raw-{what}", "s", seconds) for what, seconds in raw.items()],
        *[line(f"cpu-{name}", "ms/run", values) for name, values in used.items()],
    ]


@contextmanager
def _served() -> Iterator[tuple[Distributed, Callable[[], AbstractContextManager[_Served]], str]]:
    """The mesh, a new connection to it and its two module processes, and the URL of a bucket for the raw client."""
    with distributed() as running:
        pids = {seat: running.mesh.python(_MODULES, seat).pid for seat in ("even", "odd")}
        running.mesh.wait_until_ready("bench.source", "bench.total")
        gateway = running.mesh.of("gateway")[0].pid

        @contextmanager
        def connected() -> Iterator[_Served]:
            client = running.client()
            yield _Served(client, running.mesh.folder, gateway, pids)
            client.close()

        with connected() as mesh:
            for setting in ("retention_grace_s", "sweep_every_s"):
                mesh.client.put(f"/api/v1/settings/{setting}", b'{"value": 1}')
        parts = urlsplit(running.servers["minio"].address)
        with rooms.bucket(parts.geturl(), _RAW_BUCKET):
            endpoint = f"http://{parts.hostname}:{parts.port}"
            yield running, connected, f"s3://{parts.username}:{parts.password}@{_RAW_BUCKET}?endpoint={endpoint}"


def _by_hand(url: str, rows: int, rounds: int) -> dict[str, list[float]]:
    command = (sys.executable, "-P", "-m", "benchmarks.dataplane.raw_s3", url, str(rows), str(rounds))
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


def _add(to: dict[str, list[float]], more: Mapping[str, list[float]]) -> None:
    for name, values in more.items():
        to.setdefault(name, []).extend(values)

"""Looking at large tables over HTTP: figures, sorted, filtered and following pages; how long, and the reader's peak memory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.client import Client
from benchmarks.figures import Figure, figure
from benchmarks.mesh import Mesh, children

_COLUMNS = ("id", "price", "qty", "country", "at", "item")
_Question = tuple[str, Mapping[str, Any]]
_SIZES = {"1M": 1_000_000, "10M": 10_000_000}


def look(mesh: Mesh, variant: str, quick: bool) -> list[Figure]:
    """Six columns of 1 and of 10 million rows; `--quick`: 1 million. No question is asked twice, but for the next page."""
    del variant
    sizes = {"1M": _SIZES["1M"]} if quick else _SIZES
    client = mesh.client()
    client.put("/api/v1/settings/reader_timeout_s", b'{"value": 110}')  # a busy machine is slow, and that is no failure
    found = [each for name, rows in sizes.items() for each in _Views(mesh, client, rows).measured(name)]
    client.close()
    return found


class _Views:
    """One table and those who look at it."""

    def __init__(self, mesh: Mesh, client: Client, rows: int) -> None:
        self._server, self._client = mesh.server, client
        flow = {"flow": "bench/orders", "nodes": {"orders": {"module": "bench.orders", "params": {"rows": rows}}}}
        run = client.post("/api/v1/runs", json.dumps({"flow": flow}).encode())["id"]
        state = client.get(f"/api/v1/runs/{run}?wait_s=60")["state"]
        if state != "succeeded":
            raise RuntimeError(f"the table of {rows:,} rows was not made within a minute: its run is {state}")
        self._output = f"/api/v1/runs/{run}/steps/orders/outputs/out"
        self._ask("schema", {})  # the reader process is there

    def measured(self, variant: str) -> list[Figure]:
        """The figures; the first is the headline."""
        orders = [",".join(_COLUMNS[turn:] + _COLUMNS[:turn]) for turn in range(3)]
        questions: dict[str, list[_Question]] = {
            "stats": [("stats", {"columns": order}) for order in orders],
            "sorted": [("rows", {"sort": sort}) for sort in ("-price", "price", "-at")],
            "sorted-by-two": [("rows", {"sort": sort}) for sort in ("country,-price", "qty,-at", "country,id")],
            "filtered": [("rows", {"filter": f"price > {least}"}) for least in (40, 60, 80)],
            "next-page": [("rows", {"sort": "-price", "offset": page * 100}) for page in range(1, 10)],
        }
        return [each for what, asked in questions.items() for each in self._timed(variant, what, asked)]

    def _timed(self, variant: str, what: str, asked: list[_Question]) -> list[Figure]:
        seconds, peaks = [], []
        for view, query in asked:
            for pid in self._readers():
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # its peak begins anew
            begin = time.perf_counter()
            self._ask(view, query)
            seconds.append(time.perf_counter() - begin)
            peaks.append(max(map(_peak_bytes, self._readers()), default=0) / 1e6)
        return [
            figure("views", variant, f"{what}-wall", "s", seconds),
            figure("views", variant, f"{what}-peak", "MB", peaks),
        ]

    def _ask(self, view: str, query: Mapping[str, Any]) -> Any:
        words = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
        return self._client.get(f"{self._output}/{view}?{words}")

    def _readers(self) -> list[int]:
        return [pid for pid in children(self._server) if "reader/process.py" in _command(pid)]


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def _peak_bytes(pid: int) -> int:
    """Most memory since the peak was set back, mapped data among it."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return 0

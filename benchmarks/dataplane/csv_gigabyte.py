"""Three of the twenty columns of a CSV file of 1 GB, read by `io.read`, beside the fastest readers alone in a process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.dataplane import csv_file
from benchmarks.dataplane.csv_reader import READERS
from benchmarks.dataplane.memory import Memory, peaks_of, peaks_while
from benchmarks.dataplane.two_processes import Processes, with_builtins
from benchmarks.figures import Figure, figure

BYTES, QUICK_BYTES = 1_000_000_000, 20_000_000
_READER = Path(__file__).with_name("csv_reader.py")
_SHOP, _AMOUNT, _COUNT = csv_file.USED
_FLOW = {
    "flow": "bench/csv",
    "inputs": {"file": "file"},
    "nodes": {
        "read": {"module": "io.read", "params": {"file": "${inputs.file}"}},
        "sums": {
            "module": "table.aggregate",
            "in": "read",
            "params": {"by": [_SHOP], "measures": {"rows": "count(*)", "a": f"sum({_AMOUNT})", "b": f"sum({_COUNT})"}},
        },
    },
    "outputs": {"sums": "sums"},
}


def gigabyte(*, quick: bool) -> list[Figure]:
    """The step that reads, the whole run, and each reader alone; each timed apart from the round in which memory is watched."""
    size, rounds = (QUICK_BYTES, 1) if quick else (BYTES, 5)
    variant = f"{size // 1_000_000}MB-3-of-20"
    with TemporaryDirectory(prefix="plugmesh-csv-") as folder:
        path = Path(folder) / "data.csv"
        rows = csv_file.make(path, size)
        alone = {name: [_alone(name, path, rows)[0] for _ in range(rounds)] for name in READERS}
        peaks = {name: _alone(name, path, rows)[1] for name in READERS}
        with with_builtins() as mesh:
            mesh.client.upload("data.csv", path)
            path.unlink()  # it is in the store now; once is enough
            _once(mesh, rows)
            runs = [_once(mesh, rows) for _ in range(rounds)]
            _, own = peaks_while(mesh.named, lambda: _once(mesh, rows))
    fastest = min(statistics.median(seconds) for seconds in alone.values())
    return [
        figure("csv", variant, "read-wall", "s", [run["read_s"] for run in runs]),
        figure("csv", variant, "in-fastest-readers", "x", [run["read_s"] / fastest for run in runs]),
        figure("csv", variant, "run-wall", "s", [run["run_s"] for run in runs]),
        figure("csv", variant, "read-written", "MB", [run["written"] / 1e6 for run in runs]),
        *[figure("csv", variant, f"{name}-wall", "s", seconds) for name, seconds in alone.items()],
        *peaks_of("csv", variant, peaks | own),
    ]


def _once(mesh: Processes, rows: int) -> dict[str, float]:
    """One run. Raises `RuntimeError` if it has not read every row."""
    run = mesh.run(_FLOW, {"file": {"file": "data.csv"}})
    steps = mesh.steps(run["id"])
    read: dict[str, Any] = steps["read"]["stats"]
    if read["rows_out"] != rows:
        raise RuntimeError(f"{read['rows_out']} of {rows} rows were read")
    mesh.let_go(run["id"])
    return {
        "read_s": read["wall_s"],
        "run_s": run["ended_at"] - run["submitted_at"],
        "written": read["bytes_written"],
    }


def _alone(name: str, path: Path, rows: int) -> tuple[float, Memory]:
    """Seconds and peaks of one reader in a process of its own."""
    command = (sys.executable, "-P", str(_READER), name, str(path), ",".join(csv_file.USED))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        (output, _), peaks = peaks_while(lambda: {name: process.pid}, process.communicate)
    answer = json.loads(output)
    if answer["rows"] != rows:
        raise RuntimeError(f"{name} read {answer['rows']} of {rows} rows")
    return float(answer["seconds"]), peaks[name]

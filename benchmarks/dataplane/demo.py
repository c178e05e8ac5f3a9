"""The demo's flow on a warm mesh, beside one DuckDB script that does the same in one process."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.dataplane.two_processes import Processes, with_builtins
from benchmarks.figures import Figure, figure
from examples.demo.flights import flight_files

_SCRIPT = Path(__file__).with_name("demo_script.py")
_FLOW = Path(__file__).parents[2] / "examples" / "demo" / "late_by_carrier.yaml"
_INPUTS = {"flights": {"file": "flights.csv"}, "airlines": {"file": "airlines.csv"}}


def demo(*, quick: bool) -> list[Figure]:
    """From the request to the end of the run, files uploaded before; and the script's time in the same minute."""
    rounds = 3 if quick else 15
    files = flight_files()
    with with_builtins() as mesh:
        mesh.client.upload("flights.csv", files.flights)
        mesh.client.upload("airlines.csv", files.airlines)
        cold = _once(mesh)
        _once(mesh)
        runs = [_once(mesh) for _ in range(rounds)]
    script = _script(files.flights, files.airlines, rounds)
    _compare(runs[0][1], script["answer"])
    alone = statistics.median(script["seconds"])
    steps = {name: [run[2][name] for run in runs] for name in runs[0][2]}
    return [
        figure("demo", "late_by_carrier", "wall", "s", [run[0] for run in runs]),
        figure("demo", "late_by_carrier", "cold-wall", "s", [cold[0]]),
        figure("demo", "late_by_carrier", "duckdb-wall", "s", script["seconds"]),
        figure("demo", "late_by_carrier", "in-duckdb-scripts", "x", [run[0] / alone for run in runs]),
        *[figure("demo", "late_by_carrier", f"step-{name}", "s", seconds) for name, seconds in steps.items()],
    ]


def _once(mesh: Processes) -> tuple[float, list[dict[str, Any]], dict[str, float]]:
    """The seconds of a run, its answer, and the seconds that each step took."""
    begin = time.perf_counter()
    run = mesh.run(_FLOW.read_text(), _INPUTS)["id"]
    seconds = time.perf_counter() - begin
    page = mesh.client.get(f"/api/v1/runs/{run}/steps/named/outputs/out/rows?limit=100")
    steps = {name: float(step["stats"]["wall_s"]) for name, step in sorted(mesh.steps(run).items())}
    mesh.let_go(run)
    return seconds, page["rows"], steps


def _script(flights: Path, airlines: Path, rounds: int) -> dict[str, Any]:
    command = (sys.executable, "-P", str(_SCRIPT), str(flights), str(airlines), str(rounds))
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


def _compare(found: list[Any], wanted: list[dict[str, Any]]) -> None:
    """Raises `RuntimeError` if the flow's answer is not the script's."""
    by_carrier = {row["carrier"]: row for row in wanted}
    rows = found
    if len(rows) != len(wanted) or not all(_same(row, by_carrier.get(row["carrier"], {})) for row in rows):
        raise RuntimeError(f"the flow's answer {found} is not DuckDB's {wanted}")


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (
        one["n"] == other.get("n")
        and one["name"] == other.get("name")
        and math.isclose(one["mean_delay"], other["mean_delay"], rel_tol=1e-9)
    )

"""W4: a table of 440 MB through five steps that take turns in two processes, each adding a column and dropping one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.dataplane import alone, chain_table
from benchmarks.dataplane.memory import Memory, peaks_of, peaks_while
from benchmarks.dataplane.two_processes import Processes, served_by
from benchmarks.dataplane.w4_modules import VARIANTS
from benchmarks.figures import Figure, figure

QUICK_ROWS = 1_000_000
PROCESSES = (("w4_modules.py", "even"), ("w4_modules.py", "odd"))
_SEATS = ("odd", "even")
_STEPS = [f"step{step}" for step in range(chain_table.STEPS)]


@dataclass(frozen=True, slots=True)
class Once:
    """One run. `wall_s`: from the end of the source's work to the end of the last step, the source's writing included;
    `steps_s` of it executors were at work on the five steps, and used `steps_cpu_s` of CPU time."""

    wall_s: float
    steps_s: float
    steps_cpu_s: float
    bytes_written: int
    cpu_us: Mapping[str, float]


@dataclass(slots=True)
class Rounds:
    """What was measured of a variant."""

    cold: list[Once] = field(default_factory=list)
    warm: list[Once] = field(default_factory=list)
    peaks: dict[str, Memory] = field(default_factory=dict)


def chain(*, quick: bool) -> list[Figure]:
    """Each kind of frame in meshes of its own, and beside it the same five steps in one process. `--quick`: a tenth of the
    rows, and one mesh for all."""
    if quick:
        found = _quickly()
        floors = alone.seconds(list(VARIANTS), QUICK_ROWS, 3)
        return [each for name, one in found.items() for each in figures(f"{name}-1M-rows", one, floors[name])]
    return [each for variant in VARIANTS for each in _whole(variant)]


def _quickly() -> dict[str, Rounds]:
    with served_by(*PROCESSES) as mesh:
        found = {}
        for variant in VARIANTS:
            flow = flow_of(variant, QUICK_ROWS)
            once(mesh, flow)
            found[variant] = Rounds(warm=[once(mesh, flow) for _ in range(2)])
        return found


def _whole(variant: str) -> list[Figure]:
    flow, rounds = flow_of(variant, chain_table.ROWS), Rounds()
    for _ in range(3):
        with served_by(*PROCESSES) as mesh:
            _measure(mesh, flow, rounds)
    return figures(variant, rounds, alone.seconds([variant], chain_table.ROWS, 7)[variant])


def _measure(mesh: Processes, flow: Mapping[str, Any], rounds: Rounds) -> None:
    """In a fresh mesh the first run is the cold one; the next two bring libraries and files into use; one more is looked at."""
    rounds.cold.append(once(mesh, flow))
    once(mesh, flow)
    once(mesh, flow)
    rounds.warm += [once(mesh, flow) for _ in range(5)]
    _, peaks = peaks_while(mesh.named, lambda: once(mesh, flow))
    for name, peak in peaks.items():
        rounds.peaks[name] = rounds.peaks.get(name, Memory()).most(peak)


def flow_of(variant: str, rows: int) -> dict[str, Any]:
    """The source, the five steps, and the sum of the last column."""
    nodes: dict[str, Any] = {"source": {"module": "bench.source", "params": {"rows": rows}}}
    before = "source.out"
    for number, name in enumerate(_STEPS):
        on = chain_table.columns(number)
        module = f"bench.{_SEATS[number % 2]}.{VARIANTS[variant]}"
        nodes[name] = {"module": module, "in": before, "params": {"a": on.a, "b": on.b, "into": on.into}}
        before = name
    nodes["total"] = {"module": "bench.total", "in": before, "params": {"column": chain_table.LAST}}
    return {"flow": "bench/w4", "nodes": nodes, "outputs": {"last": before}}


def once(mesh: Processes, flow: Mapping[str, Any]) -> Once:
    """One run, its sum checked, its data let go. Raises `RuntimeError` if it fails or the sum is wrong."""
    before = mesh.cpu_us()
    run = mesh.run(flow)
    after = mesh.cpu_us()
    steps = mesh.steps(run["id"])
    value = {
        port: out["value"]
        for step in ("source", "total")
        for port, out in steps[step]["outputs"].items()
        if "value" in out
    }
    chain_table.check(value["out"], value["sums"])
    stats = [steps[name]["stats"] for name in _STEPS]
    mesh.let_go(run["id"])
    return Once(
        wall_s=steps[_STEPS[-1]]["ended_at"] - value["ready_at"],
        steps_s=sum(each["wall_s"] for each in stats),
        steps_cpu_s=sum(each["cpu_s"] for each in stats),
        bytes_written=sum(each["bytes_written"] for each in stats),
        cpu_us={name: after[name] - before[name] for name in after},
    )


def figures(name: str, rounds: Rounds, floor: list[float]) -> list[Figure]:
    """The figures of a variant; the first is the headline."""
    warm, least = rounds.warm, sorted(floor)[len(floor) // 2]

    def line(metric: str, unit: str, values: list[float]) -> Figure:
        return figure("w4", name, metric, unit, values)

    cold = [line("cold-wall", "s", [run.wall_s for run in rounds.cold])] if rounds.cold else []
    return [
        line("wall", "s", [run.wall_s for run in warm]),
        *cold,
        line("floor-wall", "s", floor),
        line("in-floors", "x", [run.wall_s / least for run in warm]),
        line("steps-wall", "s", [run.steps_s for run in warm]),
        line("steps-cpu", "s", [run.steps_cpu_s for run in warm]),
        line("steps-written", "MB", [run.bytes_written / 1e6 for run in warm]),
        *[line(f"cpu-{kind}", "ms/run", [run.cpu_us[kind] / 1e3 for run in warm]) for kind in warm[0].cpu_us],
        *peaks_of("w4", name, rounds.peaks),
    ]

"""The table of a comparison. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.peers.protocol import UNITS
from benchmarks.peers.systems import PLUGMESH, System

LABELS = {
    "W1": "W1 chain of 200",
    "W2-2000": "W2 2,000 at once",
    "W2-500": "W2 500 at once",
    "W3a": "W3a latency p50",
    "W3b": "W3b burst of jobs",
    "W4": "W4 table through 5",
}


@dataclass(slots=True)
class Results:
    """By (system, workload): one value a round, or the reason why there is none. By system: versions of its packages."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    skipped: dict[tuple[str, str], str] = field(default_factory=dict)
    versions: dict[str, Mapping[str, str]] = field(default_factory=dict)


def table(systems: Sequence[System], workloads: Sequence[str], results: Results) -> str:
    """Markdown: medians of the rounds, how many times as fast Plugmesh is, what each keeps, versions, what was skipped."""
    rows = [["workload", "unit", *(system.title for system in systems)], ["---"] * (len(systems) + 2)]
    for workload in workloads:
        cells = [cell(workload, system, results) for system in systems]
        rows.append([LABELS[workload], UNITS[workload], *cells])
    rows.append(["kept after kill -9", "", *(system.keeps for system in systems)])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", *_notes(systems, workloads, results)]) + "\n"


def cell(workload: str, system: System, results: Results) -> str:
    """A median, for a peer with the ratio behind it; a dash where nothing is measured."""
    if workload not in system.workloads:
        return "-"
    values = results.values.get((system.name, workload))
    if not values:
        return "skipped"
    value = statistics.median(values)
    own = results.values.get((PLUGMESH.name, workload))
    if system == PLUGMESH or not own:
        return _number(value)
    return f"{_number(value)} ({_number(times_as_fast(workload, statistics.median(own), value))}x)"


def times_as_fast(workload: str, own: float, peer: float) -> float:
    """Plugmesh's speed divided by the peer's: over 1 Plugmesh is faster, whether the unit is a time or a rate."""
    return own / peer if UNITS[workload].endswith("/s") else peer / own


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _notes(systems: Sequence[System], workloads: Sequence[str], results: Results) -> list[str]:
    notes = ["The factor in brackets is Plugmesh's speed divided by the peer's: over 1 Plugmesh is faster."]
    for system in systems:
        if versions := results.versions.get(system.name):
            notes.append(f"- {system.title}: {', '.join(f'{name} {each}' for name, each in versions.items())}")
        reasons = {
            results.skipped[key] for workload in workloads if (key := (system.name, workload)) in results.skipped
        }
        notes += [f"- {system.title} skipped: {reason}" for reason in sorted(reasons)]
    return notes

"""`scripts/bench --peers [--only NAME] [--workloads W1,W2] [--rounds N] [--json FILE]`: Plugmesh and its peers, in turns."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.peers import environment, own, process
from benchmarks.peers.environment import Skipped
from benchmarks.peers.protocol import UNITS, Answer
from benchmarks.peers.systems import EVERYONE, PEERS, PLUGMESH, System
from benchmarks.peers.table import Results, table

Measure = Callable[[str], Answer]


def main() -> int:
    """Parse the command line, measure, print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench --peers", description=__doc__)
    names = ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--only", action="append", metavar="NAME", help=f"this peer (may be repeated): {names}")
    parser.add_argument("--workloads", default="W1,W2,W3a,W3b,W4", help=f"comma-separated: W2, {', '.join(UNITS)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured; medians are shown")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write each answer to FILE, one JSON object a line"
    )
    options = parser.parse_args()
    try:
        workloads = chosen_workloads(options.workloads)
        systems = [one for one in chosen_systems(options.only) if one.workloads.intersection(workloads)]
    except ValueError as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended and removed then too
    results = Results()
    lines = list(measure(systems, workloads, options.rounds, results, _measures(systems, workloads, results)))
    if options.json is not None:
        options.json.write_text("".join(f"{line}\n" for line in lines))
    print(table(systems, workloads, results), end="")
    return 0


def chosen_systems(only: Sequence[str] | None) -> list[System]:
    """Plugmesh and the peers called `only`, or all. Raises `ValueError` for an unknown name."""
    known = {peer.name: peer for peer in PEERS}
    for name in only or ():
        if name not in known:
            raise ValueError(f"unknown peer {name!r}; known are {', '.join(known)}")
    return [system for system in EVERYONE if system == PLUGMESH or not only or system.name in only]


def chosen_workloads(text: str) -> list[str]:
    """The workloads whose names, or the part before the hyphen, are in the comma-separated `text`. Raises `ValueError`."""
    wanted = [word.strip() for word in text.split(",")]
    for word in wanted:
        if not any(word in (name, name.partition("-")[0]) for name in UNITS):
            raise ValueError(f"unknown workload {word!r}; known are W2, {', '.join(UNITS)}")
    return [name for name in UNITS if name in wanted or name.partition("-")[0] in wanted]


def _measures(systems: Sequence[System], workloads: Sequence[str], results: Results) -> dict[str, Measure]:
    """How to measure each system; those that cannot be installed are noted as skipped."""
    measures: dict[str, Measure] = {PLUGMESH.name: own.measure}
    for system in systems:
        if system == PLUGMESH:
            continue
        try:
            measures[system.name] = _peer(system.name)
        except Skipped as error:
            results.skipped.update({(system.name, workload): str(error) for workload in workloads})
    return measures


def _peer(name: str) -> Measure:
    python, script = environment.make(name), Path(__file__).parent / name / "peer.py"
    return lambda workload: process.call(python, script, workload)


def measure(
    systems: Sequence[System], workloads: Sequence[str], rounds: int, results: Results, measures: Mapping[str, Measure]
) -> Iterator[str]:
    """Every workload on every system, one after another, `rounds` times; fills `results`, gives a line for each answer.

    What was skipped once is not tried again.
    """
    for number in range(rounds):
        for workload in workloads:
            for system in systems:
                key = (system.name, workload)
                if workload not in system.workloads or key in results.skipped:
                    continue
                try:
                    answer = measures[system.name](workload)
                except Skipped as error:
                    results.skipped[key] = str(error)
                    print(f"[peers] {system.title} {workload}: skipped: {error}", file=sys.stderr, flush=True)
                    continue
                results.values.setdefault(key, []).append(answer.value)
                results.versions[system.name] = answer.versions
                said = f"{answer.value:.2f} {answer.unit} ({answer.samples} samples)"
                print(f"[peers] round {number + 1}: {system.title} {workload}: {said}", file=sys.stderr, flush=True)
                yield json.dumps({"system": system.name, "round": number + 1, **json.loads(answer.line())})


if __name__ == "__main__":
    sys.exit(main())

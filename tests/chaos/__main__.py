"""`scripts/chaos`: a mesh of real processes that are killed, stopped and starved while runs are submitted."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from pathlib import Path

from tests.chaos.harness import Options, run
from tests.chaos.report import document, json_line, story, table

RUNS_A_MINUTE = 100
TERMINATED = 143


def main() -> int:
    """Exit with 0 when nothing was wrong, else 1."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=35, help="processes that are ended by kill -9 (default: %(default)s)"
    )
    parser.add_argument("--minutes", type=float, default=1.25, help="how long that takes (default: %(default)s)")
    parser.add_argument(
        "--runs", type=int, help=f"runs that are submitted meanwhile (default: {RUNS_A_MINUTE} a minute)"
    )
    parser.add_argument(
        "--distributed", action="store_true", help="several processes on real servers, which are hurt as well"
    )
    parser.add_argument("--seed", type=int, action="append", help="what all of it is drawn from; several: one run each")
    parser.add_argument("--report", type=Path, help="file to which a line of JSON is added for each seed")
    parser.add_argument("--table", type=Path, help="only print the table of a file of such lines")
    given = parser.parse_args()
    if given.table:
        print(table([json.loads(line) for line in given.table.read_text().splitlines()]))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that no process of the mesh is left behind
    runs = given.runs if given.runs is not None else int(RUNS_A_MINUTE * given.minutes)
    outcomes = []
    for seed in given.seed or [random.SystemRandom().randrange(2**31)]:
        print(f"seed {seed}: {given.kills} kills in {given.minutes:g} minutes, {runs} runs", flush=True)
        options = Options(seed, given.kills, given.minutes * 60, runs, distributed=given.distributed, say=_say)
        outcome = run(options)
        outcomes.append(outcome)
        print(f"{json_line(outcome)}\n{story(outcome) if outcome.violations else ''}", flush=True)
        if given.report:
            with given.report.open("a") as file:
                file.write(json_line(outcome) + "\n")
    print(table([document(outcome) for outcome in outcomes]))
    return 1 if any(outcome.violations for outcome in outcomes) else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

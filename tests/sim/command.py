"""scripts/sim: many seeds at once; what failed is shrunk, and can be replayed."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.sim.case import Case, case_of, read_case, write_case
from tests.sim.shrink import Shrinker
from tests.sim.world import World

SAY_EVERY_S = 10.0
_SHOWN = 12
"""Violations of one seed that are printed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one seed."""

    seed: int
    digest: str
    violated: tuple[str, ...]
    invariant: str
    """The first one that was violated."""


def main(arguments: Sequence[str]) -> int:
    """The command; 0: nothing was violated."""
    options = _parser().parse_args(arguments)
    folder = Path(options.out)
    if options.case is not None:
        return _replay(read_case(Path(options.case)), trace=options.trace)
    if options.seed is not None:
        code = _replay(case_of(options.seed), trace=options.trace)
        if code and options.shrink:
            _shrink(options.seed, folder)
        return code
    seeds = range(options.first, options.first + options.seeds)
    failed = _run(seeds, options.jobs)
    for verdict in failed:
        print(f"again: scripts/sim --seed {verdict.seed}")
        if options.shrink:
            _shrink(verdict.seed, folder)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/sim", description="Simulate a mesh under faults, once for each seed, and check what must hold."
    )
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="how many seeds (100)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="S", help="the first one (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (one a CPU)")
    parser.add_argument("--seed", type=int, metavar="S", help="only this seed, exactly as it was")
    parser.add_argument("--case", metavar="FILE", help="only what stands in this file: what shrinking has left")
    parser.add_argument("--trace", action="store_true", help="print the last events, also if nothing was violated")
    parser.add_argument("--no-shrink", action="store_false", dest="shrink", help="leave failing seeds as they are")
    parser.add_argument("--out", default="sim-failures", metavar="DIR", help="where shrunk cases go (sim-failures)")
    return parser


# -- many seeds --------------------------------------------------------------------------------------------------------


def _run(seeds: Sequence[int], jobs: int) -> list[Verdict]:
    """Simulate them all; those that violated something."""
    failed: list[Verdict] = []
    progress = _Progress(len(seeds))
    for verdict in _verdicts(seeds, jobs):
        if verdict.violated:
            failed.append(verdict)
            _print_failure(verdict)
        progress.count(len(failed))
    print(f"{len(seeds)} seeds, {len(failed)} failed: {[verdict.seed for verdict in failed]}", flush=True)
    return failed


def _verdicts(seeds: Sequence[int], jobs: int) -> Iterable[Verdict]:
    if jobs == 1:
        yield from map(_verdict, seeds)
        return
    # Each process ends after a while: a simulation leaves much for the garbage collector.
    with multiprocessing.get_context("spawn").Pool(jobs, _quiet, maxtasksperchild=200) as pool:
        yield from pool.imap_unordered(_verdict, seeds, chunksize=1)


def _quiet() -> None:
    logging.disable(logging.CRITICAL)


def _verdict(seed: int) -> Verdict:
    return _judge(case_of(seed).world())


def _judge(world: World) -> Verdict:
    found = world.run()
    invariant = found[0].invariant if found else ""
    return Verdict(world.seed, world.trace.digest, tuple(str(violation) for violation in found), invariant)


class _Progress:
    """Says now and then how far it is."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = total, clock
        self._done = 0
        self._began = self._said = clock()

    def count(self, failed: int) -> None:
        self._done += 1
        now = self._clock()
        if now - self._said >= SAY_EVERY_S:
            self._said = now
            rate = self._done / (now - self._began)
            left_s = (self._total - self._done) / rate
            print(
                f"{self._done}/{self._total} seeds, {failed} failed, {rate:.1f} a second, {left_s:.0f} s left",
                flush=True,
            )


def _print_failure(verdict: Verdict) -> None:
    print(f"seed {verdict.seed} FAILED, digest {verdict.digest}")
    for text in verdict.violated[:_SHOWN]:
        print(f"  {text}")
    if len(verdict.violated) > _SHOWN:
        print(f"  and {len(verdict.violated) - _SHOWN} more")
    sys.stdout.flush()


# -- one of them -------------------------------------------------------------------------------------------------------


def _replay(case: Case, *, trace: bool) -> int:
    world = case.world()
    verdict = _judge(world)
    if trace or verdict.violated:
        print(world.report())
    print(f"seed {case.seed}: {len(verdict.violated)} violated, digest {verdict.digest}")
    return 1 if verdict.violated else 0


def _shrink(seed: int, folder: Path) -> None:
    """Print and keep the smallest case that violates what this seed does."""
    case = case_of(seed)
    verdict = _judge(case.world())
    shrinker = Shrinker(verdict.invariant)
    small = shrinker.shrink(case)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed-{seed}.json"
    write_case(small, path)
    after = _judge(small.world())
    sizes = f"{len(small.jobs)} of {len(case.jobs)} jobs, {len(small.plan.faults)} of {len(case.plan.faults)} faults"
    print(f"seed {seed} shrunk in {shrinker.tried} tries to {sizes}, {len(small.plan.traps)} traps")
    print(f"  jobs: {[job.name for job in small.jobs]}")
    print(f"  plan: {small.plan}")
    for text in after.violated[:_SHOWN]:
        print(f"  {text}")
    print(f"again: scripts/sim --case {path}    (digest {after.digest})", flush=True)


if __name__ == "__main__":
    _quiet()
    sys.exit(main(sys.argv[1:]))

"""A seed's simulation: what is submitted, what goes wrong, and over which wire.

python -m tests.sim.seeds SEED [SEED ...]      runs them, prints their digests; exits with 1 if one was violated
"""

from __future__ import annotations

import logging
import random
import sys

from tests.sim.chaos import plan_of
from tests.sim.workload import jobs_of
from tests.sim.world import World


def world_of(seed: int) -> World:
    """Even seeds have the simulated bus and phone book, odd ones the product's own hub and links."""
    dice = random.Random(seed)
    silent = dice.random() < 0.4
    jobs = jobs_of(dice, long=12.0 if silent else dice.choice((0.0, 0.3, 3.0, 8.0)))
    return World(seed, jobs, plan_of(dice, silent=silent), with_hub=seed % 2 == 1)


def main(seeds: list[int]) -> int:
    """Run the seeds; the exit code."""
    logging.disable(logging.CRITICAL)
    worlds = [world_of(seed) for seed in seeds]
    for world in worlds:
        for violation in world.run():
            print(f"seed {world.seed}: {violation}")
        print(world.seed, world.trace.digest)
    return 1 if any(world.violations for world in worlds) else 0


if __name__ == "__main__":
    sys.exit(main([int(text) for text in sys.argv[1:]]))

"""Seeds and what becomes of them, for comparing two processes.

python -m tests.sim.seeds SEED [SEED ...]      runs them, prints their digests; exits with 1 if one was violated
"""

from __future__ import annotations

import logging
import sys

from tests.sim.case import case_of
from tests.sim.world import World


def world_of(seed: int) -> World:
    """The seed's simulation."""
    return case_of(seed).world()


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

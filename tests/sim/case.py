"""Everything that a simulation is made of: drawn from a seed, or read from a file."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from tests.sim.chaos import Plan, plan_of
from tests.sim.workload import Job, jobs_of
from tests.sim.world import World


@dataclass(frozen=True, slots=True)
class Case:
    """What is submitted, what goes wrong, and over which wire. The same case is the same simulation, to the last event."""

    seed: int
    with_hub: bool
    servers: int
    jobs: list[Job]
    plan: Plan

    def world(self) -> World:
        """A world in which nothing has happened yet."""
        return World(self.seed, self.jobs, self.plan, with_hub=self.with_hub, servers=self.servers)


def case_of(seed: int) -> Case:
    """Even seeds have the simulated bus and phone book, most of them with two servers; odd ones the product's own hub."""
    dice = random.Random(seed)
    silent = dice.random() < 0.4
    jobs = jobs_of(dice, long=12.0 if silent else dice.choice((0.0, 0.3, 3.0, 8.0)))
    with_hub = seed % 2 == 1
    servers = 1 if with_hub else dice.choice((1, 2, 2, 2))
    return Case(seed, with_hub, servers, jobs, plan_of(dice, silent=silent))


_CASE = TypeAdapter(Case)


def write_case(case: Case, path: Path) -> None:
    """Keep a case as JSON."""
    path.write_bytes(_CASE.dump_json(case, indent=1) + b"\n")


def read_case(path: Path) -> Case:
    """What `write_case` has kept."""
    return _CASE.validate_json(path.read_bytes())
